"""Caches in backends that keep bytes: every colour, every shape, and what goes wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading

import anyio
import pytest

import agentperf
from agentperf import errors, events, handle
from agentperf.abc import AsyncCacheBackend, Backends, CacheBackend
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.unit.policies.cached.calls import (
    COLOURS,
    PLAIN,
    Counted,
    aboard,
    figures,
    outcome,
    until,
)


class Spied(MemoryBackend):
    """Counts what it is asked, and fails on demand."""

    shared = True
    atomic = False  # what takes leases is another matter, see test_lease

    def __init__(self, clock=None, *, blocking=False):
        super().__init__(clock)
        self.blocking = blocking
        self.broken = False
        self.asked = []
        self.threads = set()

    def _note(self, what):
        self.asked.append(what)
        self.threads.add(threading.get_ident())
        if self.broken:
            raise ConnectionError("no route")

    def get(self, key):
        """Look."""
        self._note("get")
        return super().get(key)

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

    @property
    def keys(self):
        """The keys there are."""
        return list(self._store.entries)


class Awaited(AsyncCacheBackend):
    """The same, to be awaited."""

    def __init__(self, inner):
        self.inner = inner
        self.shared = inner.shared

    async def get(self, key):
        """Look."""
        await anyio.lowlevel.checkpoint()
        return self.inner.get(key)

    async def set(self, key, value, ttl=None):
        """Store."""
        await anyio.lowlevel.checkpoint()
        self.inner.set(key, value, ttl)

    async def delete(self, key):
        """Remove."""
        await anyio.lowlevel.checkpoint()
        return self.inner.delete(key)

    async def clear(self, prefix=""):
        """Remove all that begin so."""
        await anyio.lowlevel.checkpoint()
        self.inner.clear(prefix)


def in_its_form(form, spied):
    """Give a backend in one of the forms in which it may come."""
    spied.blocking = form == "blocking"
    forms = {
        "sync": spied,
        "blocking": spied,
        "async": Awaited(spied),
        "both": Backends(sync=spied, asynchronous=Awaited(spied)),
    }
    return forms[form]


WAYS = [
    (colour, form)
    for colour in COLOURS
    for form in ("sync", "blocking", "async", "both")
    if "async" in colour or form != "async"
]


@pytest.mark.anyio
@pytest.mark.parametrize(("colour", "form"), WAYS)
async def test_every_colour_and_form(colour, form):
    """The second call finds what the first stored; the handle looks, removes and clears."""
    source, spied = Counted(), Spied()
    f = agentperf.cached(ttl="1h", backend=in_its_form(form, spied), name="f")(
        source.function(colour)
    )
    with fresh_host():
        assert await outcome(f((1, 2))) == [(1, 2)]
        assert await outcome(f((1, 2))) == [(1, 2)]
        assert source.calls == 1
        assert figures(f) == (1, 1, 0)
        assert spied.asked == ["get", "set", "get"]
        cache = handle(f).cache
        stored = ((1, 2),) if "generator" in colour else [(1, 2)]
        assert await cache.apeek((1, 2)) == stored
        assert await cache.apeek("other", default="none") == "none"
        assert await cache.ainvalidate((1, 2)) is True
        assert await cache.ainvalidate((1, 2)) is False
        await outcome(f((1, 2)))
        assert source.calls == 2
        await cache.aclear()
        assert spied.keys == []
    assert cache.stats().stored == 2


@pytest.mark.anyio
@pytest.mark.parametrize("colour", COLOURS)
async def test_an_empty_stream_and_none(colour):
    """What holds nothing is an answer too."""
    source, spied = Counted(lambda *_: []), Spied()
    f = agentperf.cached(backend=spied, name="f")(source.function(colour))
    with fresh_host():
        assert await outcome(f()) == await outcome(f()) == []
    assert source.calls == 1


@pytest.mark.anyio
async def test_a_blocking_backend_does_not_hold_up_the_loop():
    """From a loop it is called in other threads; one that does no I/O, in place."""
    source = Counted()
    for blocking in (True, False):
        spied = Spied(blocking=blocking)
        f = agentperf.cached(backend=spied, name="f")(source.function("async"))
        with fresh_host():
            await f(1)
        assert (threading.get_ident() in spied.threads) is not blocking


@pytest.mark.parametrize("colour", ["sync", "generator"])
def test_a_call_that_blocks_needs_a_backend_that_blocks(colour):
    """It is refused at decoration, saying what to do."""
    policy = agentperf.cached(backend=Awaited(Spied()), name="f")
    with pytest.raises(errors.ConfigurationError, match=r"has to be awaited.*async def"):
        policy(Counted().function(colour))


def test_a_backend_by_name_is_refused_at_the_call():
    """Who asks by name is told at the first call, also by the handle."""

    class Plugin:
        @agentperf.hookimpl
        def agentperf_cache_backends(self):
            return {"far": lambda text: Awaited(Spied())}

    f = agentperf.cached(backend="far:1", name="f")(Counted().function("sync"))
    with fresh_host() as host:
        host.plugins.register(Plugin())
        with pytest.raises(errors.ConfigurationError, match="has to be awaited"):
            f(1)
        with pytest.raises(errors.PluginError, match="no plugin offers the cache backend 'near'"):
            agentperf.cached(backend="near")(Counted().function("sync"))(1)


def test_one_backend_for_equal_texts():
    """Functions that ask for the same place share it, others don't; a fresh host has its own."""
    made = []

    class Plugin:
        @agentperf.hookimpl
        def agentperf_cache_backends(self):
            return {"spied": lambda text: made.append(text) or Spied()}

    def ask():
        for place in ("spied:a", "spied:a", "spied:b", "spied"):
            agentperf.cached(backend=place, name=place)(Counted().function("sync"))(1)

    for _ in range(2):
        with fresh_host() as host:
            host.plugins.register(Plugin(), name="spied")
            ask()
    assert made == ["spied:a", "spied:b", "spied"] * 2


@pytest.mark.anyio
@pytest.mark.parametrize("colour", PLAIN)
async def test_followers_get_their_own(colour):
    """Those who join a flight get the answer, each a copy of its own; it is computed once."""
    release = threading.Event()

    def compute(x):
        release.wait(20)
        return {"x": [x]}

    source, spied = Counted(compute), Spied()
    f = agentperf.cached(backend=spied, name="f")(source.function("sync"))
    if colour == "async":
        opened = anyio.Event()

        async def function(x=0):
            await opened.wait()
            return source.compute(x)

        release.set()
        f = agentperf.cached(backend=spied, name="f")(function)
    answers = []

    async def call():
        if colour == "async":
            answers.append(await f(7))
        else:
            answers.append(await anyio.to_thread.run_sync(f, 7))

    with fresh_host():
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call)
            await anyio.to_thread.run_sync(until, lambda: aboard(f) == 3)
            release.set()
            if colour == "async":
                opened.set()
        assert source.calls == 1
        assert figures(f) == (0, 1, 2)
    assert answers == [{"x": [7]}] * 3
    assert len({id(answer["x"]) for answer in answers}) == 3


def test_it_expires():
    """The time to live is the backend's to keep."""
    clock = FakeClock()
    source = Counted()
    f = agentperf.cached(ttl="10m", backend=Spied(clock), name="f")(source.function("sync"))
    with fresh_host(clock):
        f(1)
        clock.advance("9m")
        f(1)
        assert source.calls == 1
        clock.advance("1m")
        f(1)
    assert source.calls == 2


@dataclasses.dataclass
class Answer:
    """An answer of a type of its own."""

    text: str
    scores: tuple[float, ...]


def typed(question: str) -> Answer:
    """Answer with a type that the annotation names."""
    return Answer(question, (0.5,))


def test_types_come_back():
    """What the function's annotation speaks of is read, also in a process that never wrote it."""
    spied = Spied()
    with fresh_host():
        first = agentperf.cached(backend=spied)(typed)
        assert first("why?") == Answer("why?", (0.5,))
        again = agentperf.cached(backend=spied)(typed)
        assert again("why?") == Answer("why?", (0.5,))
        assert figures(again) == (1, 0, 0)


def test_what_is_no_bytes_is_not_kept(caplog):
    """It is given to the caller all the same, and told once."""
    spied = Spied()
    f = agentperf.cached(backend=spied, name="f")(lambda x: object())
    with fresh_host(), recorded(events.CacheRefused) as log:
        f(1)
        f(1)
    assert spied.keys == []
    assert {event.reason for event in log} == {"it can't be written as bytes"}
    assert sum("cache.uncopyable" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("data", [b"", b"v", b"x", b"vgarbage", b"s" + b"\x00" * 9])
def test_an_entry_that_cannot_be_read_is_a_miss(data):
    """Whatever stands there, the answer is computed and stored anew."""
    source, spied = Counted(), Spied()
    f = agentperf.cached(backend=spied, name="f")(source.function("sync"))
    with fresh_host():
        f(1)
        (key,) = spied.keys
        spied.set(key, data)
        assert f(1) == [1]
        assert f(1) == [1]
        assert handle(f).cache.peek(1) == [1]
    assert source.calls == 2


@pytest.mark.anyio
@pytest.mark.parametrize("colour", COLOURS)
async def test_a_failing_backend_lets_calls_through(colour, caplog):
    """Each change is told once, in the log and as an event; a dead backend is asked once."""
    source, spied, clock = Counted(), Spied(), FakeClock()
    f = agentperf.cached(backend=spied, name="f")(source.function(colour))
    with fresh_host(clock), recorded(events.CacheBackendDown, events.CacheBackendUp) as log:
        spied.broken = True
        for _ in range(3):
            assert await outcome(f(1)) == [1]
        assert spied.asked == ["get"]
        spied.broken = False
        clock.advance(1)
        assert await outcome(f(1)) == [1]
        assert await outcome(f(1)) == [1]
        assert source.calls == 4
    assert log.names() == ["CacheBackendDown", "CacheBackendUp"]
    assert log[0].error == "ConnectionError"
    told = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert sum("cache.backend_failed" in text for text in told) == 1
    assert sum("cache.backend_works_again" in text for text in told) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("colour", COLOURS)
async def test_a_failing_backend_may_refuse_calls(colour):
    """`closed` raises before anything is computed; the backend's error is chained."""
    source, spied = Counted(), Spied()
    spied.broken = True
    f = agentperf.cached(backend=spied, name="f", on_store_failure="closed")(
        source.function(colour)
    )
    with fresh_host():
        with pytest.raises(errors.StoreUnavailable, match="on_store_failure") as caught:
            await outcome(f(1))
        assert source.calls == 0
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert (caught.value.policy, caught.value.policy_name) == ("cached", "f")


@pytest.mark.parametrize("on_store_failure", ["open", "closed"])
def test_a_store_that_fails_after_the_fact(on_store_failure):
    """An answer that was computed is given, whatever becomes of storing it."""

    class Full(Spied):
        def set(self, key, value, ttl=None):
            raise OSError("no space")

    options = {"backend": Full(), "name": "f", "on_store_failure": on_store_failure}
    f = agentperf.cached(**options)(lambda x: x)
    with fresh_host():
        assert f(1) == 1


def test_the_handle_tells_of_a_failing_backend():
    """Somebody who asks for this very thing learns that it failed."""
    spied = Spied()
    f = agentperf.cached(backend=spied, name="f")(lambda x: x)
    spied.broken = True
    for ask in (lambda cache: cache.invalidate(1), lambda c: c.clear(), lambda c: c.peek(1)):
        with fresh_host():
            with pytest.raises(errors.BackendError, match="ConnectionError") as caught:
                ask(handle(f).cache)
            assert isinstance(caught.value.__cause__, ConnectionError)


def test_invalidated_while_it_was_computed():
    """The old answer is not stored, also when it is invalidated in the middle of storing."""
    spied = Spied()

    def undone(x):
        handle(f).cache.invalidate(x)

    f = agentperf.cached(backend=spied, name="f")(undone)

    class Late(Spied):
        def set(self, key, value, ttl=None):
            super().set(key, value, ttl)
            handle(g).cache._state.flights.invalidate(key)

    late = Late()
    g = agentperf.cached(backend=late, name="g")(lambda x: x)
    with fresh_host(), recorded(events.CacheRefused) as log:
        f(1)
        g(1)
    assert spied.keys == late.keys == []
    assert [event.reason for event in log] == ["it was invalidated while it was computed"] * 2


class Model:
    """Says nothing of what it is keyed by."""

    @agentperf.cached(backend=Spied())
    def answer(self, question):
        """Answer."""
        return question


class Keyed(Model):
    """Says it."""

    def __agentperf_key__(self):
        return "small"


def top(x):
    """Stand at the top of a module."""
    return x


def test_keys_that_others_read():
    """Lambdas and local functions need a name, instances a key of their own."""
    spied = Spied()

    def local(x):
        return x

    for function in (local, lambda x: x):
        with pytest.raises(errors.ConfigurationError, match=r'name="search"'):
            agentperf.cached(backend=spied)(function)
    with fresh_host():
        agentperf.cached(backend=spied)(top)("a b\n\u20ac")
        with pytest.raises(errors.UncacheableArgumentError, match="__agentperf_key__"):
            Model().answer("why?")
        assert Keyed().answer("why?") == Keyed().answer("why?") == "why?"
    (key,) = spied.keys
    assert key.isascii()
    assert key.isprintable()
    assert " " not in key
    assert len(key) <= 200
    assert key.startswith("ap1:tests.unit.policies.cached.backed.test_layer.top:")


def test_keys_of_a_backend_of_our_own():
    """Nobody else reads it: local functions are told apart, and instances too."""
    backend = MemoryBackend()

    def make(answer):
        def local(x):
            return answer

        return agentperf.cached(backend=backend)(local)

    first, second = make("one"), make("two")

    class Counter:
        def __init__(self, start):
            self.start = start

        @agentperf.cached(backend=backend)
        def plus(self, x):
            return self.start + x

    with fresh_host():
        assert (first(1), second(1), first(1)) == ("one", "two", "one")
        assert (Counter(1).plus(1), Counter(2).plus(1)) == (2, 3)


def test_keys_are_the_same_in_every_process():
    """A key depends on name, scope and arguments, and on nothing of this process."""
    spied = Spied()
    f = agentperf.cached(backend=spied, name="answers")(top)
    with fresh_host():
        f("why?")
        with agentperf.scope(tenant="acme"):
            f("why?")
            f("why?")
        f("why?")
        assert figures(f) == (2, 2, 0)
    assert spied.keys == [
        "ap1:answers:481113b72be61762:0e4cf06be2344c6f012ea22cc5a3e708c8940f5a",
        "ap1:answers:481113b72be61762:a6b1930d66a754f48cd28bf85e3fc6b77bdba81a",
    ]


def test_clearing_leaves_other_caches():
    """Caches of one backend don't clear each other; names that look alike don't either."""
    spied = Spied()
    one, two, three = (
        agentperf.cached(backend=spied, name=name)(top) for name in ("a b", "a_b", "a")
    )
    with fresh_host():
        for f in (one, two, three):
            f(1)
        handle(one).cache.clear()
        assert len(spied.keys) == 2
        assert (handle(two).cache.peek(1), handle(three).cache.peek(1)) == (1, 1)


def test_a_name_shares_among_functions_and_hosts():
    """Functions of one name have one set of entries, which other hosts find too."""
    spied = Spied()
    policy = agentperf.cached(backend=spied, name="shared")
    source = Counted()
    f, g = policy(source.function("sync")), policy(source.function("sync"))
    for _ in range(2):
        with fresh_host():
            f(1)
            g(1)
    assert source.calls == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": ""}, 'backend="memory"'),
        ({"backend": 7}, 'backend="memory"'),
        ({"backend": dict}, "CacheBackend"),
        ({"backend": "example", "copy": "share"}, "leave copy= out"),
        ({"on_store_failure": "shut"}, '"local", "open" or "closed"'),
    ],
)
def test_bad_options(options, message):
    """The error names the parameter and shows what is good."""
    with pytest.raises(errors.ConfigurationError, match=message):
        agentperf.cached(**options)


def test_figures_without_a_size():
    """A backend doesn't say how much it holds."""
    f = agentperf.cached(backend=Spied(), name="f")(top)
    with fresh_host():
        f(1)
        stats = handle(f).cache.stats()
    assert (stats.size, stats.max_entries, stats.stored) == (0, 0, 1)
    assert str(stats) == "0.0% hits (0 hits, 0 shared, 1 misses), 1 stored, 0 refused"


def test_a_coroutine_out_of_a_plain_function():
    """A plain function that gives an awaitable is driven as asynchronous, its answer is stored."""
    source = Counted()
    asynchronous = source.function("async")
    f = agentperf.cached(backend=Spied(), name="f")(
        lambda x: asynchronous(x)  # noqa: PLW0108 - a plain function
    )

    async def run():
        return await f(1), await f(1)

    with fresh_host():
        assert asyncio.run(run()) == ([1], [1])
    assert source.calls == 1


def test_backends_need_one():
    """A pair of nothing is nothing."""
    with pytest.raises(ValueError, match="sync="):
        Backends()
    assert isinstance(Spied(), CacheBackend)
