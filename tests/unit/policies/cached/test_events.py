"""What a cache tells, and that it tells no secrets."""

from __future__ import annotations

import dataclasses

import anyio
import pytest

from agentperf import Cache, ainvalidate, cached, events, handle
from agentperf.testing import recorded
from tests.unit.policies.cached.calls import COLOURS, Counted, outcome
from tests.unit.policies.cached.test_freshness import place

pytestmark = pytest.mark.anyio
SECRET = "s3cret-question"


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_life_in_a_cache_is_told_event_by_event(fresh_host, fake_clock, colour):
    """Each kind, as often as it happened, under the operation, without arguments or keys."""
    f = cached(10, max_entries=2)(Counted(lambda x: [x]).function(colour))
    cache = handle(f).cache
    with recorded() as log:
        await outcome(f(SECRET))
        await outcome(f(SECRET))
        fake_clock.advance(10)
        await outcome(f(SECRET))
        await outcome(f(2))
        await outcome(f(3))
        cache.invalidate(3)
        cache.invalidate(3)
        cache.clear()
    assert log.names() == [
        *("CacheMiss", "CacheStored", "CacheHit", "CacheExpired", "CacheMiss", "CacheStored"),
        *("CacheMiss", "CacheStored", "CacheMiss", "CacheStored", "CacheEviction"),
        *("CacheInvalidated", "CacheCleared"),
    ]
    assert {event.operation for event in log} == {handle(f).operation}
    assert log.of(events.CacheCleared)[0].entries == 1
    assert SECRET not in repr([dataclasses.asdict(event) for event in log])


@pytest.mark.parametrize("where", ["memory", "bytes"])
@pytest.mark.parametrize("colour", COLOURS)
async def test_tags_and_backends_are_told_event_by_event(fresh_host, fake_clock, colour, where):
    """The same in a backend, which knows neither what expires nor how much it clears."""
    backend = place(where, fake_clock)
    f = cached(10, tags="a", backend=backend, name="f")(Counted(lambda x: [x]).function(colour))
    cache = handle(f).cache
    with recorded() as log:
        await outcome(f(1))
        await ainvalidate(tags="a")
        await outcome(f(1))
        await outcome(f(1))
        fake_clock.advance(10)
        await outcome(f(1))
        await cache.ainvalidate(1)
        await (cache.awarm if "async" in colour else as_awaited(cache.warm))(1, 2)
        await cache.aclear()
    expired = ["CacheExpired"] if where == "memory" else []
    assert log.names() == [
        *("CacheMiss", "CacheStored", "CacheInvalidated", "CacheMiss", "CacheStored", "CacheHit"),
        *(*expired, "CacheMiss", "CacheStored", "CacheInvalidated"),
        *("CacheMiss", "CacheStored") * 2,
        *("CacheWarmed", "CacheCleared"),
    ]
    assert log[-1].entries == (2 if where == "memory" else 0)
    stats = cache.stats()
    assert (stats.misses, stats.hits, stats.stored) == (5, 1, 5)
    assert (stats.invalidated, stats.expired) == (1, len(expired))


def as_awaited(function):
    """Make a coroutine function of a plain one."""

    async def awaited(*args):
        return function(*args)

    return awaited


@pytest.mark.parametrize("where", ["memory", "bytes"])
async def test_a_cache_object_tells_the_same(fresh_host, fake_clock, where):
    """Whatever it is asked by; what it finds void or expired is told once."""
    bound = {"max_entries": 2} if where == "memory" else {}
    cache = Cache(10, backend=place(where, fake_clock), name="c", **bound)
    with recorded() as log:
        cache.set("a", 1, tags="t")
        cache.get("a")
        await ainvalidate(tags="t")
        cache.get("a")
        cache.set("a", 1)
        fake_clock.advance(10)
        cache.get("a")
        cache.get("a")
        cache.get_or_compute("a", lambda: 1)
        cache.get_or_compute("a", lambda: 1)
        cache.delete("a")
        cache.delete("a")
        for key in "abc":
            cache.set(key, 1)
        cache.clear()
    in_memory = where == "memory"
    assert log.names() == [
        *("CacheStored", "CacheHit", "CacheInvalidated", "CacheMiss", "CacheStored"),
        *(*["CacheExpired"][: 1 if in_memory else 0], "CacheMiss", "CacheMiss"),
        *("CacheMiss", "CacheStored", "CacheHit", "CacheInvalidated"),
        *(*["CacheStored"] * 3, *["CacheEviction"][: 1 if in_memory else 0], "CacheCleared"),
    ]
    assert {event.operation for event in log} == {"agentperf.Cache.c"}
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.stored, stats.invalidated) == (2, 4, 6, 1)


def test_what_is_got_stays(fresh_host):
    """To be asked for counts as use where something must make room."""
    cache = Cache(max_entries=2)
    for key in "ab":
        cache.set(key, key)
    cache.get("a")
    cache.set("c", "c")
    assert cache.get("a") == "a"


async def test_who_joins_is_told_apart_from_who_computes(fresh_host):
    """A joined call is a miss that is shared."""

    @cached
    async def f():
        await anyio.wait_all_tasks_blocked()

    with recorded(events.CacheMiss) as log:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(f)
    assert sorted(event.shared for event in log) == [False, True, True]


async def test_warming_is_told(fresh_host):
    """With how many calls."""
    f = cached(Counted().function("sync"))
    with recorded(events.CacheWarmed) as log:
        handle(f).cache.warm(1, 2)
    assert [event.entries for event in log] == [2]


@pytest.mark.parametrize("colour", COLOURS)
async def test_events_are_made_only_for_those_who_listen(fresh_host, monkeypatch, colour):
    """Without a subscriber none is made at all; with one, only what it wants."""
    made = []

    def watched(kind):
        class Watched(kind):
            def __init__(self, **facts):
                made.append(kind)
                super().__init__(**facts)

        return Watched

    for kind in (events.CacheHit, events.CacheMiss, events.CacheStored):
        monkeypatch.setattr(f"agentperf.policies.cached.core.{kind.__name__}", watched(kind))
    f = cached(Counted().function(colour))
    await outcome(f())
    await outcome(f())
    assert made == []


async def test_who_listens_to_hits_hears_only_hits(fresh_host):
    """Subscribing and leaving takes effect at the next call, also of a function long in use."""
    f = cached(Counted().function("sync"))
    f()
    with recorded(events.CacheHit) as log:
        f()
        f(1)
    f()
    assert log.names() == ["CacheHit"]
    assert handle(f).cache.stats().hits == 2


async def test_a_listener_may_use_the_cache(fresh_host):
    """No lock is held while an event is handed out."""
    f = cached(max_entries=1)(Counted().function("sync"))
    heard = []

    def listen(event):
        heard.append(type(event).__name__)
        handle(f).cache.peek(5)
        handle(f).cache.invalidate(5)

    fresh_host.subscribe(listen, events.CacheStored, events.CacheEviction, events.CacheMiss)
    f(1)
    f(2)
    assert heard == ["CacheMiss", "CacheStored"] * 2 + ["CacheEviction"]


async def test_a_listener_that_fails_changes_nothing(fresh_host):
    """The call goes on, and the answer is kept."""
    f = cached(Counted().function("sync"))
    fresh_host.subscribe(lambda _: 1 / 0)
    assert f() == f() == [0]
    assert handle(f).cache.stats().hits == 1
