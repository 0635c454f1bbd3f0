"""Requests to caches, made the same way every time: favourites, scans, loops, changing times."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import cachetools

from agentperf.policies.cached.memory.evictions import SieveStore
from agentperf.policies.cached.memory.store import Entry, MemoryStore

FRESH = 10_000_000
"""Keys from here on are not among the favourites."""

FOREVER = float("inf")


def zipf(keys: int, skew: float, requests: int, seed: int) -> list[int]:
    """Requests of which the n-th most popular key gets a share of 1/n**skew."""
    chance = random.Random(seed)
    weights = list(accumulate(1 / n**skew for n in range(1, keys + 1)))
    return chance.choices(range(keys), cum_weights=weights, k=requests)


def scanned(favourites: list[int], every: int, length: int) -> list[int]:
    """The same, with now and then one pass over keys that nobody asks for again."""
    requests, fresh = [], FRESH
    for number, key in enumerate(favourites, 1):
        requests.append(key)
        if number % every == 0:
            requests.extend(range(fresh, fresh + length))
            fresh += length
    return requests


def loop(keys: int, requests: int) -> list[int]:
    """The same keys again and again, in the same order."""
    return [number % keys for number in range(requests)]


def mixed(favourites: list[int], keys: int, seed: int) -> list[int]:
    """Favourites, and as many requests that go round in a loop."""
    chance = random.Random(seed)
    return [
        key if chance.random() < 0.5 else FRESH + number // 2 % keys
        for number, key in enumerate(favourites)
    ]


def shifting(keys: int, skew: float, requests: int, every: int, seed: int) -> list[int]:
    """Favourites that are others from time to time."""
    chance, requested = random.Random(seed), list[int]()
    weights = list(accumulate(1 / n**skew for n in range(1, keys + 1)))
    names = list(range(keys))
    for _ in range(0, requests, every):
        chance.shuffle(names)
        requested += [names[i] for i in chance.choices(range(keys), cum_weights=weights, k=every)]
    return requested


def drifting(favourites: list[int], every: int) -> list[int]:
    """Favourites that grow old one after another."""
    return [key + number // every for number, key in enumerate(favourites)]


def traces(size: int) -> Iterator[tuple[str, list[int]]]:
    """Yield traces for a cache of `size` entries, by name."""
    requests = min(max(20_000, 12 * size), 120_000)
    for skew in (0.6, 0.8, 1.0, 1.2):
        yield f"Zipf {skew}", zipf(10 * size, skew, requests, 1)
    yield "Zipf 1.0, many keys", zipf(100 * size, 1.0, requests, 2)
    yield "Zipf 0.9, few keys", zipf(3 * size, 0.9, requests, 2)
    favourites = zipf(10 * size, 1.0, requests, 4)
    yield "Zipf 1.0 and scans", scanned(favourites, requests // 20, 2 * size)
    yield (
        "Zipf 0.8 and long scans",
        scanned(zipf(5 * size, 0.8, requests, 4), requests // 8, 5 * size),
    )
    for ratio in (1.1, 1.5, 3.0):
        yield f"loop, {ratio} times the size", loop(int(ratio * size), requests)
    yield "shifting", shifting(10 * size, 1.0, requests, requests // 6, 6)
    yield "shifting often", shifting(10 * size, 1.0, requests, max(2 * size, requests // 20), 6)


def hard_traces(size: int) -> Iterator[tuple[str, list[int]]]:
    """Yield those on which another eviction is known to be better by more than a point."""
    requests = min(max(20_000, 12 * size), 120_000)
    yield "drifting", drifting(zipf(10 * size, 1.0, requests, 7), 5)
    yield "half Zipf, half loop", mixed(zipf(5 * size, 1.0, requests, 5), 2 * size, 5)


def hit_rate(cache: Any, trace: list[int]) -> float:
    """Replay a trace on a map that evicts; return the percentage of hits."""
    hits = 0
    for key in trace:
        if cache.get(key) is not None:
            hits += 1
        else:
            cache[key] = True
    return 100 * hits / len(trace)


class Stored:
    """A store of ours as such a map."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store

    def get(self, key: int) -> Any:
        """Ask for a key, as the hot path does."""
        if (entry := self.store.entries.get(key)) is None:
            return None
        next(entry.ticks)
        return entry.value

    def __setitem__(self, key: int, value: Any) -> None:
        self.store.put(Entry(key, value, FOREVER, quick=True))


def ours(size: int) -> Stored:
    """Make a map with our default eviction."""
    return Stored(MemoryStore(size))


CACHES: dict[str, Callable[[int], Any]] = {
    "agentperf": ours,
    "SIEVE": lambda size: Stored(SieveStore(size)),
    "LRU": cachetools.LRUCache,
    "LFU": cachetools.LFUCache,
}
