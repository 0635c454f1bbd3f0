"""Answers past their best: renewed ahead, given while stale, fallen back upon; against a model."""

from __future__ import annotations

import logging
import threading
import types

import anyio
import anyio.lowlevel
import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, rule

from agentperf import ConfigurationError, Host, cached, errors, events, handle, use
from agentperf.abc import Backends
from agentperf.policies.cached.flights.flight import Airspace, Flights
from agentperf.policies.cached.freshness import REST, Freshness, Standing
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.policies.cached.options import checked
from agentperf.policies.cached.tags.markers import TagTable
from agentperf.testing import FakeClock, recorded
from tests.unit.policies.cached.backed.test_layer import Awaited, Spied
from tests.unit.policies.cached.calls import COLOURS, PLAIN, Counted, aboard, auntil, outcome, until

pytestmark = pytest.mark.anyio
WHERE = ["memory", "bytes", "awaited"]


def place(where, clock):
    """Give a backend for calls of both colours."""
    if where == "memory":
        return "memory"
    spied = Spied(clock)
    spied.shared = False
    return spied if where == "bytes" else Backends(sync=spied, asynchronous=Awaited(spied))


class Source(Counted):
    """Gives the number of the call, takes time, and fails on demand."""

    def __init__(self, clock=None, cost=0.0):
        super().__init__(self._next)
        self.error = None
        self.clock = clock
        self.cost = cost

    def _next(self, *_):
        if self.cost:
            self.clock.advance(self.cost)
        if self.error is not None:
            raise self.error
        return [self.calls]


async def settled(f):
    """Wait until nothing is being renewed."""
    flights = handle(f).cache._state.flights
    await auntil(lambda: not (flights._shared or flights._alone))


def options(**given):
    """Give options in their final form."""
    plain = {"key": None, "ignore": (), "max_entries": 9, "copy": "auto", "scope": "auto"}
    return checked(**{"ttl": 10, **plain, **given})


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", COLOURS)
async def test_a_stale_answer_is_given_while_one_renewal_runs(
    fresh_host, fake_clock, colour, where
):
    """Every colour, every place: the old one at once, the new one next time, made once."""
    source = Source()
    f = cached(10, stale=5, backend=place(where, fake_clock), name="s")(source.function(colour))
    assert await outcome(f()) == [1]
    fake_clock.advance(12)
    with recorded(events.CacheHit, events.CacheMiss) as log:
        assert await outcome(f()) == [1]
    assert [(type(event), getattr(event, "stale", None)) for event in log] == [
        (events.CacheHit, True)
    ]
    await settled(f)
    assert await outcome(f()) == [2]
    assert source.calls == 2
    stats = handle(f).cache.stats()
    assert (stats.hits, stats.stale, stats.misses, stats.stored) == (1, 1, 1, 2)
    assert "1 stale" in str(stats)
    fake_clock.advance(15)
    assert await outcome(f()) == [3]  # too old for anything
    assert handle(f).cache.stats().misses == 2


async def test_readers_of_a_stale_answer_never_wait(fresh_host, fake_clock):
    """Fifty at once get the old one; one renewal runs, and late readers don't start another."""
    gate, calls = anyio.Event(), 0

    @cached(10, stale=60)
    async def f():
        nonlocal calls
        calls += 1
        if calls > 1:
            await gate.wait()
        return [calls]

    await f()
    fake_clock.advance(11)
    results = []

    async def read():
        results.append(await f())

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(read)
    assert results == [[1]] * 50
    await anyio.wait_all_tasks_blocked()
    assert calls == 2
    gate.set()
    await settled(f)
    assert await f() == [2]


async def test_who_comes_after_the_stale_time_joins_the_renewal(fresh_host, fake_clock):
    """It is a flight like any other to whoever has to wait."""
    gate, calls = anyio.Event(), 0

    @cached(10, stale=5)
    async def f():
        nonlocal calls
        calls += 1
        if calls > 1:
            await gate.wait()
        return [calls]

    await f()
    fake_clock.advance(11)
    await f()
    fake_clock.advance(10)
    async with anyio.create_task_group() as group:
        group.start_soon(f)
        await anyio.wait_all_tasks_blocked()
        assert aboard(f) == 1
        gate.set()
    assert calls == 2
    assert handle(f).cache.stats().shared == 1


@pytest.mark.parametrize("where", WHERE)
async def test_invalidating_keeps_a_renewal_out(fresh_host, fake_clock, where):
    """What was begun before is not stored after, and the next call computes."""
    gate, calls = anyio.Event(), 0

    @cached(10, stale=60, backend=place(where, fake_clock), name="i")
    async def f():
        nonlocal calls
        calls += 1
        mine = calls
        if mine == 2:
            await gate.wait()
        return [mine]

    await f()
    fake_clock.advance(11)
    assert await f() == [1]
    await anyio.wait_all_tasks_blocked()
    assert await handle(f).cache.ainvalidate()
    assert await f() == [3]
    gate.set()
    await auntil(lambda: handle(f).cache.stats().refused)
    assert await f() == [3]
    assert calls == 3


@pytest.mark.parametrize("colour", COLOURS)
async def test_an_answer_is_renewed_ahead_of_its_end(fresh_host, fake_clock, colour):
    """From its share of the time to live on the first reader has it made; it stays a hit."""
    source = Source()
    f = cached(10, refresh_ahead=0.8)(source.function(colour))
    await outcome(f())
    fake_clock.advance(7.9)
    assert await outcome(f()) == [1]
    await settled(f)
    assert source.calls == 1
    fake_clock.advance(0.2)
    assert await outcome(f()) == [1]
    await settled(f)
    assert source.calls == 2
    assert await outcome(f()) == [2]
    stats = handle(f).cache.stats()
    assert (stats.hits, stats.stale, stats.misses) == (3, 0, 1)


async def test_a_renewal_that_fails_rests(fresh_host, fake_clock, caplog):
    """The old answer goes on being given; the next attempt comes after a rest; it is logged."""
    source = Source()
    f = cached(10, stale=60)(source.function("async"))
    await f()
    fake_clock.advance(11)
    source.error = ConnectionError("down")
    with caplog.at_level(logging.WARNING, "agentperf"):
        for _ in range(5):
            assert await f() == [1]
            await settled(f)
    assert source.calls == 2
    assert caplog.text.count("cache.unseen_failure") == 1
    source.error = None
    fake_clock.advance(REST)
    assert await f() == [1]
    await settled(f)
    assert await f() == [3]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", PLAIN)
async def test_an_old_answer_stands_in_for_one_that_fails(
    fresh_host, fake_clock, colour, where, caplog
):
    """Computed first, fallen back upon then, no other attempt for a while; gone in the end."""
    source = Source()
    f = cached(10, stale_on_error=60, backend=place(where, fake_clock), name="e")(
        source.function(colour)
    )
    await outcome(f())
    fake_clock.advance(20)
    source.error = ConnectionError("secret host")
    with caplog.at_level(logging.WARNING, "agentperf"):
        for _ in range(3):
            assert await outcome(f()) == [1]
    assert source.calls == 2
    assert "cache.stale_on_error" in caplog.text
    assert "secret" not in caplog.text
    fake_clock.advance(REST)
    assert await outcome(f()) == [1]
    assert source.calls == 3
    fake_clock.advance(REST)
    source.error = None
    assert await outcome(f()) == [4]
    assert handle(f).cache.stats().stale == 4
    source.error = ConnectionError()
    fake_clock.advance(70)
    with pytest.raises(ConnectionError):
        await outcome(f())


async def test_what_was_invalidated_stands_in_for_nothing(fresh_host, fake_clock):
    """Also when that happened while the attempt was under way."""

    @cached(10, stale_on_error=60)
    async def f():
        if fake_clock.now() > start:
            handle(f).cache.invalidate()
            raise ConnectionError
        return 1

    start = fake_clock.now()
    await f()
    fake_clock.advance(11)
    with pytest.raises(ConnectionError):
        await f()


async def test_an_interrupt_is_no_failure(fresh_host, fake_clock):
    """It is not fallen back from, and nothing rests after it."""
    source = Source()
    f = cached(10, stale_on_error=60)(source.function("sync"))
    f()
    fake_clock.advance(11)
    source.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        f()
    source.error = None
    assert f() == [3]


async def test_a_cancelled_reader_leaves_the_renewal_alone(fresh_host, fake_clock):
    """It belongs to nobody."""
    gate, calls = anyio.Event(), 0

    @cached(10, stale=60)
    async def f():
        nonlocal calls
        calls += 1
        if calls > 1:
            await gate.wait()
        return calls

    await f()
    fake_clock.advance(11)
    with anyio.CancelScope() as scope:
        await f()
        scope.cancel()
        await anyio.lowlevel.checkpoint()
    gate.set()
    await settled(f)
    assert await f() == 2


def test_blocking_renewals_run_in_few_threads(fresh_host, fake_clock):
    """Never in the caller's, a few at a time; who finds none free is asked again later."""
    gate, threads = threading.Event(), []

    @cached(10, stale=60)
    def f(x):
        if threading.current_thread() is not threading.main_thread():
            threads.append(threading.current_thread())
            assert gate.wait(20)
        return x

    for x in range(6):
        f(x)
    fake_clock.advance(11)
    for x in range(6):
        assert f(x) == x
    until(lambda: len(threads) == 4)
    assert all(thread.daemon for thread in threads)
    gate.set()
    until(lambda: not handle(f).cache._state.flights._shared)
    assert handle(f).cache.stats().stored == 10
    assert f(4) == 4
    until(lambda: handle(f).cache.stats().stored == 11)


def test_a_renewal_sees_the_reader_s_context(fresh_host, fake_clock):
    """The host of the reader, not the default one of the thread."""
    source = Source()
    f = cached(10, stale=60)(source.function("sync"))
    with use(Host(clock=fake_clock)):
        f()
        fake_clock.advance(11)
        f()
        until(lambda: handle(f).cache.stats().stored == 2)
        assert f() == [2]


async def test_an_entry_written_without_dates_is_fresh(fresh_host, fake_clock):
    """It was stored before anybody asked for stale answers."""
    backend = MemoryBackend(fake_clock)
    source = Source()
    cached(10, backend=backend, name="n")(source.function("sync"))()
    with use(Host(clock=fake_clock)):
        f = cached(10, stale=60, backend=backend, name="n")(source.function("sync"))
        assert f() == [1]
        assert handle(f).cache.peek() == [1]


async def test_an_entry_past_its_time_is_gone_for_those_who_want_it_fresh(fresh_host, fake_clock):
    """A cache that gives nothing stale reads the dates too, and so does peek."""
    backend = MemoryBackend(fake_clock)
    source = Source()
    f = cached(10, stale=60, backend=backend, name="n")(source.function("sync"))
    f()
    fake_clock.advance(11)
    assert handle(f).cache.peek() is None
    with use(Host(clock=fake_clock)):
        g = cached(10, backend=backend, name="n")(source.function("sync"))
        assert g() == [2]


async def test_an_entry_that_breaks_off_is_gone(fresh_host, fake_clock):
    """Dates that are not all there are none."""
    backend = MemoryBackend(fake_clock)
    source = Source()
    f = cached(10, stale=60, backend=backend, name="n")(source.function("sync"))
    f()
    (key,) = backend._store.entries
    backend.set(key, b"d123")
    assert f() == [2]


def test_a_renewal_whose_loop_is_gone_is_no_longer_under_way():
    """The next reader begins another one."""
    home = types.SimpleNamespace(deserted=False)
    flights = Flights(Airspace(TagTable()))
    first = flights.renewing("k", home)
    assert flights.renewing("k", home) is None
    home.deserted = True
    assert flights.renewing("k", home) is not None
    assert first.over


TIMES = st.floats(0.001, 1e6)


@given(life=TIMES, cost=st.floats(0, 1e6), ahead=st.floats(0.01, 0.99), chance=st.floats(0, 0.999))
def test_the_times_are_in_order(life, cost, ahead, chance):
    """Due before the end, never by chance alone in the first half, kept as long as asked."""
    freshness = Freshness(
        options(stale=3, stale_on_error=7, refresh_ahead=ahead), draw=lambda: chance
    )
    term = freshness.term(100.0, life, cost)
    assert min(100 + life / 2, 100 + ahead * life) <= term.due_from <= 100 + ahead * life
    assert term.due_from <= term.fresh_until <= term.stale_until <= term.kept_until
    assert term.kept_until == pytest.approx(term.fresh_until + 7)
    assert freshness.extra == 7


def test_what_is_expensive_is_renewed_earlier():
    """In proportion to its cost, by the same chance."""
    freshness = Freshness(options(refresh_ahead=True), draw=lambda: 0.5)
    times = [10 - freshness.term(0, 10, cost).due_from for cost in (0, 1, 2, 1000)]
    assert times == pytest.approx([0, 0.6931, 1.3862, 5], abs=1e-3)


@given(jitter=st.floats(0, 0.99), chance=st.floats(0, 0.999))
def test_jitter_only_takes_off(jitter, chance):
    """At most its share."""
    life = Freshness(options(jitter=jitter), draw=lambda: chance).life()
    assert 10 * (1 - jitter) <= life <= 10


def test_jitter_spreads_what_was_stored_together(fresh_host, fake_clock):
    """A hundred entries of one moment don't expire in one moment."""
    f = cached(100, jitter=0.5)(Counted().function("sync"))
    for x in range(100):
        f(x)
    ends = {entry.fresh_until - fake_clock.now() for entry in handle(f).cache._state.store}
    assert len(ends) > 50
    assert 50 <= min(ends) < max(ends) <= 100


def test_the_cost_is_the_time_it_took(fresh_host, fake_clock):
    """By the host's clock."""
    source = Source(fake_clock, cost=4.0)
    f = cached(10, refresh_ahead=True)(source.function("sync"))
    f()
    (entry,) = handle(f).cache._state.store
    assert entry.fresh_until - 5 <= entry.term.due_from < entry.fresh_until


@pytest.mark.parametrize("option", ["stale_on_error", "negative_ttl"])
@pytest.mark.parametrize("colour", ["generator", "async generator"])
def test_streams_refuse_what_cannot_be_done_for_them(option, colour):
    """At decoration, saying why."""
    with pytest.raises(ConfigurationError, match=f"{option}= can't serve .* it gives a stream"):
        cached(10, **{option: 5})(Counted().function(colour))


@pytest.mark.parametrize(
    "given", [{"jitter": 0.1}, {"stale": 5}, {"stale_on_error": 5}, {"refresh_ahead": 0.5}]
)
def test_without_a_time_to_live_nothing_gets_old(given):
    """What speaks of its end needs one."""
    with pytest.raises(ConfigurationError, match="means nothing without a time to live"):
        cached(**given)


class FreshnessAgainstModel(RuleBasedStateMachine):
    """The same reads, failures, invalidations and waits, in the cache and in a model of it."""

    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        self.source = Source()
        self.where = place("memory", self.clock)
        self.stored = None  # the moment and the answer of the last success
        self.rests = -1.0
        self.expected_calls = 0

    def begin(self, where):
        """Make the function where it is kept."""
        self.host = Host(clock=self.clock)
        backend = place(where, self.clock)
        make = cached(10, stale=5, stale_on_error=20, backend=backend, name="model")
        self.f = make(self.source.function("sync"))

    @rule(seconds=st.sampled_from([0.5, 3, 5, 9, 20]))
    def wait(self, seconds):
        """Time passes."""
        self.clock.advance(seconds)

    @rule(fails=st.booleans())
    def turn(self, fails):
        """The upstream goes down, or comes back."""
        self.source.error = ConnectionError() if fails else None

    @rule()
    def invalidate(self):
        """Nothing is left, no failure either."""
        with use(self.host):
            handle(self.f).cache.invalidate()
        self.stored, self.rests = None, -1.0

    def compute(self):
        """Do what an attempt does to the model; tell whether it went well."""
        self.expected_calls += 1
        if self.source.error is not None:
            self.rests = self.clock.now() + REST
            return False
        self.stored = (self.clock.now(), [self.expected_calls])
        self.rests = -1.0
        return True

    @rule()
    def read(self):
        """Ask, and wait until whatever that set going is over."""
        now, old = self.clock.now(), self.stored
        age = None if old is None else now - old[0]
        resting = now < self.rests
        if age is None or age >= 30:
            expected = self.stored[1] if self.compute() else None
        elif age < 10:
            expected = old[1]
        elif age < 15:
            expected = old[1]
            if not resting:
                self.compute()
        elif resting:
            expected = old[1]
        else:
            expected = self.stored[1] if self.compute() else old[1]
        with use(self.host):
            try:
                answer = self.f()
            except ConnectionError:
                answer = None
            flights = handle(self.f).cache._state.flights
            until(lambda: not flights._shared)
        assert answer == expected
        assert self.source.calls == self.expected_calls


class InMemory(FreshnessAgainstModel):
    """In memory."""

    def __init__(self):
        super().__init__()
        self.begin("memory")


class InBytes(FreshnessAgainstModel):
    """In a backend."""

    def __init__(self):
        super().__init__()
        self.begin("bytes")


TestInMemory = InMemory.TestCase
TestInBytes = InBytes.TestCase


def test_the_standings_follow_each_other():
    """Fresh, due, stale, a fallback, gone."""
    freshness = Freshness(options(stale=5, stale_on_error=20, refresh_ahead=0.5))
    term = freshness.term(0, 10, 0)
    seen = [term.at(now) for now in (0, 5, 10, 15, 30)]
    assert seen == list(Standing)


async def test_a_backend_that_fails_meanwhile_hides_no_error(fresh_host, fake_clock):
    """The call raises its own."""
    backend = Spied(fake_clock)

    @cached(10, stale_on_error=60, backend=backend, on_store_failure="closed", name="c")
    async def f():
        if fake_clock.now() > start:
            backend.broken = True
            raise LookupError
        return 1

    start = fake_clock.now()
    await f()
    fake_clock.advance(11)
    with pytest.raises(LookupError):
        await f()
    with pytest.raises(errors.StoreUnavailable):
        await f()
