"""A breaker whose circuits are in a store: what it lets in, what it tells, what it does without."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import anyio
import pytest

import agentperf
from agentperf import events, rate_limited
from agentperf._base.clock import Clock
from agentperf._engine.sqlite.store import SqliteStore
from agentperf.abc import AsyncStore, Stores
from agentperf.policies.circuit_breaker.shared.circuit import LOOK_EVERY
from agentperf.testing import FakeClock, fresh_host, recorded
from agentperf.testing.conformance.stores import MemoryStore

AFTER_A_LOOK = LOOK_EVERY + 0.01


class Gone(Exception):
    """The store can't be reached."""


class Watched(MemoryStore):
    """A store that counts what it is asked, and can be out of order."""

    def __init__(self, clock):
        super().__init__(clock)
        self.asked = 0
        self.broken = False

    def decide(self, *decision):
        """Decide, unless it is broken."""
        self.asked += 1
        if self.broken:
            raise Gone
        return super().decide(*decision)


class Awaited(AsyncStore):
    """The same for calls that are awaited; it may be held up."""

    def __init__(self, store):
        self.store = store
        self.gate = None

    async def decide(self, *decision):
        """Decide after a while."""
        await anyio.lowlevel.checkpoint()
        answer = self.store.decide(*decision)
        if self.gate is not None:
            await self.gate.wait()
        return answer

    async def delete(self, key):
        """Forget."""
        return self.store.delete(key)

    async def now(self):
        """Tell the time."""
        return self.store.now()


@pytest.fixture
def clock():
    """Return the clock of a host of the test's own."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


@pytest.fixture
def store(clock):
    """Return a store on that clock."""
    return Watched(clock)


def guarded(store, **options):
    """Decorate a function that answers what it is given, or raises it."""
    options = {"name": "shared", "minimum_calls": 6, "open_for": 30, "probes": 2, **options}

    @agentperf.circuit_breaker(store=store, **options)
    def f(x=None, model="m"):
        if isinstance(x, BaseException):
            raise x
        return x

    return f


BAD = ConnectionError("no")


class Process:
    """A host of its own that stands for a process."""

    def __init__(self, clock, store, **options):
        self.host = agentperf.Host(clock=clock)
        self.f = guarded(store, **options)
        self.changes = []
        self.host.subscribe(self.changes.append, events.CircuitChanged)

    def call(self, *arguments, **options):
        """Call; return the answer or the name of what it raised."""
        with agentperf.use(self.host):
            try:
                return self.f(*arguments, **options)
            except Exception as error:  # noqa: BLE001 - it is the outcome
                return type(error).__name__

    def fails(self, times):
        """Make calls that fail."""
        for _ in range(times):
            assert self.call(BAD) == "ConnectionError"

    @property
    def breaker(self):
        """The handle."""
        with agentperf.use(self.host):
            return agentperf.handle(self.f).breaker

    @property
    def told(self):
        """What changes were told, and why."""
        return [(change.old, change.new, change.reason) for change in self.changes]


@pytest.fixture
def two(clock, store):
    """Return two processes with the same breaker."""
    return Process(clock, store), Process(clock, store)


def test_processes_open_it_together(two, clock):
    """Each alone has too few calls; who causes it says why, the other sees it within a second."""
    a, b = two
    a.fails(3)
    b.fails(3)
    clock.advance(AFTER_A_LOOK)
    assert a.call(1) == 1
    assert b.call(2) == "CircuitOpen"
    clock.advance(AFTER_A_LOOK)
    assert a.call(3) == "CircuitOpen"
    assert b.told == [("closed", "open", "too many failures")]
    assert a.told == [("closed", "open", "another process")]
    assert [(c.calls, c.failure_rate) for c in (*a.changes, *b.changes)] == [(6, 1.0)] * 2
    assert 27 <= b.changes[0].open_for <= 33


def test_it_opens_at_once_when_the_last_failure_is_seen(two):
    """A process doesn't wait half a second to tell what opens it."""
    a, _ = two
    a.fails(6)
    assert a.call(1) == "CircuitOpen"


def test_a_closed_circuit_asks_the_store_now_and_then(two, store, clock):
    """Not for every call; good calls are told with the next look."""
    a, b = two
    for _ in range(100):
        a.call(1)
    assert store.asked == 1
    clock.advance(AFTER_A_LOOK)
    a.call(1)
    assert store.asked == 2
    assert b.breaker.tally().calls == 100


def test_bad_calls_are_told_every_half_second(two, store):
    """One at once; the others wait for the next look, unless they open it."""
    a, b = two
    for _ in range(20):
        a.call(1)
    a.fails(5)
    assert store.asked == 2
    tally = b.breaker.tally()
    assert (tally.calls, tally.failures) == (21, 1)


def test_a_process_that_begins_asks_first(two, clock, store):
    """So that it doesn't call what others know to be down."""
    a, _ = two
    a.fails(6)
    late = Process(clock, store)
    assert late.call(1) == "CircuitOpen"
    assert late.told == [("closed", "open", "another process")]


def test_probes_are_shared(two, clock):
    """Two of all processes together; who refuses says so."""
    a, b = two
    a.fails(6)
    assert b.call(0) == "CircuitOpen"
    clock.advance(40)
    inside = []

    def work():
        inside.append(b.call(1))
        inside.append(b.call(2))
        inside.append(a.call(3))
        return "done"

    a.f = guarded_by(a, work)
    assert a.call() == "done"
    assert inside == [1, "CircuitOpen", "CircuitOpen"]
    clock.advance(AFTER_A_LOOK)
    assert [a.call(), b.call(4)] == ["done", 4]
    assert a.told[-1] == ("half-open", "closed", "the probes went well")
    assert b.told[-1] == ("half-open", "closed", "another process")


def guarded_by(process, function):
    """Put a function behind the breaker of a process, of the same name."""
    policy = agentperf.handle(process.f).pipeline[0]
    return policy(function)


def test_failed_probes_open_it_for_longer(two, clock):
    """For all processes."""
    a, b = two
    a.fails(6)
    assert b.call() == "CircuitOpen"
    clock.advance(40)
    a.fails(1)
    b.fails(1)
    assert b.told[-1] == ("half-open", "open", "the probes failed")
    assert 54 <= b.changes[-1].open_for <= 66


def test_a_probe_whose_holder_died_is_made_again(two, clock, store):
    """Its lease runs out after half a minute."""
    a, b = two
    a.fails(6)
    clock.advance(40)
    dying = Process(clock, store)
    dead = threading.Event()

    def never():
        dead.wait(30)
        raise KeyboardInterrupt

    dying.f = guarded_by(dying, never)
    threads = [threading.Thread(target=quiet(dying.call)) for _ in range(2)]
    for thread in threads:
        thread.start()
    with fresh_host(clock):
        until(lambda: store.asked >= 5)
    assert a.call() == "CircuitOpen"
    clock.advance(29)
    assert a.call() == "CircuitOpen"
    clock.advance(2)
    assert [a.call(1), b.call(1)] == [1, 1]
    assert b.told[-1][1:] == ("closed", "the probes went well")
    dead.set()
    for thread in threads:
        thread.join()
    assert b.call(2) == 2


def quiet(call):
    """Have a thread that is interrupted say nothing."""

    def run():
        with contextlib.suppress(KeyboardInterrupt):
            call()

    return run


def until(condition):
    """Wait for something that another thread does."""
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never happened")


def test_a_cancelled_probe_gives_its_lease_back(two, clock):
    """At once, and counts neither way."""
    a, b = two
    a.fails(6)
    clock.advance(40)

    def interrupted():
        raise KeyboardInterrupt

    a.f, works = guarded_by(a, interrupted), a.f
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            a.call()
    a.f = works
    assert [a.call(1), b.call(2)] == [1, 2]
    assert b.told[-1][1:] == ("closed", "the probes went well")


def test_states_by_request_hold_for_all(two, clock):
    """Within a second; `state` asks the store, `states` doesn't."""
    a, b = two
    assert [a.call(1), b.call(1)] == [1, 1]
    a.breaker.force("forced-open")
    assert b.breaker.states() == {None: "closed"}
    clock.advance(AFTER_A_LOOK)
    assert b.call() == "CircuitOpen"
    assert b.told == [("closed", "forced-open", "another process")]
    b.breaker.force("disabled")
    assert a.breaker.state() == "disabled"
    a.fails(30)
    clock.advance(AFTER_A_LOOK)
    b.fails(30)
    a.breaker.reset()
    assert [a.call(1), b.breaker.state(), b.call(1)] == [1, "closed", 1]
    a.breaker.trip()
    assert b.breaker.state() == "open"
    b.breaker.reset()
    clock.advance(AFTER_A_LOOK)
    assert a.call(1) == 1
    assert a.told[-3:] == [
        ("disabled", "closed", "by request"),
        ("closed", "open", "by request"),
        ("open", "closed", "another process"),
    ]


def test_shadow_is_shared(two, clock):
    """It opens for nobody, and one process says that it would have."""
    a, b = two
    a.breaker.force("shadow")
    assert b.call(1) == 1
    for _ in range(3):
        a.fails(3)
        b.fails(3)
        clock.advance(AFTER_A_LOOK)
    assert [change[2] for change in a.told + b.told] == [
        "by request",
        "would open: too many failures",
        "another process",
    ]


def test_each_value_of_by_is_its_own(clock, store):
    """In the store too."""
    a = Process(clock, store, by="model")
    b = Process(clock, store, by="model")
    for _ in range(6):
        a.call(BAD, "x")
    assert [a.call(1, "x"), a.call(1, "y")] == ["CircuitOpen", 1]
    assert [b.call(1, "x"), b.call(1, "y")] == ["CircuitOpen", 1]
    assert sorted(b.breaker.states().values()) == ["closed", "open"]
    assert b.breaker.state(1, "x") == "open"


def test_other_names_and_rules_are_others(clock, store):
    """Nothing is mixed up in one store."""
    Process(clock, store).fails(6)
    assert Process(clock, store, name="other").call(1) == 1
    assert Process(clock, store, open_for=20).call(1) == 1
    assert Process(clock, store).call(1) == "CircuitOpen"


def test_outcomes_of_an_older_version_are_dropped(two, clock):
    """A call that was let in before it was reset can't open it."""
    a, b = two
    a.call(1)

    def slow(error):
        b.breaker.reset()
        raise error

    a.f = guarded_by(a, slow)
    a.fails(1)
    clock.advance(AFTER_A_LOOK)
    assert b.breaker.tally().calls == 0


def test_retry_after_opens_for_as_long(two):
    """For all."""
    a, b = two

    class Busy(Exception):
        status_code = 503
        retry_after = 77

    for _ in range(6):
        error = Busy()
        error.response = type("R", (), {"headers": {"retry-after": "77"}, "status_code": 503})()
        a.call(error)
    assert a.told == [("closed", "open", "too many failures")]
    assert a.changes[0].open_for == pytest.approx(77)
    with agentperf.use(b.host), pytest.raises(agentperf.CircuitOpen) as caught:
        b.f()
    assert caught.value.retry_after == pytest.approx(77)


def test_a_refusal_names_no_stale_cause(two):
    """Who opens it by hand is the cause, whatever had failed before."""
    a, b = two
    a.fails(1)
    a.breaker.reset()
    a.breaker.trip()
    with agentperf.use(a.host), pytest.raises(agentperf.CircuitOpen, match="is open by request;"):
        a.f()
    a.breaker.force("forced-open")
    assert b.breaker.state() == "forced-open"
    for process in two:
        with (
            agentperf.use(process.host),
            pytest.raises(agentperf.CircuitOpen, match=r"is forced-open by request$"),
        ):
            process.f()


def test_on_store_failure_goes_with_a_store():
    """Alone it would say nothing."""
    with pytest.raises(agentperf.ConfigurationError, match="'open' goes with store="):
        agentperf.circuit_breaker(on_store_failure="open")


def test_slow_calls_and_windows_of_time(clock, store):
    """As in memory."""
    rules = {"slow_rate": 0.5, "slow_after": 5, "window": "1m"}
    a, b = (Process(clock, store, **rules) for _ in range(2))

    def slow():
        clock.advance(6)
        return "late"

    for process in (a, b):
        process.f = guarded_by(process, slow)
        assert [process.call() for _ in range(2)] == ["late"] * 2
    assert [a.call(), b.call()] == ["late"] * 2
    assert b.told == [("closed", "open", "too many slow calls")]
    assert a.call() == "CircuitOpen"


def test_a_limit_asks_it_before_its_queue(clock, store):
    """And an open one that somebody closed is seen there."""
    a = Process(clock, store)

    def work(x):
        return x

    breaker = agentperf.handle(a.f).pipeline[0]
    a.f = rate_limited("1/hour", max_wait=7200)(breaker(work))
    other = Process(clock, store)
    assert a.call(1) == 1
    other.fails(6)
    clock.advance(AFTER_A_LOOK)
    began = clock.now()
    assert a.call(2) == "CircuitOpen"
    assert clock.now() == began
    other.breaker.reset()
    clock.advance(AFTER_A_LOOK)
    assert a.call(3) == 3


# -- awaited calls, and streams


class Colours:
    """One breaker on functions of all four shapes."""

    def __init__(self, place, **options):
        options = {"minimum_calls": 4, "probes": 1, "name": "shared", **options}
        breaker = agentperf.circuit_breaker(store=place, **options)

        def plain(x):
            return done(x)

        def items(x):
            yield 1
            yield done(x)

        async def awaited(x):
            return done(x)

        async def streamed(x):
            yield 1
            yield done(x)

        def done(x):
            if isinstance(x, BaseException):
                raise x
            return x

        self.breaker = breaker
        self.plain, self.items = breaker(plain), breaker(items)
        self.awaited, self.streamed = breaker(awaited), breaker(streamed)

    async def call(self, shape, x):
        """Call the function of some shape; return the last that it gave, or what it raised."""
        try:
            if shape == "plain":
                return self.plain(x)
            if shape == "items":
                return list(self.items(x))[-1]
            if shape == "awaited":
                return await self.awaited(x)
            return [item async for item in self.streamed(x)][-1]
        except Exception as error:  # noqa: BLE001 - it is the outcome
            return type(error).__name__


@pytest.mark.anyio
@pytest.mark.parametrize("shape", ["plain", "items", "awaited", "streamed"])
@pytest.mark.parametrize("both", [True, False])
async def test_all_shapes(store, clock, shape, both):
    """They open it, are refused, probe and close it."""
    place = Stores(sync=store, asynchronous=Awaited(store)) if both else store
    calls = Colours(place)
    with recorded(events.CircuitChanged) as log:
        for _ in range(4):
            assert await calls.call(shape, BAD) == "ConnectionError"
            await anyio.wait_all_tasks_blocked()
        assert await calls.call(shape, 1) == "CircuitOpen"
        clock.advance(40)
        assert await calls.call(shape, 2) == 2
        await anyio.wait_all_tasks_blocked()
        assert await calls.call(shape, 3) == 3
    reasons = [event.reason for event in log.of(events.CircuitChanged)]
    assert reasons == ["too many failures", "its time is up", "the probes went well"]


@pytest.mark.anyio
async def test_awaited_calls_do_not_wait_for_the_store(store, clock):
    """But the first of all, and those that want to be probes."""
    place = Awaited(store)
    calls = Colours(Stores(asynchronous=place))
    assert await calls.call("awaited", 1) == 1
    clock.advance(AFTER_A_LOOK)
    place.gate = anyio.Event()
    for _ in range(5):
        assert await calls.call("awaited", 1) == 1
    for _ in range(9):
        assert await calls.call("awaited", BAD) == "ConnectionError"
    await anyio.wait_all_tasks_blocked()
    place.gate.set()
    await anyio.wait_all_tasks_blocked()
    assert await calls.call("awaited", 1) == "CircuitOpen"


@pytest.mark.anyio
async def test_who_is_cancelled_while_it_asks_gives_the_lease_back(store, clock):
    """Whether or not it had been given one."""
    place = Awaited(store)
    calls = Colours(Stores(asynchronous=place))
    for _ in range(4):
        await calls.call("awaited", BAD)
        await anyio.wait_all_tasks_blocked()
    clock.advance(40)
    place.gate = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(calls.call, "awaited", 1)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    place.gate.set()
    await anyio.wait_all_tasks_blocked()
    clock.advance(AFTER_A_LOOK)
    assert await calls.call("awaited", 2) == 2
    await anyio.wait_all_tasks_blocked()
    assert await agentperf.handle(calls.awaited).breaker.astate() == "closed"


@pytest.mark.anyio
async def test_a_crowd_asks_for_no_more_leases_than_there_are(store, clock):
    """The others are refused at once."""
    place = Awaited(store)
    calls = Colours(Stores(asynchronous=place), probes=3)
    for _ in range(4):
        await calls.call("awaited", BAD)
        await anyio.wait_all_tasks_blocked()
    clock.advance(40)
    asked, outcomes = store.asked, []
    place.gate = anyio.Event()

    async def one():
        outcomes.append(await calls.call("awaited", 1))

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        assert store.asked - asked <= 4
        place.gate.set()
    assert sorted(map(str, outcomes)) == ["1"] * 3 + ["CircuitOpen"] * 47


@pytest.mark.anyio
async def test_the_handle_is_awaited(store, clock):
    """Every method that asks has a twin."""
    calls = Colours(Stores(asynchronous=Awaited(store)))
    breaker = agentperf.handle(calls.awaited).breaker
    await breaker.atrip()
    assert await breaker.astate() == "open"
    await breaker.areset()
    assert (await breaker.atally()).calls == 0
    await breaker.aforce("forced-open")
    assert await breaker.astate() == "forced-open"
    assert await calls.call("awaited", 1) == "CircuitOpen"
    with pytest.raises(agentperf.ConfigurationError, match="has to be awaited"):
        breaker.state()


@pytest.mark.anyio
async def test_the_twins_serve_a_breaker_in_memory(clock):
    """They simply don't wait."""

    @agentperf.circuit_breaker
    async def f():
        return 1

    breaker = agentperf.handle(f).breaker
    await breaker.atrip()
    assert (await breaker.astate(), breaker.state()) == ("open", "open")
    await breaker.areset()
    assert (await breaker.atally()).calls == 0


def test_streams_by_their_first_item(clock, store):
    """A late one is slow, for the shared circuit too."""
    breaker = agentperf.circuit_breaker(
        store=store, name="s", slow_rate=0.5, slow_first_item=2, minimum_calls=3
    )

    @breaker
    def stream():
        clock.advance(3)
        yield 1

    for _ in range(3):
        assert list(stream()) == [1]
    with pytest.raises(agentperf.CircuitOpen):
        list(stream())


def test_a_stream_that_its_reader_left_is_neutral(two, clock):
    """Also as a probe: its lease comes back."""
    a, _ = two
    a.fails(6)
    clock.advance(40)

    def stream():
        yield 1
        yield 2

    with agentperf.use(a.host):
        shared = guarded_by(a, stream)
        for _ in range(4):
            answer = shared()
            assert next(answer) == 1
            answer.close()
        assert [list(shared()), list(shared())] == [[1, 2]] * 2
    assert a.told[-1][1:] == ("closed", "the probes went well")


# -- a store that is out of order


def outage(clock, store, mode, **options):
    """Return a process whose store has just failed."""
    process = Process(clock, store, on_store_failure=mode, **options)
    assert process.call(1) == 1
    store.broken = True
    clock.advance(AFTER_A_LOOK)
    return process


def test_local_decides_by_itself(clock, store):
    """With what this process saw before, until the store rules again."""
    a = outage(clock, store, "local")
    a.fails(5)
    assert a.call(1) == "CircuitOpen"
    clock.advance(40)
    assert [a.call(1), a.call(1), a.call(1)] == [1] * 3
    assert [reason for _, _, reason in a.told] == [
        "too many failures",
        "its time is up",
        "the probes went well",
    ]


def test_an_open_circuit_stays_so_without_the_store(clock, store):
    """And probes by itself when its time is up."""
    a = Process(clock, store)
    a.fails(6)
    store.broken = True
    clock.advance(20)
    assert a.call(1) == "CircuitOpen"
    clock.advance(20)
    assert [a.call(1), a.call(1), a.call(1)] == [1] * 3


def test_after_an_outage_the_store_is_told_and_rules(clock, store):
    """What was seen meanwhile counts for all; what was decided alone does not."""
    a = outage(clock, store, "local", minimum_calls=20)
    b = Process(clock, store, minimum_calls=20)
    a.fails(19)
    b.fails(15)
    assert [a.call(2), b.call(2)] == ["CircuitOpen", 2]
    store.broken = False
    clock.advance(20)
    assert b.call(1) == 1
    assert a.call(1) == "CircuitOpen"
    assert b.breaker.state() == "open"
    assert b.breaker.tally().failures == 34
    assert a.told == [
        ("closed", "open", "too many failures"),
        ("open", "open", "too many failures"),
    ]


def test_a_circuit_that_opened_alone_closes_when_all_others_are_well(clock, store):
    """The store says how it stands."""
    a = outage(clock, store, "local", minimum_calls=3)
    store.broken = False
    b = Process(clock, store, minimum_calls=3)
    for _ in range(60):
        b.call(1)
    clock.advance(AFTER_A_LOOK)
    b.call(1)
    store.broken = True
    a.fails(2)
    assert a.call(1) == "CircuitOpen"
    store.broken = False
    clock.advance(15)
    assert a.call(1) == 1
    assert a.told[-1] == ("open", "closed", "the store works again")


def test_open_lets_everybody_in(clock, store):
    """Whatever the circuit was; what is seen is told later."""
    a = Process(clock, store, on_store_failure="open")
    a.fails(6)
    assert a.call(1) == "CircuitOpen"
    store.broken = True
    clock.advance(AFTER_A_LOOK)
    assert [a.call(n) for n in range(5)] == list(range(5))
    a.fails(9)
    store.broken = False
    clock.advance(15)
    assert a.call(1) == "CircuitOpen"
    assert len(a.told) == 1


def test_open_notes_what_it_sees(clock, store):
    """And opens when the store is back."""
    a = outage(clock, store, "open")
    a.fails(9)
    assert a.told == []
    store.broken = False
    clock.advance(15)
    assert a.call(1) == "CircuitOpen"
    assert a.changes[0].failure_rate == pytest.approx(0.9)


def test_closed_lets_nobody_in(clock, store):
    """And says why."""
    a = outage(clock, store, "closed")
    unavailable = pytest.raises(agentperf.StoreUnavailable, match="'shared' failed")
    with agentperf.use(a.host), recorded(events.CallRefused) as log, unavailable:
        a.f(1)
    assert log.of(events.CallRefused)[0].policy == "circuit_breaker"
    assert [a.call(1) for _ in range(3)] == ["StoreUnavailable"] * 3
    store.broken = False
    clock.advance(15)
    assert [a.call(1) for _ in range(3)] == [1] * 3


def test_a_store_that_was_never_there(clock, store):
    """Its first call finds out."""
    store.broken = True
    assert Process(clock, store).call(1) == 1
    assert Process(clock, store, on_store_failure="open").call(1) == 1
    assert Process(clock, store, on_store_failure="closed").call(1) == "StoreUnavailable"


def test_one_call_pays(clock, store):
    """The others don't ask; each change of the store is told once."""
    a = outage(clock, store, "local")
    with agentperf.use(a.host), recorded(events.StoreDown, events.StoreUp) as log:
        asked = store.asked
        for _ in range(50):
            a.call(1)
        assert store.asked == asked + 1
        store.broken = False
        clock.advance(0.6)
        a.call(1)
    assert log.names() == ["StoreDown", "StoreUp"]


def test_a_store_that_forgot_is_told_what_was_known(clock, store):
    """A circuit that was forced open stays so."""
    a = Process(clock, store)
    a.call(1)
    a.breaker.force("forced-open")
    store._records.clear()
    clock.advance(AFTER_A_LOOK)
    assert a.call(1) == "CircuitOpen"
    assert Process(clock, store).call(1) == "CircuitOpen"


def test_a_store_that_forgot_meanwhile_is_told_what_is_left(clock, store):
    """Of the time that the circuit was to stay open, not all of it again."""
    a = Process(clock, store, on_store_failure="closed")
    a.fails(6)
    store.broken = True
    clock.advance(20)
    assert a.call(1) == "StoreUnavailable"
    store.broken = False
    store._records.clear()
    clock.advance(0.6)
    with agentperf.use(a.host), pytest.raises(agentperf.CircuitOpen) as caught:
        a.f()
    assert 6 <= caught.value.retry_after <= 13


def test_a_probe_that_ends_during_an_outage_is_told_later(clock, store):
    """Nobody asks a dead store for that; it is told with the first answer."""
    a = Process(clock, store, probes=1, on_store_failure="open")
    a.fails(6)
    clock.advance(40)

    def work():
        store.broken = True
        return "done"

    a.f, works = guarded_by(a, work), a.f
    assert a.call() == "done"
    a.f, asked = works, store.asked
    for _ in range(20):
        assert a.call(1) == 1
    assert store.asked == asked
    store.broken = False
    clock.advance(AFTER_A_LOOK)
    a.call(1), a.call(1)
    assert a.breaker.state() == "closed"


def test_to_force_a_state_needs_the_store(clock, store):
    """Else it would be this process's alone; to look needs none."""
    a = outage(clock, store, "local")
    with pytest.raises(agentperf.BackendError, match=r"Gone|left alone"):
        a.breaker.force("forced-open")
    assert a.breaker.state() == "closed"
    assert a.breaker.tally().calls == 1


def test_a_failure_that_is_ours_is_raised(clock):
    """A store that can't take the decision at all is a mistake, not an outage."""

    class Refuses(MemoryStore):
        def decide(self, *decision):
            raise agentperf.ConfigurationError("no script")

    f = guarded(Refuses(clock))
    for _ in range(2):
        with pytest.raises(agentperf.ConfigurationError, match="no script"):
            f()


# -- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"store": "sqlite:x"}, "needs name="),
        ({"store": "", "name": "n"}, "an address or a store"),
        ({"store": 3, "name": "n"}, "an address or a store"),
        ({"store": "sqlite:x", "name": "n", "on_store_failure": "shut"}, '"local", "open" or'),
    ],
)
def test_options_are_checked(options, message):
    """Each with what to write instead."""
    with pytest.raises(agentperf.ConfigurationError, match=message):
        agentperf.circuit_breaker(**options)


def test_calls_that_block_need_a_store_that_blocks(clock, store):
    """Who can't await says so at the first call."""
    with pytest.raises(agentperf.ConfigurationError, match="has to be awaited"):
        guarded(Awaited(store))()


def test_a_file_serves_both_colours(tmp_path):
    """By its address, in a host with real time."""
    address = f"sqlite:{tmp_path / 'circuits.db'}"
    with fresh_host():
        calls = Colours(address)

        async def run():
            assert await calls.call("awaited", BAD) == "ConnectionError"
            assert await calls.call("plain", BAD) == "ConnectionError"

        asyncio.run(run())
        asyncio.run(run())
        assert agentperf.handle(calls.plain).breaker.state() == "open"


def test_threads_share_one_circuit(clock, store):
    """All their calls count, once."""
    a = Process(clock, store, window="1m", minimum_calls=10_000)

    def work():
        for _ in range(500):
            a.call(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.advance(AFTER_A_LOOK)
    a.call(1)
    assert a.breaker.tally().calls == 2001


def test_configured(clock):
    """The settings take the same options."""
    with fresh_host(clock) as host:

        @agentperf.timed("work")
        def f():
            return 1

        host.configure(
            policies={"work": {"circuit_breaker": {"store": "nowhere://x", "name": "up"}}}
        )
        with pytest.raises(agentperf.PluginError):
            f()


class Settable(Clock):
    """A clock whose wall time somebody sets."""

    def __init__(self, clock):
        self.now = clock.now
        self.offset = 1_700_000_000.0
        self.wall = lambda: clock.now() + self.offset


@pytest.mark.parametrize("step", [-86400.0, -3.0, 3.0, 86400.0])
def test_a_clock_that_is_set_leaves_no_circuit_open(clock, tmp_path, step):
    """It goes on in a file as long as it was to, or shorter, and closes."""
    wall = Settable(clock)
    store = SqliteStore(tmp_path / "circuits.db", wall)
    a, b = Process(clock, store), Process(clock, store)
    assert b.call(0) == 0
    a.fails(6)
    wall.offset += step
    clock.advance(AFTER_A_LOOK)
    outcomes = [a.call(1), b.call(1)]
    assert outcomes in (["CircuitOpen"] * 2, [1, 1])
    for _ in range(10):
        clock.advance(7)
        a.call(1), b.call(1)
    assert [a.breaker.state(), b.breaker.state()] == ["closed"] * 2
    a.fails(6)
    wall.offset -= step
    for _ in range(10):
        clock.advance(7)
        a.call(1), b.call(1)
    assert [a.breaker.state(), b.breaker.state()] == ["closed"] * 2


# -- a loop for each call


def runs_of(kind):
    """Return what runs an awaited call on a loop of its own."""
    if kind == "trio":
        import trio

        return trio.run
    if kind == "asyncio":
        return asyncio.run
    return on_a_loop_that_is_just_closed


def on_a_loop_that_is_just_closed(function, *arguments):
    """Run a call on a loop that leaves its tasks where they are."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    try:
        return loop.run_until_complete(function(*arguments))
    finally:
        loop.close()


def runs(kind, function, *arguments):
    """Run a call on a loop of its own; return the answer or the name of what it raised."""
    run = runs_of(kind)
    try:
        if kind == "asyncio":
            return run(function(*arguments))
        return run(function, *arguments)
    except Exception as error:  # noqa: BLE001 - it is the outcome
        return type(error).__name__


def awaited_by(store, **options):
    """Decorate an awaited function that answers what it is given, or raises it."""
    options = {"name": "shared", "minimum_calls": 6, "window": 6, "probes": 2, **options}
    options = {"open_for": 30, **options}

    @agentperf.circuit_breaker(store=store, **options)
    async def f(x=None):
        if isinstance(x, BaseException):
            raise x
        return x

    return f


@pytest.fixture(params=["blocking", "awaited", "both", "sqlite"])
def place(request, clock, store, tmp_path):
    """Return stores of each kind."""
    if request.param == "sqlite":
        opened = SqliteStore(tmp_path / "store.db")
        yield opened
        opened.close()
    else:
        awaited = Awaited(store)
        stores = {
            "blocking": store,
            "awaited": awaited,
            "both": Stores(sync=store, asynchronous=awaited),
        }
        yield stores[request.param]


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
def test_it_opens_where_each_call_has_a_loop_of_its_own(place, clock, kind):
    """What a call has to tell is told though its loop ends with it: by the next at the latest."""
    f = awaited_by(place)
    outcomes = [runs(kind, f, BAD) for _ in range(30)]
    assert outcomes[:6] == ["ConnectionError"] * 6
    assert set(outcomes[8:]) == {"CircuitOpen"}


@pytest.mark.parametrize("kind", ["asyncio", "trio", "closed"])
def test_what_others_open_is_seen_from_loops_of_single_calls(place, clock, kind):
    """A look whose loop ended is made again by the next call, which waits for it."""
    f, other = awaited_by(place), awaited_by(place)
    assert runs(kind, f, 1) == 1
    with fresh_host(clock):
        asyncio.run(agentperf.handle(other).breaker.aforce("forced-open"))
    seen = []
    for _ in range(3):
        clock.advance(AFTER_A_LOOK)
        seen.append(runs(kind, f, 1))
    assert seen[1:] == ["CircuitOpen"] * 2


def test_a_loop_that_is_just_closed_keeps_nobody_from_telling(store, clock):
    """Its tasks are neither done nor cancelled: half a second later others take over."""
    f = awaited_by(Awaited(store))
    for _ in range(8):
        assert runs("closed", f, BAD) in ("ConnectionError", "CircuitOpen")
        clock.advance(AFTER_A_LOOK)
    assert runs("closed", f, BAD) == "CircuitOpen"


def test_what_is_told_at_the_end_of_a_loop_counts_once(store, clock):
    """The last call of a program is told too, where the store can be asked without a loop."""
    f = awaited_by(store, minimum_calls=50, window=50)
    for _ in range(5):
        assert runs("asyncio", f, BAD) == "ConnectionError"
        clock.advance(AFTER_A_LOOK)
    with fresh_host(clock):
        tally = agentperf.handle(guarded(store, minimum_calls=50, window=50)).breaker.tally()
    assert (tally.calls, tally.failures) == (5, 5)
