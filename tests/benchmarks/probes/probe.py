"""A probe: one question about behaviour, put to agentperf and to each peer that it applies to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

Adapter = TypeVar("Adapter")
"""How a family's probes use a library, in the way its documentation shows."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

OURS = "agentperf"


@dataclass(frozen=True)
class Probe(Generic[Adapter]):
    """One question.

    Attributes:
        question: What is done, and what should come of it.
        check: Puts the question; raises `AssertionError` where the answer is no.
        peers: Whom else it is put to: those that offer the feature.
        real_time: Whether only real time can show it.
        not_yet: Why agentperf doesn't pass, where that is known.
    """

    question: str
    check: Callable[[Adapter], Awaitable[None]]
    peers: tuple[str, ...]
    real_time: bool = False
    not_yet: str = ""

    @property
    def name(self) -> str:
        """What it is called on a command line."""
        return self.check.__name__

    @property
    def contestants(self) -> tuple[str, ...]:
        """Everybody it is put to, us first."""
        return (OURS, *self.peers)


def threaded(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Make calls of a synchronous function awaitable, each in a thread."""
    threads = ThreadPoolExecutor(64)  # asyncio's own has too few for all to meet

    async def call(*args: Any, **kwargs: Any) -> Any:
        work = partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(threads, work)

    return call


async def outcomes(*calls: Awaitable[Any]) -> list[Any]:
    """Await all at once; return the value or the error of each."""
    return list(await asyncio.gather(*calls, return_exceptions=True))
