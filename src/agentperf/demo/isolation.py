"""Shows that a profile in private mode shares nothing with another that asks the very same."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from agentperf._engine.current import use
from agentperf._host import Host
from agentperf.demo.conversations import Message
from agentperf.demo.memory import Memory, NewFact
from agentperf.demo.program import Program
from agentperf.demo.runner import Reply, ask
from agentperf.demo.together import together
from agentperf.testing.fake_llm import FakeLLM
from agentperf.testing.fake_llm.embedding import embed

QUESTION = "Which bakery do I like best?"
_OPEN = Message("vera", "vera", QUESTION, expect=("Corner Oven",))
_PRIVATE = Message("yusuf", "yusuf", QUESTION, expect=("Golden Crumb",), private=True)


@dataclass(frozen=True, slots=True)
class Isolation:
    """How many calls reached the server, by its own count, and whether the answers were kept apart.

    Attributes:
        open_alone: One profile asks.
        private_alone: Another one asks in private mode.
        together: Both ask at the same time.
        open_again: The first asks once more.
        private_again: The one in private mode asks once more.
        own_answers: Whether each answer held that profile's fact and never the other's.
    """

    open_alone: int
    private_alone: int
    together: int
    open_again: int
    private_again: int
    own_answers: bool

    @property
    def nothing_shared(self) -> bool:
        """Whether no answer, no entry and no flight was shared."""
        return (
            self.own_answers
            and self.together == self.open_alone + self.private_alone
            and self.private_again == self.private_alone
        )


async def examine(program: Program, llm: FakeLLM) -> Isolation:
    """Let two profiles ask the same question: alone, at the same time, and again."""
    async with _World(program, llm) as world:
        open_alone = await world.calls(_OPEN)
    async with _World(program, llm) as world:
        private_alone = await world.calls(_PRIVATE)
    async with _World(program, llm) as world:
        together = await world.calls(_OPEN, _PRIVATE)
        open_again = await world.calls(_OPEN)
        private_again = await world.calls(_PRIVATE)
        own_answers = all(_is_own(reply) for reply in world.replies)
    return Isolation(
        open_alone, private_alone, together, open_again, private_again, own_answers=own_answers
    )


class _World:
    """A fresh cache and a memory in which each profile has a bakery of its own."""

    def __init__(self, program: Program, llm: FakeLLM) -> None:
        self._program = program
        self._llm = llm
        self._exits = AsyncExitStack()
        self.replies: list[Reply] = []

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as exits:
            folder = exits.enter_context(tempfile.TemporaryDirectory())
            exits.enter_context(use(Host()))
            self._memory = Memory(Path(folder) / "memory.db")
            for message in (_OPEN, _PRIVATE):
                fact = NewFact(f"The bakery I like best is the {message.expect[0]}.")
                await self._memory.add(message.profile, fact, embed(fact.text))
            self._exits = exits.pop_all()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._exits.aclose()

    async def calls(self, *messages: Message) -> int:
        """Send messages at the same time; tell how many calls they and what follows took."""
        start = self._llm.stats().calls
        async with self._program(self._llm.base_url, self._memory) as respond:
            self.replies += await together(*(ask(respond, message) for message in messages))
        return self._llm.stats().calls - start


def _is_own(reply: Reply) -> bool:
    others = [word for message in (_OPEN, _PRIVATE) for word in message.expect]
    said = reply.text or ""
    return not reply.missing and sum(word in said for word in others) == 1
