"""The same agent with agentperf: nothing asked twice, nobody waits in vain, nothing gets lost."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar
from typing import Any

import anyio
from openai import AsyncOpenAI

import agentperf
from agentperf.demo import prompts
from agentperf.demo.conversations import Message
from agentperf.demo.deferred import ANYTIME, Deferred
from agentperf.demo.memory import Memory, NewFact
from agentperf.demo.model import EMBEDDING, Intent, ask, stream
from agentperf.demo.program import Respond, Show
from agentperf.demo.together import together

in_private: ContextVar[bool] = ContextVar("in_private")
"""Whether the message at hand must leave no trace."""

# What is kept depends on the arguments alone. An answer too: the facts it was given are among them,
# so when the memory changes, something else is asked, and no answer can be out of date.
kept = agentperf.cached(ttl="1d", ignore=("client",), enabled=lambda: not in_private.get())

# What the user said stays word for word; of what was answered the most telling half is left.
shorter = agentperf.compress_prompt(
    "conversation", ratio=0.5, keep=re.compile("^User:.*", re.MULTILINE)
)

# One model server, so one limit and one circuit for all that call it.
again = agentperf.retry(attempts=8, budget=0.5)
upstream = agentperf.stack(
    agentperf.rate_limited("2000/min", concurrency=32), agentperf.circuit_breaker()
)
asking = agentperf.stack(agentperf.timed(), kept, again, upstream)


@asking
async def is_sensitive(client: AsyncOpenAI, text: str) -> bool:
    """Ask the model whether a message must not be stored."""
    return bool((await ask(client, prompts.PRIVACY, text))["private"])


@asking
async def understand(client: AsyncOpenAI, text: str) -> Intent:
    """Ask the model what a message is about."""
    return Intent.read(await ask(client, prompts.INTENT, text))


@asking
async def embed(client: AsyncOpenAI, text: str) -> list[float]:
    """Turn a text into a vector."""
    result = await client.embeddings.create(model=EMBEDDING, input=text)
    return result.data[0].embedding


async def recall(
    memory: Memory, profile: str, intent: Intent, vector: Sequence[float]
) -> list[str]:
    """Search the memory in four ways; oldest facts first."""
    semantic, keyword, temporal, entity = await together(
        memory.semantic(profile, vector),
        memory.keyword(profile, intent.keywords),
        memory.temporal(profile, intent.times, lately=intent.lately),
        memory.entity(profile, intent.names),
    )
    return [fact.text for fact in sorted({*semantic, *keyword, *temporal, *entity})]


@agentperf.stack(agentperf.timed(), kept, upstream)
async def answer(client: AsyncOpenAI, text: str, facts: Sequence[str]) -> AsyncIterator[str]:
    """Have the model answer, piece by piece."""
    async for piece in stream(client, text, facts):
        yield piece


@again
async def speak(client: AsyncOpenAI, text: str, facts: Sequence[str], show: Show) -> str:
    """Give the answer whole; `show` gets each piece of it as it comes."""
    show("")  # Tried again, the answer begins anew.
    pieces: list[str] = []
    async for piece in answer(client, text, facts):
        show(piece)
        pieces.append(piece)
    return "".join(pieces)


@asking
async def extract(client: AsyncOpenAI, text: str) -> list[NewFact]:
    """Ask the model which facts a message holds."""
    said = await ask(client, prompts.EXTRACTION, text)
    return [NewFact.read(memory) for memory in said["memories"]]


async def remember(client: AsyncOpenAI, memory: Memory, message: Message) -> None:
    """Store the facts that a message holds."""
    for fact in await extract(client, message.text):
        await memory.add(message.profile, fact, await embed(client, fact.text))


@agentperf.stack(agentperf.timed(), shorter, again, upstream)
async def judge(client: AsyncOpenAI, conversation: str) -> dict[str, Any]:
    """Ask the model how a conversation goes."""
    return await ask(client, prompts.ANALYSIS, conversation)


async def analyse(client: AsyncOpenAI, memory: Memory, message: Message, reply: str) -> None:
    """Have the model judge how the conversation goes."""
    await memory.add_turn(message, reply)
    conversation = await memory.conversation(message)
    await memory.add_analysis(message, await judge(client, conversation))


async def respond(
    client: AsyncOpenAI, memory: Memory, later: Deferred, message: Message, show: Show
) -> str:
    """Answer a message; `show` gets each piece of the answer as it comes."""
    in_private.set(message.private)
    sensitive, intent, vector, _ = await together(
        is_sensitive(client, message.text),
        understand(client, message.text),
        embed(client, message.text),
        later.settled(message.profile),
    )
    in_private.set(message.private or sensitive)
    facts = await recall(memory, message.profile, intent, vector)
    reply = await speak(client, message.text, facts, show)
    if not in_private.get():
        later.add(message.profile, remember, client, memory, message)
        later.add(ANYTIME, analyse, client, memory, message, reply)
    return reply


@contextlib.asynccontextmanager
async def agent(base_url: str, memory: Memory) -> AsyncIterator[Respond]:
    """Run the agent: gives the function that answers messages."""
    async with (
        AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client,
        anyio.create_task_group() as background,
    ):
        later = Deferred(background)

        async def in_scope(message: Message, show: Show) -> str:
            # Profiles keep their cached answers apart, and nobody joins another one's call.
            with agentperf.scope(tenant=message.profile, session=message.session):
                return await respond(client, memory, later, message, show)

        yield in_scope
