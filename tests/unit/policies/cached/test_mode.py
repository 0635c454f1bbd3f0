"""Regions in which caches are used in another way, and answers that say how they are kept."""

from __future__ import annotations

import anyio
import pytest

import agentperf
from agentperf import CacheMissError, ConfigurationError, Host, cached, handle, use
from agentperf.policies.cached.flights.flight import CacheControl
from tests.unit.policies.cached.calls import COLOURS, PLAIN, Counted, figures, outcome
from tests.unit.policies.cached.test_freshness import WHERE, Source, place, settled

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", COLOURS)
async def test_a_bypass_neither_looks_nor_stores(fresh_host, fake_clock, colour, where):
    """And counts nothing."""
    source = Source()
    f = cached(10, backend=place(where, fake_clock), name="m")(source.function(colour))
    assert await outcome(f()) == [1]
    with agentperf.cache_mode("bypass"):
        assert await outcome(f()) == [2]
    assert await outcome(f()) == [1]
    assert figures(f) == (1, 1, 0)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", COLOURS)
async def test_a_refresh_replaces_what_is_stored(fresh_host, fake_clock, colour, where):
    """Each call in the region computes."""
    source = Source()
    f = cached(10, backend=place(where, fake_clock), name="m")(source.function(colour))
    await outcome(f())
    with agentperf.cache_mode("refresh"):
        assert await outcome(f()) == [2]
        assert await outcome(f()) == [3]
    assert await outcome(f()) == [3]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", COLOURS)
async def test_only_what_is_stored_is_given(fresh_host, fake_clock, colour, where):
    """Nothing is computed, stale answers are given as far as the cache gives them."""
    source = Source()
    f = cached(10, stale=5, backend=place(where, fake_clock), name="m")(source.function(colour))
    with agentperf.cache_mode("only_if_cached"), pytest.raises(CacheMissError, match="no answer"):
        await outcome(f())
    await outcome(f())
    with agentperf.cache_mode("only_if_cached"):
        assert await outcome(f()) == [1]
        fake_clock.advance(12)
        assert await outcome(f()) == [1]
        fake_clock.advance(5)
        with pytest.raises(CacheMissError):
            await outcome(f())
    assert source.calls == 1
    assert handle(f).cache.stats().stale == 1


async def test_a_refresh_keeps_out_what_began_before(fresh_host):
    """An older computation can't overwrite the newer answer."""
    gate, calls = anyio.Event(), 0

    @cached
    async def f():
        nonlocal calls
        calls += 1
        mine = calls
        if mine == 1:
            await gate.wait()
        return [mine]

    async with anyio.create_task_group() as group:
        group.start_soon(f)
        await anyio.wait_all_tasks_blocked()
        with agentperf.cache_mode("refresh"):
            assert await f() == [2]
        gate.set()
    assert await f() == [2]


async def test_modes_nest_and_end(fresh_host):
    """The innermost counts; what is bound to another host minds it too."""
    source = Source()
    f = cached(source.function("sync"))
    f()
    with agentperf.cache_mode("bypass"):
        with agentperf.cache_mode("only_if_cached"):
            assert f() == [1]
        assert f() == [2]
        with use(Host()):
            assert f() == [3]
            assert handle(f).cache.stats().stored == 0
    assert f() == [1]


async def test_a_mode_belongs_to_its_task(fresh_host):
    """Others go on as they were."""
    source = Source()
    f = cached(source.function("async"))
    await f()

    async def bypassing():
        with agentperf.cache_mode("bypass"):
            await anyio.wait_all_tasks_blocked()
            assert await f() == [2]

    async with anyio.create_task_group() as group:
        group.start_soon(bypassing)
        assert await f() == [1]


async def test_whoever_never_names_a_mode_does_not_pay(fresh_host):
    """The step is the cache's own until then."""
    f = cached(Counted().function("sync"))
    f()
    assert not fresh_host.bindings.minds_modes
    with agentperf.cache_mode("bypass"):
        assert fresh_host.bindings.minds_modes


@pytest.mark.parametrize("mode", ["", "off", None, 5, ["bypass"]])
def test_an_unknown_mode_is_refused(mode):
    """With those there are."""
    with pytest.raises(ConfigurationError, match=r'"bypass", "refresh", "only_if_cached"'):
        agentperf.cache_mode(mode).__enter__()


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", PLAIN)
async def test_an_answer_can_set_its_own_time(fresh_host, fake_clock, colour, where):
    """It counts in place of the cache's."""

    def compute(x):
        if x:
            agentperf.cache_control(ttl="2s")
        return x

    source = Counted(compute)
    f = cached(100, backend=place(where, fake_clock), name="c")(source.function(colour))
    for x in (0, 1):
        await outcome(f(x))
    fake_clock.advance(2)
    for x in (0, 1):
        await outcome(f(x))
    assert source.calls == 3


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", PLAIN)
async def test_an_answer_can_stay_out(fresh_host, fake_clock, colour, where):
    """This one only, and those who wait for it get it."""

    def compute(x):
        agentperf.cache_control(store=source.calls > 1)
        return [x]

    source = Counted(compute)
    f = cached(100, backend=place(where, fake_clock), name="c")(source.function(colour))
    for _ in range(3):
        assert await outcome(f()) == [0]
    assert source.calls == 2
    assert handle(f).cache.stats().refused == 1


async def test_who_waits_for_an_answer_that_stays_out_gets_it(fresh_host):
    """One computation all the same."""
    calls = []

    @cached
    async def f():
        calls.append(1)
        await anyio.wait_all_tasks_blocked()
        agentperf.cache_control(store=False)
        return [1]

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(f)
    assert len(calls) == 1
    assert handle(f).cache.stats().shared == 4


async def test_it_speaks_of_the_innermost_computation(fresh_host):
    """What calls it is kept as before; so is what it calls."""

    @cached
    def inner(x):
        agentperf.cache_control(store=False)
        return x

    @cached
    def outer(x):
        agentperf.cache_control(ttl=7)
        inner(x)
        return agentperf.cache_control()

    assert outer(1).ttl == 7
    assert handle(outer).cache.stats().stored == 1
    assert handle(inner).cache.stats().stored == 0


def test_outside_of_a_computation_it_does_nothing():
    """So a function needn't know whether it is cached."""
    control = agentperf.cache_control(ttl=5, store=False)
    assert repr(control) == "CacheControl(ttl=5.0, store=False, tags=0)"
    assert repr(agentperf.cache_control()) == repr(CacheControl())


def test_what_was_said_adds_up(fresh_host):
    """What is said again counts, the rest stays."""

    @cached
    def f():
        agentperf.cache_control(ttl=5, store=False)
        return agentperf.cache_control(ttl="1m")

    control = f()
    assert (control.ttl, control.store) == (60.0, False)


@pytest.mark.parametrize("given", [{"ttl": 0}, {"ttl": "x"}])
def test_nonsense_is_refused(given):
    """By name."""
    with pytest.raises(ConfigurationError, match=f"^{next(iter(given))}="):
        agentperf.cache_control(**given)


async def test_a_renewal_is_controlled_too(fresh_host, fake_clock):
    """In the background as anywhere."""

    def compute(_):
        agentperf.cache_control(ttl=100 if source.calls > 1 else None)
        return [source.calls]

    source = Counted(compute)
    f = cached(10, stale=5)(source.function("sync"))
    f()
    fake_clock.advance(11)
    f()
    await settled(f)
    fake_clock.advance(99)
    assert f() == [2]


def test_a_refreshed_answer_has_its_tags(fresh_host):
    """What was computed anew on request is voided by its tag like any other."""
    calls = []

    @cached(tags="a")
    def f():
        calls.append(1)
        return len(calls)

    f()
    with agentperf.cache_mode("refresh"):
        assert f() == 2
    assert f() == 2
    agentperf.invalidate(tags="a")
    with agentperf.cache_mode("only_if_cached"), pytest.raises(agentperf.CacheMissError):
        f()
    assert f() == 3
