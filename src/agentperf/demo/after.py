"""The same agent with agentperf: nothing is asked twice, and nobody waits without need."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar

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
kept = agentperf.cached(ttl="10m", ignore=("client",), enabled=lambda: not in_private.get())


@agentperf.timed
@kept
async def is_sensitive(client: AsyncOpenAI, text: str) -> bool:
    """Ask the model whether a message must not be stored."""
    return bool((await ask(client, prompts.PRIVACY, text))["private"])


@agentperf.timed
@kept
async def understand(client: AsyncOpenAI, text: str) -> Intent:
    """Ask the model what a message is about."""
    return Intent.read(await ask(client, prompts.INTENT, text))


@agentperf.timed
@kept
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


@agentperf.timed
@kept
async def answer(client: AsyncOpenAI, text: str, facts: Sequence[str]) -> AsyncIterator[str]:
    """Have the model answer, piece by piece."""
    async for piece in stream(client, text, facts):
        yield piece


@agentperf.timed
@kept
async def extract(client: AsyncOpenAI, text: str) -> list[NewFact]:
    """Ask the model which facts a message holds."""
    said = await ask(client, prompts.EXTRACTION, text)
    return [NewFact.read(memory) for memory in said["memories"]]


async def remember(client: AsyncOpenAI, memory: Memory, message: Message) -> None:
    """Store the facts that a message holds."""
    for fact in await extract(client, message.text):
        await memory.add(message.profile, fact, await embed(client, fact.text))


@agentperf.timed
async def analyse(client: AsyncOpenAI, memory: Memory, message: Message, reply: str) -> None:
    """Have the model judge how the conversation goes."""
    await memory.add_turn(message, reply)
    conversation = await memory.conversation(message)
    await memory.add_analysis(message, await ask(client, prompts.ANALYSIS, conversation))


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
    pieces: list[str] = []
    async for piece in answer(client, message.text, facts):
        show(piece)
        pieces.append(piece)
    reply = "".join(pieces)
    if not in_private.get():
        later.add(message.profile, remember, client, memory, message)
        later.add(ANYTIME, analyse, client, memory, message, reply)
    return reply


@contextlib.asynccontextmanager
async def agent(client: AsyncOpenAI, memory: Memory) -> AsyncIterator[Respond]:
    """Run the agent: gives the function that answers messages."""
    async with anyio.create_task_group() as background:
        later = Deferred(background)

        async def in_scope(message: Message, show: Show) -> str:
            # Profiles keep their cached answers apart, and nobody joins another one's call.
            with agentperf.scope(tenant=message.profile, session=message.session):
                return await respond(client, memory, later, message, show)

        yield in_scope
