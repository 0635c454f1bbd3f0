"""Ten thousand calls in flight at once, and what each of them holds."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import agentperf
from tests.benchmarks.rows import Row, below

CALLS = 10_000
KB = 1000


def rows(rounds: int) -> Iterator[Row]:
    """Measure calls that wait for one answer, and calls that wait each for its own."""
    terms = below(floor=10, goal=4)
    bare = asyncio.run(held_by_each(lambda function: function, range(CALLS)))
    for path, arguments in (
        (f"{CALLS:,} calls in flight, one key", [0] * CALLS),
        (f"{CALLS:,} calls in flight, as many keys", range(CALLS)),
    ):
        cached = agentperf.cached(max_entries=CALLS)
        ours = asyncio.run(held_by_each(cached, arguments))
        yield Row(path, ours / KB, "bare tasks", bare / KB, "kB", terms)


async def held_by_each(
    decorate: Callable[[Callable[..., Any]], Callable[..., Any]], arguments: Any
) -> float:
    """Have a call for each argument wait; return the bytes that each holds meanwhile.

    Raises:
        RuntimeError: A call gave another answer than it should.
    """
    gate = asyncio.Event()

    @decorate
    async def answer(question: int) -> int:
        await gate.wait()
        return question

    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tasks = [asyncio.ensure_future(answer(question)) for question in arguments]
    # Some turns of the loop, for every task to arrive where it waits.
    for _ in range(10):
        await asyncio.sleep(0)
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    gate.set()
    if await asyncio.gather(*tasks) != list(arguments):
        raise RuntimeError("a waiting call got a wrong answer")
    return held / len(tasks)
