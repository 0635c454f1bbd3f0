"""The agent as it was first written: every step waits for the one before it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Sequence
from typing import Any

from openai import AsyncOpenAI

from agentperf.demo import prompts
from agentperf.demo.conversations import Message
from agentperf.demo.memory import Memory, NewFact
from agentperf.demo.model import EMBEDDING, Intent, ask, stream
from agentperf.demo.program import Respond, Show


async def is_sensitive(client: AsyncOpenAI, text: str) -> bool:
    """Ask the model whether a message must not be stored."""
    return bool((await ask(client, prompts.PRIVACY, text))["private"])


async def understand(client: AsyncOpenAI, text: str) -> Intent:
    """Ask the model what a message is about."""
    return Intent.read(await ask(client, prompts.INTENT, text))


async def embed(client: AsyncOpenAI, text: str) -> list[float]:
    """Turn a text into a vector."""
    result = await client.embeddings.create(model=EMBEDDING, input=text)
    return result.data[0].embedding


async def recall(
    memory: Memory, profile: str, intent: Intent, vector: Sequence[float]
) -> list[str]:
    """Search the memory in four ways; oldest facts first."""
    semantic = await memory.semantic(profile, vector)
    keyword = await memory.keyword(profile, intent.keywords)
    temporal = await memory.temporal(profile, intent.times, lately=intent.lately)
    entity = await memory.entity(profile, intent.names)
    return [fact.text for fact in sorted({*semantic, *keyword, *temporal, *entity})]


async def answer(client: AsyncOpenAI, text: str, facts: Sequence[str]) -> AsyncIterator[str]:
    """Have the model answer, piece by piece."""
    async for piece in stream(client, text, facts):
        yield piece


async def speak(client: AsyncOpenAI, text: str, facts: Sequence[str], show: Show) -> str:
    """Give the answer whole; `show` gets each piece of it as it comes."""
    pieces: list[str] = []
    async for piece in answer(client, text, facts):
        show(piece)
        pieces.append(piece)
    return "".join(pieces)


async def extract(client: AsyncOpenAI, text: str) -> list[NewFact]:
    """Ask the model which facts a message holds."""
    said = await ask(client, prompts.EXTRACTION, text)
    return [NewFact.read(memory) for memory in said["memories"]]


async def remember(client: AsyncOpenAI, memory: Memory, message: Message) -> None:
    """Store the facts that a message holds."""
    for fact in await extract(client, message.text):
        await memory.add(message.profile, fact, await embed(client, fact.text))


async def judge(client: AsyncOpenAI, conversation: str) -> dict[str, Any]:
    """Ask the model how a conversation goes."""
    return await ask(client, prompts.ANALYSIS, conversation)


async def analyse(client: AsyncOpenAI, memory: Memory, message: Message, reply: str) -> None:
    """Have the model judge how the conversation goes."""
    await memory.add_turn(message, reply)
    conversation = await memory.conversation(message)
    await memory.add_analysis(message, await judge(client, conversation))


async def respond(client: AsyncOpenAI, memory: Memory, message: Message, show: Show) -> str:
    """Answer a message; `show` gets each piece of the answer as it comes."""
    sensitive = await is_sensitive(client, message.text)
    intent = await understand(client, message.text)
    vector = await embed(client, message.text)
    facts = await recall(memory, message.profile, intent, vector)
    reply = await speak(client, message.text, facts, show)
    if not (message.private or sensitive):
        await remember(client, memory, message)
        await analyse(client, memory, message, reply)
    return reply


@contextlib.asynccontextmanager
async def agent(base_url: str, memory: Memory) -> AsyncIterator[Respond]:
    """Run the agent: gives the function that answers messages."""
    async with AsyncOpenAI(base_url=base_url, api_key="none") as client:
        yield functools.partial(respond, client, memory)
