"""A hit in the cache, beside other caches and beside nothing at all."""

from __future__ import annotations

import functools
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import agentperf
from tests.benchmarks.harness import Peer, Race
from tests.benchmarks.rows import Row, faster, within
from tests.benchmarks.work import awork, work

HOUR = 3600


def cachetools_locked() -> Callable[[str], Any]:
    """Make what cachetools offers for threads: a TTL cache behind a lock."""
    import cachetools

    cache = cachetools.TTLCache(1024, HOUR)
    return cachetools.cached(cache, lock=threading.RLock())(work)


def _dogpile() -> Callable[[str], Any]:
    from dogpile.cache import make_region

    region = make_region().configure("dogpile.cache.memory", expiration_time=HOUR)
    return region.cache_on_arguments()(work)


def _diskcache() -> Callable[[str], Any]:
    import diskcache

    return diskcache.Cache(tempfile.mkdtemp(prefix="bench-")).memoize(expire=HOUR)(work)


def _cashews() -> Callable[[str], Any]:
    from cashews import Cache

    cache = Cache()
    cache.setup("mem://")
    return cache(ttl=HOUR, key="k:{prompt}")(awork)


def _aiocache() -> Callable[[str], Any]:
    import aiocache

    return aiocache.cached(ttl=HOUR)(awork)


def _async_lru() -> Callable[[str], Any]:
    from async_lru import alru_cache

    cached = alru_cache(maxsize=1024, ttl=HOUR)(awork)

    async def call(prompt: str) -> str:
        return await cached(prompt)

    return call


HIT = Race(
    "cached hit, sync",
    lambda: agentperf.cached(ttl=HOUR)(work),
    (
        Peer("cachetools TTL + lock", cachetools_locked, faster(floor=3)),
        Peer("functools.lru_cache", lambda: functools.lru_cache(1024)(work), within(goal=2.5)),
        Peer("dogpile.cache memory", _dogpile, faster()),
        Peer("diskcache", _diskcache, faster()),
    ),
)
HIT_ASYNC = Race(
    "cached hit, async",
    lambda: agentperf.cached(ttl=HOUR)(awork),
    (
        Peer("cashews memory", _cashews, faster(floor=20)),
        Peer("aiocache memory", _aiocache, faster(floor=20)),
        Peer("bare await", lambda: awork, within(goal=4)),
        Peer("async_lru", _async_lru, faster()),
    ),
)


def rows(rounds: int) -> Iterator[Row]:
    """Measure hits in both colours."""
    for race in (HIT, HIT_ASYNC):
        yield from race.rows(rounds)
