"""Functions of every colour whose calls are counted, and ways to make and to watch calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import anyio

from agentperf import handle

PLAIN = ["sync", "async"]
STREAMS = ["generator", "async generator"]
COLOURS = [*PLAIN, *STREAMS]


class Counted:
    """Counts its calls; `function(colour)` is a function of that colour that makes them.

    Of a stream, what `compute` returns are the items.
    """

    def __init__(self, compute: Callable[..., Any] = lambda *args: list(args)) -> None:
        self.calls = 0
        self._compute = compute
        self._lock = threading.Lock()

    def compute(self, *args: Any) -> Any:
        """Count, and compute."""
        with self._lock:
            self.calls += 1
        return self._compute(*args)

    def function(self, colour: str) -> Callable[..., Any]:
        """Make a function of this colour."""

        def sync(x=0):
            return self.compute(x)

        async def asynchronous(x=0):
            return self.compute(x)

        def generator(x=0):
            yield from self.compute(x)

        async def async_generator(x=0):
            for item in self.compute(x):
                yield item

        return {
            "sync": sync,
            "async": asynchronous,
            "generator": generator,
            "async generator": async_generator,
        }[colour]


async def outcome(call: Any) -> Any:
    """Finish a call of any colour: its value, or the list of its items."""
    if hasattr(call, "__await__"):
        call = await call
    if hasattr(call, "__anext__"):
        return [item async for item in call]
    if hasattr(call, "__next__"):
        return list(call)
    return call


def aboard(function: Callable[..., Any]) -> int:
    """How many callers wait in the flights of a cached function."""
    flights = handle(function).cache._state.flights._shared
    return sum(flight.aboard for flight in list(flights.values()))


def until(condition: Callable[[], bool]) -> None:
    """Let other threads run until something they do has come true."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.001)


def figures(function: Callable[..., Any]) -> tuple[int, int, int]:
    """Hits, misses, shared."""
    stats = handle(function).cache.stats()
    return stats.hits, stats.misses, stats.shared


async def auntil(condition: Callable[[], bool]) -> None:
    """The same as `until` for what happens on event loops."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await anyio.sleep(0.001)
