"""Caches: who shares a computation, what makes two calls the same, what a reader can spoil."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.probes.probe import Decorator, Probe, outcomes, threaded

HOUR = 3600
WORK = 0.1
"""Seconds that a computation takes where others are to meet it."""
LEASE = 0.5
"""Seconds for which a library with leases is told to hold one."""


@dataclass(frozen=True)
class Cache:
    """How one library caches.

    Attributes:
        make: Makes a decorator, with an empty cache.
        asynchronous: Whether that is for `async def`.
        make_for_streams: The same for generators, where they take another one.
    """

    make: Callable[[], Decorator]
    asynchronous: bool = True
    make_for_streams: Callable[[], Decorator] | None = None

    def around_stream(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate a generator function."""
        return (self.make_for_streams or self.make)()(function)


@dataclass
class Work:
    """What is cached: counts its runs, takes `takes` seconds, and gives what `body` makes.

    It runs on the event loop or in a thread, as the library wants it; calls of it are awaited.
    """

    cache: Cache
    body: Callable[[Any, Any], Any] = lambda a, b: (a, b)
    takes: float = 0.0
    runs: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        async def on_loop(a: Any, b: Any = 2) -> Any:
            self.runs += 1
            await asyncio.sleep(self.takes)
            return self.body(a, b)

        def in_thread(a: Any, b: Any = 2) -> Any:
            self.runs += 1
            time.sleep(self.takes)
            return self.body(a, b)

        work = on_loop if self.cache.asynchronous else in_thread
        decorated = self.cache.make()(work)
        self.call = decorated if self.cache.asynchronous else threaded(decorated)


# -- the probes -----------------------------------------------------------------------------------


async def one_of_five_is_cancelled(cache: Cache) -> None:
    """The first caller and a later one, each in turn."""
    for leaves in (0, 3):
        work = Work(cache, takes=WORK)
        calls = [asyncio.ensure_future(work.call(1)) for _ in range(5)]
        await asyncio.sleep(WORK / 3)
        calls[leaves].cancel()
        results = await outcomes(*calls)
        others = results[:leaves] + results[leaves + 1 :]
        assert others == [(1, 2)] * 4, f"the others got {others}"
        assert work.runs == 1, f"{work.runs} calls"


async def leader_fails(cache: Cache) -> None:
    """Ten wait for one that fails; nobody makes the same failure again."""
    work = Work(cache, lambda a, b: 1 / a, takes=WORK)
    results = await outcomes(*(work.call(0) for _ in range(10)))
    assert [type(result) for result in results] == [ZeroDivisionError] * 10, results
    assert work.runs == 1, f"{work.runs} calls"


async def work_is_long(cache: Cache) -> None:
    """Ten wait for work that takes three leases."""
    work = Work(cache, takes=3 * LEASE)
    assert await outcomes(*(work.call(1) for _ in range(10))) == [(1, 2)] * 10
    assert work.runs == 1, f"{work.runs} calls"


async def spelled_differently(cache: Cache) -> None:
    """By position, by name, and with the default left out."""
    work = Work(cache)
    for call in (work.call(1, 2), work.call(1, b=2), work.call(a=1, b=2), work.call(1)):
        assert await call == (1, 2)
    assert work.runs == 1, f"{work.runs} entries"


async def look_alike(cache: Cache) -> None:
    """Values that print or join alike; to refuse a list is no mistake, to mix it up is."""
    work = Work(cache, lambda a, b: (type(a).__name__, repr(a)))
    for value in ([1, 2], (1, 2), "1:2", None, "", "None", 1, "1", b"x", "x"):
        try:
            answer = await work.call(value)
        except TypeError:
            assert isinstance(value, list), f"{value!r} was refused"
            continue
        assert answer == (type(value).__name__, repr(value)), f"{value!r} got that of {answer[1]}"


async def load_fails_once(cache: Cache) -> None:
    """An error is no answer, and leaves nothing behind that others would wait for."""
    failing = iter([True])
    work = Work(cache, lambda a, b: 1 / 0 if next(failing, False) else a)
    first = await outcomes(work.call(1))
    assert isinstance(first[0], ZeroDivisionError), first
    second = await asyncio.wait_for(work.call(1), 2)
    assert second == 1, second


class Thing:
    """An object that prints as its address."""

    def __init__(self, number: int) -> None:
        self.number = number


async def same_address(cache: Cache) -> None:
    """Each object dies before the next is made, which then often lies where it lay."""
    work = Work(cache, lambda a, b: a.number)
    for number in range(50):
        try:
            answer = await work.call(Thing(number))
        except TypeError:
            return  # refused: not to be mistaken
        assert answer == number, f"object {number} got the answer of object {answer}"


async def hit_is_changed(cache: Cache) -> None:
    """A reader adds to the list that it was given from the cache."""
    work = Work(cache, lambda a, b: [a])
    await work.call(1)
    (await work.call(1)).append("spoilt")
    assert work.runs == 1, "not cached"
    assert await work.call(1) == [1], "the cache was changed"


async def stream_with_empty_item(cache: Cache) -> None:
    """Models send empty chunks; a replay must not end at one."""
    items, runs = ["a", "", "b"], 0

    async def stream(prompt: str) -> AsyncIterator[str]:
        nonlocal runs
        runs += 1
        for item in items:
            yield item

    cached = cache.around_stream(stream)
    for _ in range(2):
        got = [item async for item in cached("x")]
        assert got == items, f"replayed {got}"
    assert runs == 1, "not cached"


async def five_streams(cache: Cache) -> None:
    """All five begin before the first has ended."""
    runs = 0

    async def stream(prompt: str) -> AsyncIterator[str]:
        nonlocal runs
        runs += 1
        for item in "abc":
            await asyncio.sleep(WORK / 3)
            yield item

    cached = cache.around_stream(stream)

    async def read() -> list[str]:
        return [item async for item in cached("x")]

    results = await outcomes(*(read() for _ in range(5)))
    assert results == [list("abc")] * 5, results
    assert runs == 1, f"{runs} upstream"


async def async_function(cache: Cache) -> None:
    """The decorator that is meant for plain functions, on an `async def`."""
    assert await Work(cache).call(1) == (1, 2)  # it works, for what it is meant for

    async def work(a: int) -> int:
        return a

    try:
        cached = cache.make()(work)
    except Exception:  # noqa: BLE001 - refusing it is right, in whatever words
        return
    for _ in range(2):
        answer = await cached(1)
        assert answer == 1, answer


# -- the libraries --------------------------------------------------------------------------------


def _agentperf() -> Cache:
    import agentperf

    return Cache(lambda: agentperf.cached(ttl=HOUR))


def _aiocache() -> Cache:
    import aiocache

    return Cache(lambda: aiocache.cached_stampede(lease=LEASE, ttl=HOUR))


def _async_lru() -> Cache:
    from async_lru import alru_cache

    return Cache(lambda: alru_cache(maxsize=1024, ttl=HOUR))


def _cachebox() -> Cache:
    import cachebox

    return Cache(lambda: cachebox.cached(cachebox.TTLCache(1024, HOUR)))


def _cachetools() -> Cache:
    import cachetools

    def make() -> Decorator:
        cache = cachetools.TTLCache[Any, Any](1024, HOUR)
        return cachetools.cached(cache, condition=threading.Condition())

    return Cache(make, asynchronous=False)


def _cashews() -> Cache:
    import cashews

    def empty() -> Any:
        cache = cashews.Cache()
        cache.setup("mem://")
        return cache

    return Cache(lambda: empty()(ttl=HOUR), make_for_streams=lambda: empty().iterator(ttl=HOUR))


def _diskcache() -> Cache:
    import diskcache

    def make() -> Decorator:
        return diskcache.Cache(tempfile.mkdtemp(prefix="probe-")).memoize(typed=True, expire=HOUR)

    return Cache(make, asynchronous=False)


def _dogpile() -> Cache:
    from dogpile.cache import make_region

    def make() -> Decorator:
        region = make_region().configure("dogpile.cache.memory", expiration_time=HOUR)
        return region.cache_on_arguments()

    return Cache(make, asynchronous=False)


CONTESTANTS: dict[str, Callable[[], Cache]] = {
    "agentperf": _agentperf,
    "aiocache": _aiocache,
    "async-lru": _async_lru,
    "cachebox": _cachebox,
    "cachetools": _cachetools,
    "cashews": _cashews,
    "diskcache": _diskcache,
    "dogpile.cache": _dogpile,
}

ON_LOOP = ("aiocache", "async-lru", "cachebox", "cashews")
IN_THREADS = ("cachetools", "diskcache", "dogpile.cache")
SHARING = (*ON_LOOP, "cachetools", "dogpile.cache")
ALL = (*ON_LOOP, *IN_THREADS)

PROBES = (
    Probe(
        "5 concurrent calls, one is cancelled: 1 call, 4 results", one_of_five_is_cancelled, ON_LOOP
    ),
    Probe("the leader fails, 10 wait: 1 call, 10 errors", leader_fails, SHARING),
    Probe("work longer than the lock's lease: 1 call", work_is_long, SHARING, True),
    Probe("`f(1, 2)`, `f(1, b=2)`, `f(a=1, b=2)`, `f(1)`: 1 entry", spelled_differently, ALL),
    Probe(
        '`[1, 2]`, `(1, 2)`, `"1:2"`; `None`, `""`; `1`, `"1"`: kept apart (or lists refused)',
        look_alike,
        ALL,
    ),
    Probe("the load fails once: the next call works", load_fails_once, ALL),
    Probe("another object at the same address: not taken for the first", same_address, ALL),
    Probe("a hit is changed by its reader: the cache is not", hit_is_changed, ALL),
    Probe(
        "cached stream with an empty item: replayed in full", stream_with_empty_item, ("cashews",)
    ),
    Probe("5 concurrent identical streams: 1 upstream", five_streams, ("cashews",)),
    Probe(
        "`async def` under the decorator of a cache: works, or is refused when decorated",
        async_function,
        ("cachebox", *IN_THREADS),
    ),
)
