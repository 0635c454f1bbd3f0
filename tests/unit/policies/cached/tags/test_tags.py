"""Tags: what is invalidated together, in memory and in backends."""

from __future__ import annotations

import gc
import logging
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import anyio
import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

import agentperf
from agentperf import errors, events, handle
from agentperf.abc import Backends
from agentperf.policies.cached.decorator import tag_table
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.policies.cached.tags.naming import MOST
from agentperf.policies.cached.tags.seals import opened, sealed
from agentperf.policies.cached.tags.versions import LIFETIME, marker_key
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.unit.policies.cached.backed.test_layer import Awaited
from tests.unit.policies.cached.calls import COLOURS, PLAIN, Counted, aboard, outcome, until

PLACES = ["memory", "bytes"]


class Counting(MemoryBackend):
    """A backend that counts round trips, and fails on demand."""

    shared = True
    atomic = False  # what takes leases is another matter, see test_lease

    def __init__(self):
        super().__init__()
        self.trips = []
        self.broken = False

    def _note(self, what):
        self.trips.append(what)
        if self.broken:
            raise ConnectionError("no route")

    def get(self, key):
        """Look."""
        self._note("get")
        return super().get(key)

    def get_many(self, keys):
        """Look for several."""
        self._note("get_many")
        found = {key: MemoryBackend.get(self, key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def set(self, key, value, ttl=None):
        """Store."""
        self._note("set")
        super().set(key, value, ttl)

    def delete(self, key):
        """Remove."""
        self._note("delete")
        return super().delete(key)

    def clear(self, prefix=""):
        """Remove all that begin so."""
        self._note("clear")
        super().clear(prefix)

    def set_many(self, values, ttl=None):
        """Store several."""
        self._note("set_many")
        for key, value in values.items():
            MemoryBackend.set(self, key, value, ttl)

    def add(self, key, value, ttl=None):
        """Store where nothing is."""
        self._note("add")
        with self._lock:
            if MemoryBackend.get(self, key) is not None:
                return False
            MemoryBackend.set(self, key, value, ttl)
            return True


def place(where):
    """Give the options of a cache in that place."""
    return {} if where == "memory" else {"backend": MemoryBackend()}


@pytest.fixture
def host():
    """Give a world of its own."""
    with fresh_host(FakeClock()) as host:
        yield host


@pytest.mark.anyio
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("colour", COLOURS)
async def test_every_colour(host, colour, where):
    """What has the tag is computed anew, what doesn't is still there."""
    source = Counted()
    f = agentperf.cached(tags="item:{x}", **place(where))(source.function(colour))
    for x in (1, 2, 1, 2):
        await outcome(f(x))
    assert source.calls == 2
    if "async" in colour:
        await agentperf.ainvalidate(tags="item:1")
    else:
        agentperf.invalidate(tags="item:1")
    assert await outcome(f(1)) == [1]
    assert source.calls == 3
    await outcome(f(2))
    await outcome(f(1))
    assert source.calls == 3
    assert handle(f).cache.stats().invalidated == 1


@pytest.mark.parametrize("where", PLACES)
def test_one_tag_reaches_several_functions(host, where):
    """A tag belongs to no function."""
    sources = [Counted(), Counted()]
    options = place(where)
    functions = [
        agentperf.cached(tags=("all", "item:{x}"), name=f"f{number}", **options)(
            source.function("sync")
        )
        for number, source in enumerate(sources)
    ]

    def call():
        for f in functions:
            f(1)
        return [source.calls for source in sources]

    call()
    agentperf.invalidate(tags=["item:2", "item:3"])
    assert call() == [1, 1]
    agentperf.invalidate(tags="item:1")
    assert call() == [2, 2]
    agentperf.invalidate(tags="all")
    assert call() == [3, 3]


@pytest.mark.parametrize(
    ("tags", "argument", "tag"),
    [
        ("user:{x.id}", SimpleNamespace(id=7), "user:7"),
        ("user:{x[id]}", {"id": 7}, "user:7"),
        ("{{{x}}}", "a", "{a}"),
        ("a{x}b{x}c", "-", "a-b-c"),
        ("id:{x}", uuid.UUID(int=1), f"id:{uuid.UUID(int=1)}"),
        ("n:{x}", None, "n:None"),
        ("constant", 1, "constant"),
        ("x", 1, "x"),
        ("{{x}}", 1, "{x}"),
        ('{{"id": {x}}}', 1, '{"id": 1}'),
        ("not: a-field/50%", 1, "not: a-field/50%"),
        (lambda x: f"got:{x}", 1, "got:1"),
        (lambda x: {"b", f"got:{x}", "a"}, 1, "got:1"),
        (["one", "two:{x}"], 1, "two:1"),
    ],
)
def test_forms(host, tags, argument, tag):
    """Tags are names, templates over parameters, several, or what a callable gives."""
    source = Counted()
    f = agentperf.cached(tags=tags, key=lambda x: "same")(source.function("sync"))
    f(argument)
    agentperf.invalidate(tags=f"{tag}?")
    f(argument)
    assert source.calls == 1
    agentperf.invalidate(tags=tag)
    f(argument)
    assert source.calls == 2


def test_a_default_is_part_of_a_tag(host):
    """The arguments are bound, with defaults filled in."""
    source = Counted()
    f = agentperf.cached(tags="item:{x}")(source.function("sync"))
    f()
    agentperf.invalidate(tags="item:0")
    f()
    assert source.calls == 2


@pytest.mark.parametrize("nothing", [None, (), []])
@pytest.mark.parametrize("where", PLACES)
def test_no_tags_for_this_one(host, where, nothing):
    """A callable may give no tag: that answer is kept all the same."""
    source = Counted()
    f = agentperf.cached(tags=lambda x: nothing, **place(where))(source.function("sync"))
    f(1)
    f(1)
    assert source.calls == 1


@pytest.mark.parametrize("tags", ["", 7, ("a", ""), ("a", 1), {"a"}, [None]])
def test_bad_tags(tags):
    """What gives no tags is refused, with an example."""
    with pytest.raises(errors.ConfigurationError, match=r'tags=.*write tags="profiles"'):
        agentperf.cached(tags=tags)


@pytest.mark.parametrize(
    ("gives", "what"),
    [
        (lambda x: b"a", "got bytes"),
        (lambda x: 5, "got int"),
        (lambda x: ["a", ""], "got ''"),
        (lambda x: ["a", None], "got None"),
        (lambda y: "a", r"can't be called as the function itself is.*tags=lambda x: \.\.\."),
    ],
)
def test_a_callable_that_gives_no_tags(host, gives, what):
    """What it gives is shown by its type; nothing is computed."""
    source = Counted()
    f = agentperf.cached(tags=gives)(source.function("sync"))
    with pytest.raises(errors.ConfigurationError, match=what):
        f(x=1)
    assert source.calls == 0


def test_a_callable_with_an_error_of_its_own(host):
    """It passes as it is."""
    f = agentperf.cached(tags=lambda x: [len(x)])(lambda x: x)
    with pytest.raises(TypeError, match="has no len"):
        f(1)


@pytest.mark.parametrize("template", ["a{", "a}"])
def test_a_single_brace(template):
    """The error says how a brace is written that is meant."""
    with pytest.raises(errors.ConfigurationError, match=r'meant twice, as in "\{\{\}\}"'):
        agentperf.cached(tags=template)(lambda x: x)


@pytest.mark.parametrize("template", ["a:{y}", "a:{", "a:{x!r}", "a:{}"])
def test_bad_templates(template):
    """A template must name parameters, and is checked when the function is decorated."""
    with pytest.raises(errors.ConfigurationError, match="tags="):
        agentperf.cached(tags=template)(lambda x: x)


@pytest.mark.parametrize("tags", ["", ("a", ""), 7, [b"a"], [str(n) for n in range(MOST + 1)]])
def test_bad_tags_to_invalidate(host, tags):
    """The same for what is to be invalidated."""
    with pytest.raises(errors.ConfigurationError, match="tags"):
        agentperf.invalidate(tags=tags)


@pytest.mark.parametrize("where", PLACES)
def test_an_argument_without_text(host, where):
    """An object that has only its address can't be part of a tag; nothing is computed."""
    source = Counted()
    f = agentperf.cached(tags="a:{x}", key=lambda x: 1, **place(where))(source.function("sync"))
    with pytest.raises(errors.UncacheableArgumentError, match=r"\{x\} of its tags is a object"):
        f(object())
    g = agentperf.cached(tags="a:{x.id}", key=lambda x: 1, **place(where))(source.function("sync"))
    with pytest.raises(errors.UncacheableArgumentError, match=r"\{x\.id\} of its tags isn't there"):
        g(object())
    assert source.calls == 0


def test_hosts_are_apart():
    """Memory belongs to a host; another one's is not reached."""
    source = Counted()
    f = agentperf.cached(tags="a")(source.function("sync"))
    with fresh_host() as one:
        f()
        with fresh_host():
            agentperf.invalidate(tags="a")
        f()
        assert source.calls == 1
        with agentperf.use(one):
            agentperf.invalidate(tags="a")
        f()
    assert source.calls == 2


@pytest.mark.parametrize("where", PLACES)
def test_peek_sees_it(host, where):
    """What is void is not there for the handle either."""
    f = agentperf.cached(tags="a", **place(where))(Counted().function("sync"))
    f(1)
    assert handle(f).cache.peek(1) == [1]
    agentperf.invalidate(tags="a")
    assert handle(f).cache.peek(1, default="none") == "none"


def test_the_table_is_no_larger_than_the_caches(host):
    """A version that nothing was made under is forgotten."""
    f = agentperf.cached(tags="item:{x}", max_entries=10)(lambda x: x)
    for x in range(500):
        f(x)
    gc.collect()
    assert len(tag_table(host)) == 10
    agentperf.invalidate(tags="item:1")
    handle(f).cache.clear()
    gc.collect()
    assert len(tag_table(host)) == 0


def test_a_hit_is_one_round_trip(host):
    """The entry and the versions of its tags are read together."""
    backend = Counting()
    f = agentperf.cached(tags=("all", "item:{x}"), backend=backend, name="f")(lambda x: x)
    f(1)
    assert backend.trips == ["get_many", "add", "add", "set"]
    backend.trips.clear()
    f(1)
    assert backend.trips == ["get_many"]
    backend.trips.clear()
    agentperf.invalidate(tags=["all", "item:1"])
    assert backend.trips == ["set_many"]
    backend.trips.clear()
    f(1)
    assert backend.trips == ["get_many", "set"]


def test_a_lost_version_is_a_miss(host):
    """What a backend forgot voids what was made under it, and never comes back."""
    source, backend = Counted(), MemoryBackend()
    f = agentperf.cached(tags="a", backend=backend)(source.function("sync"))
    f()
    backend.delete(marker_key("a"))
    f()
    f()
    assert source.calls == 2


def test_versions_end(host):
    """A backend doesn't keep versions for ever."""
    backend = MemoryBackend(host.clock)
    source = Counted()
    f = agentperf.cached(tags="a", backend=backend)(source.function("sync"))
    f()
    host.clock.advance(LIFETIME)
    f()
    assert source.calls == 2


def test_an_untagged_backend_pays_nothing(host):
    """Without tags there is one plain look."""
    backend = Counting()
    f = agentperf.cached(backend=backend, name="f")(lambda x: x)
    f(1)
    f(1)
    assert backend.trips == ["get", "set", "get"]


def test_other_tags_than_the_entry_was_made_with(host):
    """An entry says itself what it was made under, whatever the tags of the call are now."""
    source, backend = Counted(), MemoryBackend()
    first = agentperf.cached(tags="old", backend=backend, name="f")(source.function("sync"))
    first(1)
    with fresh_host():
        second = agentperf.cached(tags="new", backend=backend, name="f")(source.function("sync"))
        second(1)
        assert source.calls == 1
        agentperf.invalidate(tags="old")
        second(1)
        assert source.calls == 2


def test_a_backend_that_nobody_called_is_reached(host):
    """The process that writes need not be one that reads."""
    source, backend = Counted(), Counting()
    f = agentperf.cached(tags="a", backend=backend, name="f")(source.function("sync"))
    f()
    with fresh_host():  # as in another process, where f was decorated and never called
        agentperf.invalidate(tags="a")
    f()
    assert source.calls == 2


def test_a_backend_that_fails(host):
    """Whoever invalidates learns of it; memory is done all the same; calls go on."""
    source, backend = Counted(), Counting()
    f = agentperf.cached(tags="a", backend=backend, name="f")(source.function("sync"))
    m = agentperf.cached(tags="a")(source.function("sync"))
    f()
    m()
    backend.broken = True
    with pytest.raises(errors.BackendError, match="ConnectionError"):
        agentperf.invalidate(tags="a")
    f()
    m()
    assert source.calls == 4
    backend.broken = False
    host.clock.advance("1m")  # it is left alone for a moment
    f()
    assert source.calls == 5  # what it missed was made up for
    f()
    assert source.calls == 5


def test_nothing_is_stored_under_versions_that_nobody_knows(host):
    """A backend that comes back while a call computes doesn't get an entry without a seal."""
    backend = Counting()
    mended = []

    @agentperf.cached(tags="a", backend=backend, name="f")
    def f(x):
        if x == 1 and not mended:
            mended.append(x)
            backend.broken = False
            host.clock.advance("1m")
            f(2)
        return x

    backend.broken = True
    f(1)
    assert handle(f).cache.peek(1) is None
    assert handle(f).cache.peek(2) == 2


@pytest.mark.anyio
async def test_backends_that_have_to_be_awaited(host):
    """They are reached by `ainvalidate`; the other one says so."""
    source, inner = Counted(), MemoryBackend()
    f = agentperf.cached(tags="a", backend=Awaited(inner))(source.function("async"))
    await f()
    with pytest.raises(errors.ConfigurationError, match="ainvalidate"):
        agentperf.invalidate(tags="a")
    await agentperf.ainvalidate(tags="a")
    await f()
    assert source.calls == 2
    del f
    gc.collect()


@pytest.mark.parametrize("outer", PLACES)
@pytest.mark.parametrize("inner", PLACES)
def test_a_cache_over_another_one(host, outer, inner):
    """What is computed from an old answer while the other place is still to be done is void too."""
    state = ["old"]
    within = agentperf.cached(tags="a", **place(inner))(lambda: state[0])
    around = agentperf.cached(tags="a", **place(outer))(within)
    assert around() == "old"
    state[0] = "new"
    agentperf.invalidate(tags="a")
    assert around() == "new"


def test_between_two_backends(host):
    """A read that comes between two backends leaves nothing old behind."""
    state, seen = ["old"], []

    class Interrupted(MemoryBackend):
        def set_many(self, values, ttl=None):
            super().set_many(values, ttl)
            if state[0] == "new":
                seen.append(around())

    first, second = Interrupted(), Interrupted()
    within = agentperf.cached(tags="a", backend=first)(lambda: state[0])
    around = agentperf.cached(tags="a", backend=second)(within)
    around()
    state[0] = "new"
    agentperf.invalidate(tags="a")
    assert len(seen) >= 2
    assert around() == "new"


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("colour", PLAIN)
@pytest.mark.anyio
async def test_a_computation_under_way(host, colour, where):
    """Its result serves those who waited, is not kept, and nobody joins it any more."""
    begun, go_on, state = threading.Event(), threading.Event(), ["old"]

    def compute(x):
        value = state[0]
        if value == "old":
            begun.set()
            go_on.wait(20)
        return value

    source = Counted(compute)
    f = agentperf.cached(tags="item:{x}", **place(where))(source.function("sync"))
    with ThreadPoolExecutor(2) as pool:
        with recorded() as seen:
            first = pool.submit(_in_host, host, f, 1)
            begun.wait(20)
            waiting = pool.submit(_in_host, host, f, 1)
            until(lambda: aboard(f) == 2)
            state[0] = "new"
            if colour == "async":
                await agentperf.ainvalidate(tags="item:1")
            else:
                agentperf.invalidate(tags="item:1")
            assert f(1) == "new"  # does not wait for the old one
            go_on.set()
            assert first.result(20) == waiting.result(20) == "old"
        assert f(1) == "new"
        assert source.calls == 2
        assert len(seen.of(events.CacheStored)) == 1
    assert handle(f).cache.stats().hits >= 1


def _in_host(host, f, *args):
    with agentperf.use(host):
        return f(*args)


@pytest.mark.anyio
@pytest.mark.parametrize("where", PLACES)
async def test_a_stream_under_way(host, where):
    """What was begun before is not kept when it was read to its end after."""
    source = Counted(lambda x: [x, x])
    f = agentperf.cached(tags="s", **place(where))(source.function("async generator"))
    stream = f(1)
    assert await anext(stream) == 1
    await agentperf.ainvalidate(tags="s")
    assert [item async for item in stream] == [1]
    assert await outcome(f(1)) == [1, 1]
    assert source.calls == 2
    await outcome(f(1))
    assert source.calls == 2


@pytest.mark.anyio
@pytest.mark.parametrize("where", PLACES)
async def test_ten_at_once_compute_once(host, where):
    """Single-flight holds for tags that nobody has seen yet."""
    calls = []

    @agentperf.cached(tags="a", **place(where))
    async def f(x):
        calls.append(x)
        await anyio.lowlevel.checkpoint()
        return x

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(f, 1)
    assert calls == [1]


def test_threads(host):
    """No read that begins after an invalidation gives what was there before."""
    state = [0]
    f = agentperf.cached(tags="a")(lambda: state[0])
    g = agentperf.cached(tags="a", backend=MemoryBackend())(lambda: state[0])
    wrong, stop = [], threading.Event()

    def read(function):
        with agentperf.use(host):
            while not stop.is_set():
                least = announced[0]
                value = function()
                if value < least:
                    wrong.append((value, least))

    announced = [0]
    threads = [threading.Thread(target=read, args=(function,)) for function in (f, g) * 2]
    for thread in threads:
        thread.start()
    for number in range(1, 50):
        state[0] = number
        agentperf.invalidate(tags="a")
        announced[0] = number
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert handle(f).cache.stats().hits > 0


def test_events_carry_no_tags(host):
    """An invalidated entry is told of when it is found; no tag, no argument."""
    f = agentperf.cached(tags="secret:{x}")(Counted().function("sync"))
    with recorded() as seen:
        f("anna")
        agentperf.invalidate(tags="secret:anna")
        f("anna")
    assert len(seen.of(events.CacheInvalidated)) == 1
    assert "anna" not in repr(list(seen))
    assert "secret" not in repr(list(seen))


def test_tenants(host):
    """A tag reaches the answers of all tenants."""
    source = Counted()
    f = agentperf.cached(tags="a")(source.function("sync"))
    for tenant in ("one", "two"):
        with agentperf.scope(tenant=tenant):
            f()
    agentperf.invalidate(tags="a")
    for tenant in ("one", "two"):
        with agentperf.scope(tenant=tenant):
            f()
    assert source.calls == 4


@pytest.mark.parametrize("versions", [{}, {marker_key("a"): b"1" * 16}])
def test_seals(versions):
    """What is sealed is opened to the same; what is no seal is left alone."""
    assert opened(sealed(versions, b"data")) == (versions, b"data")
    assert opened(b"") == ({}, b"")
    assert opened(b"#") == ({}, b"#")
    assert opened(b"vdata") == ({}, b"vdata")


def test_both_colours_see_the_same(host):
    """What is invalidated in one colour is so in the other."""
    inner = MemoryBackend()
    source = Counted()
    pair = Backends(sync=inner, asynchronous=Awaited(inner))
    f = agentperf.cached(tags="a", backend=pair, name="f")(source.function("async"))

    async def go():
        await f()
        agentperf.invalidate(tags="a")
        await f()

    anyio.run(go)
    assert source.calls == 2


class TagsAgainstModel(RuleBasedStateMachine):
    """A source of truth, caches with tags over it, and invalidation after each change.

    The model is the truth itself: whatever was read after `invalidate` returned is what is true.
    """

    place = "memory"

    def __init__(self):
        super().__init__()
        self.within = fresh_host(FakeClock())
        self.host = self.within.__enter__()
        self.truth = dict.fromkeys(range(3), 0)
        self.computed = 0
        self.held = {}  # what is in the cache, and what it must then give
        self.f = agentperf.cached(
            tags=lambda x: (f"item:{x}", f"parity:{x % 2}"), ttl=100, **place(self.place)
        )(self.compute)

    def compute(self, x):
        """Read the truth."""
        self.computed += 1
        return self.truth[x]

    @rule(x=st.integers(0, 2))
    def read(self, x):
        """A read gives the truth; it computes only what isn't there."""
        before = self.computed
        assert self.f(x) == self.truth[x]
        assert self.computed - before == (0 if x in self.held else 1)
        self.held[x] = self.host.clock.now()

    @rule(x=st.integers(0, 2))
    def change(self, x):
        """Change one thing, and say so by its own tag."""
        self.truth[x] += 1
        agentperf.invalidate(tags=f"item:{x}")
        self.held.pop(x, None)

    @rule(parity=st.integers(0, 1))
    def change_several(self, parity):
        """Change all of one kind, and say so by the tag that they share."""
        for x in self.truth:
            if x % 2 == parity:
                self.truth[x] += 1
                self.held.pop(x, None)
        agentperf.invalidate(tags=f"parity:{parity}")

    @rule(x=st.integers(0, 2))
    def remove(self, x):
        """The handle removes a key."""
        handle(self.f).cache.invalidate(x)
        self.held.pop(x, None)

    @rule()
    def forget(self):
        """The collector comes by."""
        gc.collect(0)

    def teardown(self):
        """Leave the host."""
        self.within.__exit__(None, None, None)


@pytest.mark.parametrize("where", PLACES)
def test_against_the_model(where):
    """No order of reads, changes and invalidations gives a stale answer or computes in vain."""
    machine = type("Machine", (TagsAgainstModel,), {"place": where})
    run_state_machine_as_test(machine)


def test_a_template_whose_f_was_forgotten_is_told(fresh_host, caplog):
    """Once, without the tag; it is no error, as an argument may have brought the braces."""
    with caplog.at_level(logging.WARNING, "agentperf"):
        agentperf.invalidate(tags="profile:42")
        agentperf.invalidate(tags=["json:{}", 'json:{"a": 1}'])
        assert "cache.tag_looks_like_template" not in caplog.text
        for _ in range(2):
            agentperf.invalidate(tags=["profile:{secret_id}"])
    assert caplog.text.count("cache.tag_looks_like_template") == 1
    assert "secret_id" not in caplog.text
