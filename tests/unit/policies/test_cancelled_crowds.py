"""Crowds of tasks that are cancelled at random: every permit comes back, and none is invented."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
import trio

import agentperf
from agentperf import handle
from agentperf.errors import CircuitOpen, RateLimitExceeded
from agentperf.testing import FakeClock, fresh_host


class Crowd:
    """Tasks of a guarded function, of which each stays in it for a while if it gets there.

    Attributes:
        running: Who is in it.
        most: How many were, at once.
        let_in: Who ever was.
    """

    def __init__(self, decorate, sleep):
        self.running = set()
        self.most = 0
        self.let_in = []
        self._sleep = sleep
        self.call = decorate(self._work)

    async def _work(self, number):
        self.let_in.append(number)
        self.running.add(number)
        self.most = max(self.most, len(self.running))
        try:
            await self._sleep(number)
            return number
        finally:
            self.running.remove(number)


def bulkhead_is_whole(call):
    """Nobody has a place, nobody waits."""
    stats = handle(call).bulkhead.stats()
    return (stats.in_use, stats.waiting) == (0, 0)


def limiter_is_whole(call):
    """As much is left as at the beginning."""
    limiter = handle(call).limiter
    return (limiter.remaining(), limiter.waiting()) == ({"requests": 50, "concurrency": 7}, 0)


GUARDS = {
    "bulkhead": (lambda: agentperf.bulkhead(7), bulkhead_is_whole, 7),
    "rate_limited": (
        lambda: agentperf.rate_limited("50/s", concurrency=7, max_wait="1h"),
        limiter_is_whole,
        7,
    ),
    "in a row": (
        lambda: agentperf.stack(
            agentperf.bulkhead(9),
            agentperf.rate_limited("50/s", concurrency=7, max_wait="1h"),
            agentperf.circuit_breaker(),
        ),
        lambda call: bulkhead_is_whole(call) and limiter_is_whole(call),
        7,
    ),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_ten_thousand_on_asyncio(guard):
    """Most are cancelled, in any order, while they wait, run, or have just been woken."""
    make, is_whole, places = GUARDS[guard]
    clock, chance, number = FakeClock(), random.Random(20), 10_000

    async def main():
        gates = {}

        async def stay(number):
            gates[number] = asyncio.get_running_loop().create_future()
            await gates[number]

        crowd = Crowd(make(), stay)
        tasks = [asyncio.ensure_future(crowd.call(each)) for each in range(number)]
        await clock.aadvance(0)
        alive = set(range(number))
        doomed = chance.sample(range(number), number - 500)
        while alive:
            for each in doomed[-400:]:
                tasks[each].cancel()
            del doomed[-400:]
            for each in chance.sample(sorted(crowd.running), min(3, len(crowd.running))):
                if not gates[each].done():
                    gates[each].set_result(None)
            if chance.random() < 0.5:  # or else those who were woken are cancelled before they run
                await clock.aadvance(chance.choice([0, 0.01, 0.1]))
            if not doomed:
                await clock.aadvance(0.5)
            alive = {each for each in alive if not tasks[each].done()}
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        await clock.aadvance(60)
        return crowd, ends, tasks

    with fresh_host(clock):
        crowd, ends, _ = asyncio.run(main())
        assert crowd.most == places
        assert is_whole(crowd.call)
    kinds = Counter(type(end).__name__ for end in ends)
    assert kinds["int"] + kinds["CancelledError"] == number
    assert kinds["int"] >= 500
    assert kinds["CancelledError"] > 9_000
    assert all(end == each for each, end in enumerate(ends) if isinstance(end, int))


@pytest.mark.parametrize("guard", GUARDS)
def test_two_thousand_on_trio(guard):
    """The same there."""
    make, is_whole, places = GUARDS[guard]
    clock, chance, number = FakeClock(), random.Random(30), 2_000
    done = []

    async def main():
        gates = {}

        async def stay(number):
            gates[number] = trio.Event()
            await gates[number].wait()

        crowd = Crowd(make(), stay)
        scopes = [trio.CancelScope() for _ in range(number)]

        async def one(each):
            with scopes[each]:
                done.append(await crowd.call(each))

        async with trio.open_nursery() as nursery:
            for each in range(number):
                nursery.start_soon(one, each)
            await clock.aadvance(0)
            doomed = chance.sample(range(number), number - 200)
            while nursery.child_tasks:
                for each in doomed[-100:]:
                    scopes[each].cancel()
                del doomed[-100:]
                for each in chance.sample(sorted(crowd.running), min(3, len(crowd.running))):
                    gates[each].set()
                await clock.aadvance(chance.choice([0, 0.01, 0.1]) if doomed else 0.5)
        await clock.aadvance(60)
        return crowd

    with fresh_host(clock):
        crowd = trio.run(main)
        assert crowd.most == places
        assert is_whole(crowd.call)
    assert len(done) >= 200
    assert len(done) == len(set(done))


def test_ten_thousand_at_a_breaker_that_looks_again():
    """Never more probes than it has; those that are cancelled give theirs back."""
    clock, chance, number = FakeClock(), random.Random(40), 10_000

    async def main():
        failing = True
        gates = {}

        async def stay(number):
            if failing:
                raise ConnectionError
            gates[number] = asyncio.get_running_loop().create_future()
            await gates[number]

        crowd = Crowd(
            agentperf.circuit_breaker(minimum_calls=4, window=4, open_for=10, probes=3), stay
        )
        for each in range(4):
            with pytest.raises(ConnectionError):
                await crowd.call(each)
        await clock.aadvance(12)
        failing, crowd.most, refused = False, 0, 0
        crowd.let_in.clear()
        for start in range(0, number, 20):
            tasks = [asyncio.ensure_future(crowd.call(start + each)) for each in range(20)]
            await asyncio.sleep(0)
            chance.shuffle(tasks)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            refused += sum(isinstance(end, CircuitOpen) for end in ends)
            assert not crowd.running
        assert len(crowd.let_in) + refused == number
        assert len(crowd.let_in) == 3 * number / 20
        assert crowd.most == 3
        assert handle(crowd.call).breaker.state() == "half-open"
        tasks = [asyncio.ensure_future(crowd.call(number + each)) for each in range(3)]
        await asyncio.sleep(0)
        for gate in gates.values():
            if not gate.done():
                gate.set_result(None)
        assert await asyncio.gather(*tasks) == [number, number + 1, number + 2]
        assert handle(crowd.call).breaker.state() == "closed"

    with fresh_host(clock):
        asyncio.run(main())


def test_those_whose_time_is_over_take_nothing():
    """Ten thousand are refused when they have waited long enough; the next gets what is left."""
    clock, number = FakeClock(), 10_000

    async def main():
        @agentperf.rate_limited("10/min", burst=1, max_wait=20)
        async def work():
            return "in"

        tasks = [asyncio.ensure_future(work()) for _ in range(number)]
        await clock.aadvance(0)
        await clock.aadvance(21)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        kinds = Counter("in" if end == "in" else type(end) for end in ends)
        assert kinds == {"in": 4, RateLimitExceeded: number - 4}
        assert handle(work).limiter.waiting() == 0
        await clock.aadvance(6)
        assert await work() == "in"

    with fresh_host(clock):
        asyncio.run(main())
