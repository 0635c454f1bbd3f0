"""What a cache tells, and that it tells no secrets."""

from __future__ import annotations

import dataclasses

import anyio
import pytest

from agentperf import cached, events, handle
from agentperf.testing import recorded
from tests.unit.policies.cached.calls import COLOURS, Counted, outcome

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
