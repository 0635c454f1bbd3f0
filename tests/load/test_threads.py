"""Many threads on the same functions: the counts are exact, not nearly so."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import agentperf

pytestmark = pytest.mark.load

THREADS = 8
CALLS = 60_000


@pytest.fixture
def often_switching():
    """Have Python switch threads as often as it can, where it would tear what can be torn."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def in_threads(work):
    """Run `work(number)` in all threads, which start together; raise what one of them raised."""
    together = threading.Barrier(THREADS)

    def run(number):
        together.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


@pytest.mark.usefixtures("often_switching")
def test_hits_and_calls_are_counted_exactly():
    """Calls, hits, misses and those who shared add up to the very number of calls."""
    computed = []

    @agentperf.timed(name="load.hits")
    @agentperf.cached(max_entries=64)
    def square(number):
        computed.append(number)
        return number * number

    def work(_):
        assert all(square(n % 50) == (n % 50) ** 2 for n in range(CALLS))

    before = agentperf.handle(square).stats().latency.count
    in_threads(work)
    calls = agentperf.handle(square).stats().latency.count - before
    cache = agentperf.handle(square).cache.stats()
    assert calls == THREADS * CALLS
    assert cache.hits + cache.misses + cache.shared == THREADS * CALLS
    assert cache.misses == len(computed) == 50
    assert (cache.size, cache.evictions, cache.stored) == (50, 0, 50)


@pytest.mark.usefixtures("often_switching")
def test_a_small_cache_stays_small_and_right():
    """While threads evict each other's entries, answers stay right and the size stays bounded."""
    computed = []

    @agentperf.cached(max_entries=20)
    def square(number):
        computed.append(number)
        return number * number

    sizes = []

    def work(seed):
        for turn in range(CALLS // 10):
            number = (turn * (seed + 3) + turn // 7) % 90
            assert square(number) == number * number
            if turn % 100 == 0:
                sizes.append(agentperf.handle(square).cache.stats().size)

    in_threads(work)
    cache = agentperf.handle(square).cache.stats()
    assert max(sizes) <= 20
    assert cache.misses == len(computed) == cache.stored
    assert cache.stored - cache.evictions == cache.size <= 20


@pytest.mark.usefixtures("often_switching")
def test_failures_are_counted_exactly():
    """Errors of every class, and completed calls beside them, are all there."""

    @agentperf.timed(name="load.failures")
    def sometimes(number):
        if number % 3 == 0:
            raise (KeyError if number % 2 else ValueError)(number)
        return number

    def work(_):
        for number in range(CALLS // 10):
            try:
                sometimes(number)
            except LookupError:
                pass
            except ValueError:
                pass

    in_threads(work)
    stats = agentperf.handle(sometimes).stats()
    each = range(CALLS // 10)
    odd = sum(n % 3 == 0 and n % 2 == 1 for n in each) * THREADS
    even = sum(n % 6 == 0 for n in each) * THREADS
    assert dict(stats.errors) == {"KeyError": odd, "ValueError": even}
    assert stats.latency.count == THREADS * len(each) - odd - even


@pytest.mark.usefixtures("often_switching")
@pytest.mark.parametrize("backend", ["memory", "memory:sieve", "memory:lru"])
def test_hits_are_counted_exactly_while_entries_come_and_go(backend):
    """A hit on an entry that is evicted at that very moment is not lost."""

    @agentperf.cached(max_entries=20, max_bytes="1MB", backend=backend)
    def square(number):
        return number * number

    calls = CALLS // 6

    def work(number):
        assert all(square((n * (number + 1)) % 37) >= 0 for n in range(calls))

    in_threads(work)
    stats = agentperf.handle(square).cache.stats()
    assert stats.calls == THREADS * calls
    assert stats.evictions > 1_000
    assert stats.hits > 1_000
    assert stats.stored == stats.evictions + stats.size
    assert stats.size <= 20
