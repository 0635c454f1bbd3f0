"""Tags that a function names itself while it computes."""

from __future__ import annotations

import logging

import anyio
import pytest

import agentperf
from agentperf import cache_control, cached, errors, events, handle
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.policies.cached.tags.markers import REMEMBERED, Marker, TagTable
from agentperf.policies.cached.tags.naming import MOST
from agentperf.policies.cached.tags.seals import SKEW
from agentperf.testing import fresh_host as another_host
from agentperf.testing import recorded
from tests.unit.policies.cached.calls import PLAIN, outcome
from tests.unit.policies.cached.tags.test_tags import Counting
from tests.unit.policies.cached.test_freshness import WHERE, place

pytestmark = pytest.mark.anyio


class Search:
    """Finds ids, and names them as tags of what it found."""

    def __init__(self, *found):
        self.calls = 0
        self.found = found

    def __call__(self, during=None):
        """Search."""
        self.calls += 1
        if during is not None:
            during()
        cache_control(tags=[f"doc:{one}" for one in self.found])
        return list(self.found)

    def function(self, colour, during=None):
        """Make a function of this colour."""
        if colour == "sync":
            return lambda x=0: self(during)

        async def search(x=0):
            return self(during)

        return search


@pytest.mark.parametrize("declared", [None, (), "all", "x:{x}"])
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", PLAIN)
async def test_they_are_reached(fresh_host, fake_clock, colour, where, declared):
    """What was found is invalidated by its own names, beside those of the call."""
    search = Search(1, 2)
    f = cached(tags=declared, backend=place(where, fake_clock), name="f")(search.function(colour))
    for calls, tag in enumerate(["doc:3", "doc:1", "doc:2"]):
        await outcome(f())
        await agentperf.ainvalidate(tags=tag)
        assert await outcome(f()) == [1, 2]
        assert await outcome(f()) == [1, 2]
        assert search.calls == 1 + calls
    if isinstance(declared, str):
        await agentperf.ainvalidate(tags=declared.replace("{x}", "0"))
        await outcome(f())
        assert search.calls == 4


@pytest.mark.parametrize("where", WHERE)
async def test_they_are_those_of_the_present_answer(fresh_host, fake_clock, where):
    """What an earlier answer was about doesn't matter any more."""
    search = Search(1)
    f = cached(tags=(), backend=place(where, fake_clock), name="f")(search.function("async"))
    await f()
    search.found = (2,)
    await agentperf.ainvalidate(tags="doc:1")
    await f()
    await agentperf.ainvalidate(tags="doc:1")
    await f()
    assert search.calls == 2
    await agentperf.ainvalidate(tags="doc:2")
    await f()
    assert search.calls == 3


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("where", WHERE)
async def test_invalidated_before_it_was_named(fresh_host, fake_clock, where, seen):
    """What changed after the computation began is not kept, though its tag was named later."""
    search, sink = Search(1), []

    async def during():
        if sink:
            sink.pop()
            await agentperf.ainvalidate(tags="doc:1")

    @cached(tags=(), backend=place(where, fake_clock), name="f")
    async def f():
        await during()
        return search()

    if seen:  # an earlier answer had the tag
        await f()
        await agentperf.ainvalidate(tags="doc:1")
        fake_clock.advance(2 * SKEW)
    sink.append(1)
    with recorded(events.CacheStored, events.CacheRefused) as log:
        await f()
        fake_clock.advance(2 * SKEW)
        before = search.calls
        await f()
        await f()
    assert search.calls == before + 1
    assert log.names()[-1] == "CacheStored"


@pytest.mark.parametrize("where", WHERE)
async def test_who_comes_after_doesnt_join(fresh_host, fake_clock, where):
    """A flight whose named tag was invalidated serves those who wait, and nobody else."""
    gate, search = anyio.Event(), Search(1)

    @cached(tags=(), backend=place(where, fake_clock), name="f")
    async def f():
        found = [search.calls, *search()]
        if search.calls == 1:
            await gate.wait()
        return found

    first = []

    async def call():
        first.append(await f())

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        await agentperf.ainvalidate(tags="doc:1")
        fake_clock.advance(2 * SKEW)
        assert await f() == [1, 1]
        gate.set()
    assert first == [[0, 1]]
    assert await f() == [1, 1]


@pytest.mark.parametrize("when", ["before", "during"])
def test_invalidated_by_another_process(fake_clock, when):
    """A version that is younger than the computation, or nearly as old, may be a change."""
    backend, search = MemoryBackend(fake_clock), Search(1)
    backend.shared = True

    def other():
        with another_host(fake_clock):
            agentperf.invalidate(tags="doc:1")

    f = cached(tags=(), backend=backend, name="f")(
        search.function("sync", other if when == "during" else None)
    )
    with another_host(fake_clock):
        if when == "before":
            other()
            f()  # the clocks may differ: it is not kept
        else:
            f()
        assert handle(f).cache.stats().refused == 1
        assert handle(f).cache.peek() is None
        f = cached(tags=(), backend=backend, name="f")(search.function("sync"))
        fake_clock.advance(SKEW)
        f()
        f()
        assert search.calls == 2


def test_versions_that_only_appear_are_no_change(fake_clock):
    """What another computation was the first to name was not invalidated by that."""
    backend, search = MemoryBackend(fake_clock), Search(1)
    g = cached(tags=(), backend=backend, name="g")(search.function("sync"))
    f = cached(tags=(), backend=backend, name="f")(search.function("sync", g))
    with another_host(fake_clock):
        f()
        f()
        g()
    assert search.calls == 2


def test_round_trips(fake_clock):
    """The tags that only the entry knows are one more look at a hit."""
    backend, search = Counting(), Search(1, 2)
    f = cached(tags="all", backend=backend, name="f")(search.function("sync"))
    with another_host(fake_clock):
        f()
        assert backend.trips == ["get_many", "add", "get_many", "add", "add", "set"]
        backend.trips.clear()
        f()
        assert backend.trips == ["get_many", "get_many"]


def test_undeclared(fake_clock, caplog):
    """Here it works; others, which only invalidate, can't know: told once."""
    backend, search = Counting(), Search(1)
    f = cached(backend=backend, name="f")(search.function("sync"))
    with another_host(fake_clock), caplog.at_level(logging.WARNING):
        f()
        f(1)
        agentperf.invalidate(tags="doc:1")
        f()
    assert search.calls == 3
    assert caplog.text.count("cache.undeclared_tags") == 1


@pytest.mark.parametrize("where", ["memory", "bytes"])
def test_a_remembered_failure(fresh_host, fake_clock, where):
    """What a failure named invalidates it too."""
    calls = []

    @cached(negative_ttl=60, tags=(), backend=place(where, fake_clock), name="f")
    def f():
        calls.append(1)
        cache_control(tags="user:1")
        raise LookupError

    for expected in (1, 1, 2, 2):
        if expected == 2 and len(calls) == 1:
            agentperf.invalidate(tags="user:1")
        with pytest.raises(LookupError):
            f()
        assert len(calls) == expected


@pytest.mark.parametrize("where", ["memory", "bytes"])
def test_a_cache_object(fresh_host, fake_clock, where):
    """What computes for one names tags too."""
    cache, search = agentperf.Cache(backend=place(where, fake_clock), name="c"), Search(1)
    for _ in range(2):
        cache.get_or_compute("key", search)
    assert search.calls == 1
    agentperf.invalidate(tags="doc:1")
    cache.get_or_compute("key", search)
    assert search.calls == 2


@pytest.mark.parametrize("tags", ["", ("a", ""), 7, [b"a"], [str(n) for n in range(MOST + 1)]])
def test_bad_tags(fresh_host, tags):
    """They are refused where they are named."""
    f = cached(lambda: cache_control(tags=tags) and None)
    if tags == "":
        assert f() is None  # none
        return
    with pytest.raises(errors.ConfigurationError, match="tags"):
        f()


def test_outside():
    """Where nothing is cached, nothing happens."""
    assert cache_control(tags=["b", "a", "b"]).tags == ("a", "b")


def test_the_table_remembers_the_last():
    """What it forgot may have been invalidated."""
    table = TagTable()
    begun = table.moment
    kept = table.markers_since(begun, ["a"])
    assert [type(marker) for marker in kept] == [Marker]
    table.invalidate(["a"])
    assert kept[0].void
    assert not table.stood(begun, ["a"])
    assert table.stood(begun, ["b"])
    assert table.stood(table.moment, ["a"])
    later = table.moment
    for number in range(REMEMBERED):
        table.invalidate([f"t{number}"])
    assert table.stood(later, ["a"])
    table.invalidate(["one more"])
    assert not table.stood(begun, ["b"])  # a was forgotten: who knows
