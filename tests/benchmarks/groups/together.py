"""A thousand equal calls at once: one computation, and hardly longer than one call takes alone."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import agentperf
from tests.benchmarks.rows import SHOWN, Row, within

CALLS = 1_000
UPSTREAM = 1.0
"""Seconds that a computation takes: the call of a model."""

MS = 1000


def _cashews() -> Callable[[Any], Any]:
    from cashews import Cache

    cache = Cache()
    cache.setup("mem://")
    return cache(ttl=60, key="k:{question}", protected=True)


def _async_lru() -> Callable[[Any], Any]:
    from async_lru import alru_cache

    return alru_cache(maxsize=1024, ttl=60)


def _cachetools() -> Callable[[Any], Any]:
    import cachetools

    return cachetools.cached(cachetools.TTLCache(1024, 60), condition=threading.Condition())


def rows(rounds: int) -> Iterator[Row]:
    """Ask in tasks and in threads; one call alone stands beside it, then the peers."""
    for name, ask, peers in (
        ("asyncio", in_tasks, {"cashews, protected": _cashews, "async-lru": _async_lru}),
        ("threads", in_threads, {"cachetools, condition": _cachetools}),
    ):
        path = f"{CALLS:,} equal calls, {name}"
        ours = typical(ask, agentperf.cached, rounds)
        alone = typical(functools.partial(ask, calls=1), agentperf.cached, rounds)
        yield Row(path, ours, "one call", alone, "ms", within(floor=2))
        for peer, make in peers.items():
            theirs, reason = None, ""
            try:
                theirs = typical(ask, make(), 1)
            except (ImportError, RuntimeError) as error:
                reason = str(error)
            yield Row(path, ours, peer, theirs, "ms", SHOWN, reason)


def typical(ask: Callable[[Any], float], decorate: Any, rounds: int) -> float:
    """Return the median milliseconds."""
    return MS * median(ask(decorate) for _ in range(rounds))


def in_tasks(decorate: Any, calls: int = CALLS) -> float:
    """Return the seconds until all tasks have their answer.

    Raises:
        RuntimeError: The upstream was called more than once.
    """
    computed = 0

    @decorate
    async def answer(question: str) -> str:
        nonlocal computed
        computed += 1
        await asyncio.sleep(UPSTREAM)
        return question

    async def all_of_them() -> float:
        start = time.perf_counter()
        await asyncio.gather(*(answer("why?") for _ in range(calls)))
        return time.perf_counter() - start

    return _only_one(asyncio.run(all_of_them()), computed)


def in_threads(decorate: Any, calls: int = CALLS) -> float:
    """The same in threads, which wait at a gate until all are there."""
    computed = 0

    @decorate
    def answer(question: str) -> str:
        nonlocal computed
        computed += 1
        time.sleep(UPSTREAM)
        return question

    gate = threading.Event()

    def ask() -> None:
        gate.wait()
        answer("why?")

    threads = [threading.Thread(target=ask) for _ in range(calls)]
    for thread in threads:
        thread.start()
    start = time.perf_counter()
    gate.set()
    for thread in threads:
        thread.join()
    return _only_one(time.perf_counter() - start, computed)


def _only_one(seconds: float, computed: int) -> float:
    if computed != 1:
        raise RuntimeError(f"{computed} computations instead of one")
    return seconds
