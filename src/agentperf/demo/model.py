"""How the agent speaks to its model."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from openai import AsyncOpenAI

from agentperf.demo import prompts

CHAT = "fake-chat"
EMBEDDING = "fake-embedding"


@dataclass(frozen=True, slots=True)
class Intent:
    """What a message is about.

    Attributes:
        kind: `"question"` or `"statement"`.
        keywords: Word stems to search for.
        names: People, places and things.
        times: Days and months.
        lately: Whether the user asks for what is most recent.
    """

    kind: str
    keywords: tuple[str, ...]
    names: tuple[str, ...]
    times: tuple[str, ...]
    lately: bool

    @classmethod
    def read(cls, said: dict[str, Any]) -> Self:
        """Take the model's word for it."""
        return cls(
            kind=said["kind"],
            keywords=tuple(said["keywords"]),
            names=tuple(said["names"]),
            times=tuple(said["times"]),
            lately=said["lately"],
        )


async def ask(client: AsyncOpenAI, instructions: str, text: str) -> dict[str, Any]:
    """Ask the model for a JSON object."""
    completion = await client.chat.completions.create(
        model=CHAT,
        messages=[
            {"role": "system", "content": instructions},
            {"role": "user", "content": text},
        ],
        response_format={"type": "json_object"},
        temperature=0,
    )
    said: dict[str, Any] = json.loads(completion.choices[0].message.content or "{}")
    return said


async def stream(client: AsyncOpenAI, text: str, facts: Sequence[str]) -> AsyncIterator[str]:
    """Have the model answer a message with the help of facts, piece by piece."""
    notes = "\n".join(f"Fact: {fact}" for fact in facts)
    chunks = await client.chat.completions.create(
        model=CHAT,
        messages=[
            {"role": "system", "content": f"{prompts.ANSWER}\n{notes}"},
            {"role": "user", "content": text},
        ],
        stream=True,
        stream_options={"include_usage": True},
        temperature=0,
    )
    async with chunks:
        async for chunk in chunks:
            if chunk.choices and (piece := chunk.choices[0].delta.content):
                yield piece
