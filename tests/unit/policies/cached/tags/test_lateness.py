"""Tags and answers past their best: what is old is given as ever, what is invalidated never."""

from __future__ import annotations

import anyio
import pytest

from agentperf import ainvalidate, cached, handle
from agentperf.policies.cached.freshness import REST
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import fresh_host as another_host
from tests.unit.policies.cached.calls import COLOURS, PLAIN, outcome
from tests.unit.policies.cached.tags.test_tags import Counting
from tests.unit.policies.cached.test_freshness import WHERE, Source, place, settled

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", COLOURS)
async def test_what_is_merely_old(fresh_host, fake_clock, colour, where):
    """A stale answer is given while a new one is made, as without tags."""
    source = Source()
    f = cached(10, stale=5, tags="a", backend=place(where, fake_clock), name="f")(
        source.function(colour)
    )
    await outcome(f())
    fake_clock.advance(12)
    assert await outcome(f()) == [1]
    await settled(f)
    assert await outcome(f()) == [2]
    assert source.calls == 2
    stats = handle(f).cache.stats()
    assert (stats.hits, stats.stale, stats.misses, stats.invalidated) == (1, 1, 1, 0)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("age", [0, 8, 12])
async def test_what_was_invalidated(fresh_host, fake_clock, colour, where, age):
    """It is gone whether it was fresh, due or stale; the caller waits for a new one."""
    source = Source()
    f = cached(
        10, stale=5, refresh_ahead=0.7, tags="a", backend=place(where, fake_clock), name="f"
    )(source.function(colour))
    await outcome(f())
    fake_clock.advance(age)
    await ainvalidate(tags="a")
    assert await outcome(f()) == [2]
    stats = handle(f).cache.stats()
    assert (stats.hits, stats.stale, stats.misses, stats.invalidated) == (0, 0, 2, 1)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", PLAIN)
async def test_what_stands_in_for_a_failure(fresh_host, fake_clock, colour, where):
    """An old answer does, an invalidated one doesn't: neither at once nor during the rest."""
    source = Source()
    f = cached(10, stale_on_error=60, tags="a", backend=place(where, fake_clock), name="f")(
        source.function(colour)
    )
    await outcome(f())
    fake_clock.advance(12)
    source.error = LookupError()
    assert await outcome(f()) == [1]
    assert await outcome(f()) == [1]
    assert source.calls == 2  # it rests
    await ainvalidate(tags="a")
    for _ in range(2):
        with pytest.raises(LookupError):
            await outcome(f())
    fake_clock.advance(REST)
    source.error = None
    assert await outcome(f()) == [5]


@pytest.mark.parametrize("where", WHERE)
async def test_invalidated_while_its_successor_failed(fresh_host, fake_clock, where):
    """The old answer that was there when the attempt began is gone when it fails."""

    @cached(10, stale_on_error=60, tags="a", backend=place(where, fake_clock), name="f")
    async def f():
        if fake_clock.now() > start:
            await ainvalidate(tags="a")
            raise LookupError
        return 1

    start = fake_clock.now()
    await f()
    fake_clock.advance(12)
    with pytest.raises(LookupError):
        await f()


@pytest.mark.parametrize("where", WHERE)
async def test_invalidated_during_a_renewal(fresh_host, fake_clock, where):
    """Its result was begun under the old version: not kept, and nobody waits for it."""
    gate, calls = anyio.Event(), 0

    @cached(10, stale=60, tags="a", backend=place(where, fake_clock), name="f")
    async def f():
        nonlocal calls
        calls += 1
        mine = calls
        if mine == 2:
            await gate.wait()
        return [mine]

    await f()
    fake_clock.advance(12)
    assert await f() == [1]
    await anyio.wait_all_tasks_blocked()
    assert calls == 2
    await ainvalidate(tags="a")
    assert await f() == [3]
    gate.set()
    await settled(f)
    assert await f() == [3]
    assert calls == 3


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", PLAIN)
async def test_a_remembered_failure(fresh_host, fake_clock, colour, where):
    """It is no longer raised once a tag of the call was invalidated: what failed may be there."""
    source = Source()
    f = cached(10, negative_ttl=60, tags="a", backend=place(where, fake_clock), name="f")(
        source.function(colour)
    )
    source.error = LookupError()
    for _ in range(3):
        with pytest.raises(LookupError):
            await outcome(f())
    assert source.calls == 1
    source.error = None
    await ainvalidate(tags="a")
    assert await outcome(f()) == [2]


@pytest.mark.parametrize("late", [{"stale": 5}, {"stale_on_error": 5}, {"refresh_ahead": 0.9}])
def test_round_trips(late):
    """A hit with tags that are known is one round trip, whatever else is asked for."""
    backend = Counting()
    f = cached(10, tags=("all", "item:{x}"), backend=backend, name="f", **late)(lambda x: x)
    with another_host():
        f(1)
        backend.trips.clear()
        f(1)
    assert backend.trips == ["get_many"]


def test_no_renewal_for_nobody(fake_clock):
    """Where the versions can't be known, what is made anew couldn't be kept: it isn't made."""

    class Forgetful(MemoryBackend):
        atomic = False  # no lease is added

        def add(self, key, value, ttl=None):
            raise ConnectionError

    source, backend = Source(), Forgetful(fake_clock)
    backend.shared = True
    with another_host(fake_clock):
        cached(10, stale=5, backend=backend, name="f")(source.function("sync"))()
    fake_clock.advance(12)
    f = cached(10, stale=5, tags="new", backend=backend, name="f")(source.function("sync"))
    with another_host(fake_clock):
        assert f() == [1]
    assert source.calls == 1
