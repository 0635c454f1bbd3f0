"""`max_entries="auto"`: grows where that wins, shrinks where it costs nothing, and settles."""

from __future__ import annotations

import pytest

import agentperf
from agentperf.policies.cached.memory.sizing import FIRST, LEAST, MOST, Sizing
from agentperf.policies.cached.memory.store import MemoryStore
from agentperf.testing import fresh_host
from tests.benchmarks.traces import Stored, hit_rate, loop, scanned, zipf


def sized(size=FIRST):
    """Make a store that is sized, as a map."""
    return Stored(MemoryStore(size, None, Sizing()))


def test_it_grows_until_a_loop_fits():
    """A loop that is larger than the cache has no hits; then it has nothing else."""
    cache = sized()
    assert hit_rate(cache, loop(3_000, 3_000)) == 0
    hit_rate(cache, loop(3_000, 30_000))
    assert 3_000 <= cache.store.max_entries < 3_000 * 1.6
    assert hit_rate(cache, loop(3_000, 6_000)) == 100


def test_it_shrinks_where_nobody_asks_for_the_tail():
    """A few favourites among keys that come once don't need much room."""
    cache = sized()
    favourites = zipf(50, 0.5, 60_000, 1)
    hit_rate(cache, scanned(favourites, 1, 1))
    assert cache.store.max_entries == LEAST
    assert len(cache.store) <= LEAST
    assert hit_rate(cache, favourites[:5_000]) > 99


def test_it_settles():
    """Once it has found its size, it leaves it alone but for trials that become rarer."""
    cache = sized()
    sizes = []
    for part in range(120):
        hit_rate(cache, zipf(4_000, 1.0, 2_000, part))
        sizes.append(cache.store.max_entries)
    changes = [at for at in range(1, len(sizes)) if sizes[at] != sizes[at - 1]]
    assert len([at for at in changes if at >= 60]) <= 2


def test_it_stays_within_its_bounds():
    """Never below the least, never above the most; ghosts are no more than entries."""
    cache = sized(MOST)
    sizing = cache.store._sizing
    for number in range(5 * MOST // 2):
        cache[number % (MOST + 1)] = True
    assert cache.store.max_entries == MOST
    assert len(sizing._ghosts) <= 2 * MOST


def test_what_is_lost_by_shrinking_is_not_tried_again_at_once():
    """Each attempt that had to be taken back doubles the wait for the next one."""
    sizing = Sizing()
    store = MemoryStore(1_000, None, sizing)
    waits = []
    for _ in range(9):
        sizing._shrunk = True
        sizing._grow(store)
        waits.append(sizing._rest)
    assert waits == [6, 12, 24, 48, 64, 64, 64, 64, 64]


@pytest.mark.parametrize("backend", ["memory", "memory:lru", "memory:sieve"])
def test_a_cached_function_is_sized(backend):
    """Whatever the eviction; the figures tell the size of now."""

    @agentperf.cached(max_entries="auto", backend=backend)
    def square(n: int) -> int:
        return n * n

    with fresh_host():
        for number in loop(2_000, 12_000):
            assert square(number) == number * number
        stats = agentperf.handle(square).cache.stats()
    assert 2_000 <= stats.max_entries < 3_500
    assert stats.hits + stats.misses == 12_000
    assert stats.hits > 4_000
