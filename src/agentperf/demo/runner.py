"""Plays conversations to an agent and takes its figures."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import anyio
from openai import AsyncOpenAI

from agentperf._engine.current import use
from agentperf._host import Host
from agentperf.demo.clock import ScaledClock
from agentperf.demo.conversations import Message, repeated
from agentperf.demo.figures import Figures, mean, quantile
from agentperf.demo.memory import Memory
from agentperf.demo.model import EMBEDDING, stream
from agentperf.demo.program import Program, Respond
from agentperf.events import CacheHit, CacheMiss
from agentperf.testing.fake_llm import FakeLLM, Pace

READING = 2.0
"""Seconds that a user takes, at full scale, to read an answer and write the next message."""

_in_repeat: ContextVar[bool] = ContextVar("in_repeat", default=False)


def pace(scale: float) -> Pace:
    """Return how fast the demo's model is: like a large model behind an API, times `scale`."""
    return Pace(ttft=0.6, tokens_per_second=34, embedding=0.25, jitter=0.25, scale=scale)


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a message.

    Attributes:
        message: The message.
        text: The answer; None when there was none.
        seconds: How long the agent took.
        first_piece: Seconds to the first piece of the answer; None when there was none.
        error: Why there was no answer.
    """

    message: Message
    text: str | None
    seconds: float
    first_piece: float | None
    error: Exception | None = None

    @property
    def missing(self) -> list[str]:
        """What a right answer would hold and this one doesn't."""
        said = (self.text or "").casefold()
        return [word for word in self.message.expect if word.casefold() not in said]


@dataclass(frozen=True, slots=True)
class Run:
    """An agent's replies to all messages, and the figures."""

    replies: list[Reply]
    figures: Figures


class _Lookups:
    """Counts hits and misses of the calls made for repeated messages, background work included."""

    def __init__(self, host: Host) -> None:
        self.hits = self.misses = 0
        host.subscribe(self._count, CacheHit, CacheMiss)

    def _count(self, event: CacheHit | CacheMiss) -> None:
        # A receiver runs inside the call, and a task inherits the context it was started from.
        if _in_repeat.get():
            hit = isinstance(event, CacheHit) or event.shared
            self.hits, self.misses = self.hits + hit, self.misses + (not hit)

    @property
    def hit_rate(self) -> float:
        lookups = self.hits + self.misses
        return self.hits / lookups if lookups else 0.0


async def play(
    program: Program,
    messages: Sequence[Message],
    llm: FakeLLM,
    *,
    scale: float,
    advance: Callable[[], object] = lambda: None,
) -> Run:
    """Play messages, one after another, to a fresh agent: an empty memory, an empty cache.

    Args:
        program: The agent.
        messages: What the users say.
        llm: The model server; its counts are reset.
        scale: What all times are multiplied by.
        advance: Called after each message.
    """
    llm.reset()
    host = Host(clock=ScaledClock(scale))
    lookups = _Lookups(host)
    with tempfile.TemporaryDirectory() as folder, use(host):
        memory = Memory(Path(folder) / "memory.db")
        replies = []
        async with program(llm.base_url, memory) as respond:
            for message, again in zip(messages, repeated(messages), strict=True):
                _in_repeat.set(again)
                replies.append(await ask(respond, message))
                advance()
                await anyio.sleep(READING * scale)
        return Run(replies, _figures(replies, llm, lookups.hit_rate))


async def warm_up(llm: FakeLLM) -> None:
    """Make one call off the record, so that the first message doesn't pay for what loads late."""
    async with AsyncOpenAI(base_url=llm.base_url, api_key="none") as client:
        await client.embeddings.create(model=EMBEDDING, input="warm up")
        async for _ in stream(client, "warm up", []):
            pass


async def ask(respond: Respond, message: Message) -> Reply:
    """Send one message and time the answer by the caller's clock."""
    shown: list[float] = []
    start = time.perf_counter()

    def show(piece: str) -> None:
        if piece:
            shown.append(time.perf_counter() - start)
        else:
            shown.clear()

    text, failure = None, None
    try:
        text = await respond(message, show)
    except Exception as error:  # noqa: BLE001 - this answer failed, the next one may not
        failure = error
    seconds = time.perf_counter() - start
    return Reply(message, text or None, seconds, shown[0] if shown else None, failure)


def _figures(replies: Sequence[Reply], llm: FakeLLM, hit_rate: float) -> Figures:
    taken = [reply.seconds for reply in replies]
    served = llm.stats()
    return Figures(
        mean_s=mean(taken),
        p50_s=quantile(taken, 0.50),
        p95_s=quantile(taken, 0.95),
        max_s=max(taken, default=0.0),
        ttft_s=mean([reply.first_piece for reply in replies if reply.first_piece is not None]),
        model_calls=served.calls,
        input_tokens=served.input_tokens,
        output_tokens=served.output_tokens,
        cost_usd=served.cost_usd,
        cache_hit_rate=hit_rate,
        failed=sum(reply.text is None for reply in replies),
    )
