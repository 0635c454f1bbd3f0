"""The default eviction beside LRU and LFU: never much worse than the better one."""

from __future__ import annotations

import cachetools
import pytest

from tests.benchmarks.traces import hard_traces, hit_rate, ours, traces


@pytest.mark.parametrize("size", [100, 1_000])
def test_the_default_eviction_is_never_much_worse_than_the_better_of_two(size):
    """Within a point on every trace, and better by a point on some."""
    gains = {}
    for name, trace in traces(size):
        others = [
            hit_rate(cachetools.LRUCache(size), trace),
            hit_rate(cachetools.LFUCache(size), trace),
        ]
        gains[name] = hit_rate(ours(size), trace) - max(others)
    assert {name: gain for name, gain in gains.items() if gain < -1} == {}
    assert max(gains.values()) > 1


@pytest.mark.parametrize("size", [100, 1_000])
def test_where_it_is_worse_it_is_between_the_two(size):
    """What the documentation admits: below the better one, far above the worse one."""
    for name, trace in hard_traces(size):
        others = (
            hit_rate(cachetools.LRUCache(size), trace),
            hit_rate(cachetools.LFUCache(size), trace),
        )
        assert sum(others) / 2 < hit_rate(ours(size), trace), name
        assert hit_rate(ours(size), trace) > max(others) - 6, name
