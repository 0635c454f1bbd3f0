"""Thousands of calls that wait and are cancelled: what each holds, and what it costs to end it."""

from __future__ import annotations

import asyncio
import gc
import random
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

import agentperf

pytestmark = pytest.mark.load

MOST_BYTES_EACH = 10_000
MOST_TIMES_AS_MUCH = 5
"""A call among ten thousand may cost so many times what one among a thousand costs to cancel."""


def by_hand(call: Callable[[], Any]) -> Callable[[], Any]:
    """Have calls wait for the place of a semaphore."""
    semaphore = asyncio.Semaphore(1)

    async def wrapper() -> None:
        async with semaphore:
            await call()

    return wrapper


KINDS: dict[str, Callable[[], Callable[..., Any]]] = {
    "asyncio.Semaphore": lambda: by_hand,
    "bulkhead": lambda: agentperf.bulkhead(1),
    "rate_limited": lambda: agentperf.rate_limited("1/day", max_wait="2d"),
    "rate_limited, concurrency": lambda: agentperf.rate_limited(concurrency=1, max_wait="2d"),
}


async def waiting_and_cancelled(kind: str, number: int, *, measures_memory: bool) -> float:
    """Let calls wait behind one that stays, and cancel them in any order.

    Returns:
        Bytes that each held, or microseconds of this thread that each took to cancel.
    """
    gate = asyncio.Event()

    async def call() -> None:
        await gate.wait()

    guarded = KINDS[kind]()(call)
    first = asyncio.ensure_future(guarded())
    await asyncio.sleep(0)
    gc.collect()
    if measures_memory:
        tracemalloc.start()
    tasks = [asyncio.ensure_future(guarded()) for _ in range(number)]
    for _ in range(10):  # turns of the loop, until everybody waits
        await asyncio.sleep(0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not any(task.done() for task in tasks)
    order = random.Random(number).sample(tasks, number)
    began = time.thread_time()
    for task in order:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    took = time.thread_time() - began
    assert all(isinstance(end, asyncio.CancelledError) for end in ended)
    gate.set()
    await first
    return held / number if measures_memory else took / number * 1e6


def measured(kind: str, number: int, *, measures_memory: bool) -> float:
    """Measure it on a loop and a host of its own."""
    with agentperf.use(agentperf.Host()):
        work = waiting_and_cancelled(kind, number, measures_memory=measures_memory)
        return asyncio.run(work)


@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_wait_and_are_cancelled(kind: str) -> None:
    """What each holds is bounded, and to cancel ten times as many takes some ten times as long."""
    measured(kind, 100, measures_memory=False)  # loads what is needed
    sizes = (1_000, 10_000)
    held = {size: measured(kind, size, measures_memory=True) for size in sizes}
    cost = {
        size: min(measured(kind, size, measures_memory=False) for _ in range(3)) for size in sizes
    }
    figures = ", ".join(f"{size:,}: {held[size]:,.0f} bytes, {cost[size]:.1f} µs" for size in sizes)
    print(f"\n{kind}: {figures}")  # noqa: T201 - with -s
    assert held[10_000] < MOST_BYTES_EACH
    if kind != "asyncio.Semaphore":  # it looks for whoever leaves from the beginning
        assert cost[10_000] < MOST_TIMES_AS_MUCH * cost[1_000]
