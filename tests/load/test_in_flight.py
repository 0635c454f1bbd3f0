"""Ten thousand calls at once: every one gets its answer, and none holds much memory."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest

import agentperf

pytestmark = pytest.mark.load

CALLS = 10_000
MOST_BYTES_EACH = 10_000


@pytest.fixture(autouse=True)
def own_host():
    """Give each test a world of its own."""
    with agentperf.use(agentperf.Host()):
        yield


async def in_flight(function, gate, arguments):
    """Call with every argument, let all of them wait; return the answers and the bytes of each."""
    gc.collect()
    tracemalloc.start()
    try:
        tasks = [asyncio.ensure_future(function(argument)) for argument in arguments]
        for _ in range(10):  # turns of the loop, until everybody waits
            await asyncio.sleep(0)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not any(task.done() for task in tasks)
    gate.set()
    return await asyncio.gather(*tasks), held / CALLS


@pytest.mark.parametrize("keys", [1, CALLS])
def test_ten_thousand_calls_wait_together(keys, record_property):
    """On one key all share one computation; on as many keys each computes; nobody fails."""

    async def main():
        gate, computed = asyncio.Event(), []

        @agentperf.timed
        @agentperf.cached(max_entries=CALLS)
        async def answer(question):
            computed.append(question)
            await gate.wait()
            return f"answer to {question}"

        questions = [number % keys for number in range(CALLS)]
        answers, each = await in_flight(answer, gate, questions)
        handle = agentperf.handle(answer)
        return questions, answers, computed, each, handle.cache.stats(), handle.stats()

    questions, answers, computed, each, cache, calls = asyncio.run(main())
    assert answers == [f"answer to {question}" for question in questions]
    assert sorted(computed) == list(range(keys))
    assert (cache.misses, cache.shared, cache.hits) == (keys, CALLS - keys, 0)
    assert (calls.latency.count, calls.errors) == (CALLS, {})
    record_property("bytes_per_waiting_call", round(each))
    assert each < MOST_BYTES_EACH


def test_half_of_them_give_up():
    """Cancelled callers leave alone: the others get the answer, and it is computed once."""

    async def main():
        gate, computed = asyncio.Event(), []

        @agentperf.cached
        async def answer(question):
            computed.append(question)
            await gate.wait()
            return question

        tasks = [asyncio.ensure_future(answer("q")) for _ in range(CALLS)]
        for _ in range(10):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.sleep(0)
        gate.set()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        return ended, computed

    ended, computed = asyncio.run(main())
    assert computed == ["q"]
    assert ended[1::2] == ["q"] * (CALLS // 2)
    assert all(isinstance(end, asyncio.CancelledError) for end in ended[::2])


def test_failures_reach_everybody():
    """One computation that fails is everybody's failure, once each, and is not kept."""

    async def main():
        gate = asyncio.Event()

        @agentperf.cached
        async def answer(question):
            await gate.wait()
            raise LookupError(question)

        tasks = [asyncio.ensure_future(answer("q")) for _ in range(CALLS)]
        for _ in range(10):
            await asyncio.sleep(0)
        gate.set()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        return ended, agentperf.handle(answer).cache.stats()

    ended, stats = asyncio.run(main())
    assert [str(end) for end in ended] == ["q"] * CALLS
    assert (stats.misses, stats.shared, stats.stored, stats.size) == (1, CALLS - 1, 0, 0)
