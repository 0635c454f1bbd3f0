"""How often the cache has the answer when it is too small for all of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import accumulate

import agentperf
from tests.benchmarks.rows import SHOWN, Row

REQUESTS = 60_000
KEYS = 10_000
ENTRIES = 500
SCAN = 2_000


def rows(rounds: int) -> Iterator[Row]:
    """Replay two traces, beside the eviction of the least recently used entry."""
    for path, trace in (("hit rate, popular keys", popular()), ("the same with scans", scanned())):
        ours = _hit_rate(agentperf.cached(max_entries=ENTRIES), trace)
        theirs = _hit_rate(lru_cache(ENTRIES), trace)
        yield Row(path, ours, "functools.lru_cache", theirs, "%", SHOWN)


def popular() -> list[int]:
    """Requests of which the n-th most popular key gets a share of 1/n (Zipf)."""
    chance = random.Random(7)
    weights = list(accumulate(1 / n for n in range(1, KEYS + 1)))
    return chance.choices(range(KEYS), cum_weights=weights, k=REQUESTS)


def scanned() -> list[int]:
    """The same, with now and then one pass over many keys that nobody asks for again."""
    requests, fresh = [], KEYS
    for number, key in enumerate(popular()):
        if number % (REQUESTS // 10) == 0:
            requests.extend(range(fresh, fresh + SCAN))
            fresh += SCAN
        requests.append(key)
    return requests


def _hit_rate(decorate: Callable[..., Callable[[int], int]], trace: list[int]) -> float:
    computed = 0

    @decorate
    def compute(key: int) -> int:
        nonlocal computed
        computed += 1
        return key

    for key in trace:
        compute(key)
    return 100.0 * (1 - computed / len(trace))
