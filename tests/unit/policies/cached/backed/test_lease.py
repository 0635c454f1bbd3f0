"""Leases: one process computes for all. Two hosts with one backend stand for two processes."""

from __future__ import annotations

import contextlib
import secrets
import threading

import anyio
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import agentperf
from agentperf import events, handle
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.waiting import in_one_go
from agentperf.abc import AsyncCacheBackend, Backends
from agentperf.config import Settings
from agentperf.policies.cached.backed import lease
from agentperf.policies.cached.backed.lease import (
    DONE,
    LASTS,
    MARK_LASTS,
    PATIENCE,
    UNSTORED,
    Lease,
    _stamp,
    lease_key,
)
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.unit.policies.cached.calls import figures, until

SOON = 0.5
"""Seconds in which all who wait have looked again."""

NO_TAGS = _stamp(()).encode()
"""What the tokens of calls without tags begin with."""


class Shared(MemoryBackend):
    """What several processes would use; notes what it is asked, and fails on demand."""

    shared = True

    def __init__(self, clock):
        super().__init__(clock)
        self.asked = []
        self.fails = set()
        self._inside = threading.local()

    def __getattribute__(self, name):
        method = super().__getattribute__(name)
        if name not in ASKED:
            return method

        def noted(*args, **kwargs):
            if getattr(self._inside, "method", None):
                return method(*args, **kwargs)
            self.asked.append(name)
            if name in self.fails:
                raise ConnectionError("no route")
            self._inside.method = name
            try:
                return method(*args, **kwargs)
            finally:
                self._inside.method = None

        return noted

    def __hash__(self):
        return id(self)

    def quietly(self):
        """Return the same entries, of which looking at them is not noted."""
        twin = MemoryBackend()
        twin._now, twin._store, twin._lock = self._now, self._store, self._lock
        return twin


ASKED = {
    "get",
    "latest",
    "get_many",
    "set",
    "add",
    "replace",
    "delete",
    "delete_if",
    "set_if",
    "clear",
}


class Awaited(AsyncCacheBackend):
    """The same, to be awaited."""

    shared = True
    atomic = True

    def __init__(self, inner):
        self.inner = inner

    async def _done(self, name, *args, **kwargs):
        await anyio.lowlevel.checkpoint()
        return getattr(self.inner, name)(*args, **kwargs)

    async def get(self, key):
        """Look."""
        return await self._done("get", key)

    async def set(self, key, value, ttl=None):
        """Store."""
        await self._done("set", key, value, ttl)

    async def delete(self, key):
        """Remove."""
        return await self._done("delete", key)

    async def clear(self, prefix=""):
        """Remove all that begin so."""
        await self._done("clear", prefix)

    async def add(self, key, value, ttl=None):
        """Store where nothing is."""
        return await self._done("add", key, value, ttl)

    async def replace(self, key, old, new, ttl=None):
        """Store where that is."""
        return await self._done("replace", key, old, new, ttl)

    async def delete_if(self, key, value):
        """Remove where that is."""
        return await self._done("delete_if", key, value)

    async def set_if(self, key, value, ttl=None, **fence):
        """Store while a guard holds."""
        return await self._done("set_if", key, value, ttl, **fence)


class Fleet:
    """Processes that make the same calls: each has a host of its own, all have one backend.

    Args:
        options: For the cache.
        compute: What a call does, once it is counted; gets the number of the call, from 1.
    """

    def __init__(self, compute=None, *, autojump=True, form="plain", **options):
        self.clock = FakeClock(autojump=autojump)
        self.began = self.clock.now()
        self.waiting = LoopWaiting(self.clock)
        self.backend = Shared(self.clock)
        given = {
            "plain": self.backend,
            "awaited": Awaited(self.backend),
            "both": Backends(sync=self.backend, asynchronous=Awaited(self.backend)),
        }[form]
        self.calls = 0

        @agentperf.cached(backend=given, name="f", **{"ttl": "1h", **options})
        async def f(x=0):
            self.calls += 1
            mine = self.calls
            if compute is not None:
                await compute(self, mine)
            return [x, mine]

        self.f = f

    def host(self):
        """Add a process."""
        return agentperf.Host(clock=self.clock, settings=Settings(enabled=True))

    async def call(self, host=None):
        """Call from a process, a new one by default."""
        with agentperf.use(host or self.host()):
            return await self.f()

    def somebody(self, lasts=LASTS):
        """Let somebody unknown hold the lease of the call, who does nothing more."""
        token = NO_TAGS + secrets.token_bytes(16)
        assert self.backend.quietly().add(lease_key(self.key), token, lasts)
        return token

    @property
    def lease(self):
        """What stands under the lease of the call."""
        return self.backend.quietly().get(lease_key(self.key))

    @property
    def stored(self):
        """The answer that is stored."""
        with agentperf.use(self.host()):
            return handle(self.f).cache.peek()

    async def until(self, seconds):
        """Sleep until so many seconds after the beginning."""
        await self.waiting.sleep(self.began + seconds - self.clock.now())

    @property
    def past(self):
        """Seconds since the beginning."""
        return self.clock.now() - self.began

    @property
    def key(self):
        """The key of the only call."""
        with agentperf.use(self.host()):
            return handle(self.f).cache._key((), {})


def together(*works):
    """Run async functions at once; return what they return, in order."""

    async def run():
        results = [None] * len(works)

        async def one(number, work):
            results[number] = await work()

        async with anyio.create_task_group() as group:
            for number, work in enumerate(works):
                group.start_soon(one, number, work)
        return results

    return run()


FORMS = pytest.mark.parametrize("form", ["plain", "awaited", "both"])


async def lasting(fleet, seconds):
    """Compute for so long."""
    await fleet.waiting.sleep(seconds)


def takes(seconds):
    """Return what computes for so long."""
    return lambda fleet, _: lasting(fleet, seconds)


@FORMS
@pytest.mark.anyio
async def test_a_hit_is_one_round_trip_and_a_miss_three(form):
    """A miss looks, takes the lease, and stores and lets go in one."""
    fleet = Fleet(form=form)
    host = fleet.host()
    await fleet.call(host)
    assert fleet.backend.asked == ["get", "add", "set_if"]
    fleet.backend.asked.clear()
    await fleet.call(host)
    assert fleet.backend.asked == ["get"]
    assert fleet.lease == DONE


@pytest.mark.parametrize("flag", ["shared", "atomic"])
@pytest.mark.anyio
async def test_only_where_others_are_and_steps_are_whole(flag):
    """A backend of this process alone, or one that can't be trusted with it, sees no leases."""
    fleet = Fleet()
    setattr(fleet.backend, flag, False)
    await fleet.call()
    assert fleet.backend.asked == ["get", "set"]


@FORMS
@pytest.mark.anyio
async def test_processes_compute_once(form):
    """Those who find the lease held wait, and get the answer of its holder as a hit."""
    fleet = Fleet(takes(2), form=form)
    hosts = [fleet.host() for _ in range(5)]
    answers = await together(*(lambda host=host: fleet.call(host) for host in hosts))
    assert answers == [[0, 1]] * 5
    assert fleet.past < 2 + SOON
    told = []
    for host in hosts:
        with agentperf.use(host):
            told.append(figures(fleet.f))
    assert sorted(told) == [(0, 1, 0), *[(1, 0, 0)] * 4]


@pytest.mark.anyio
async def test_one_of_each_process_goes_to_the_backend():
    """Within a process calls join, as they do without leases."""
    fleet = Fleet(takes(2))
    mine, other = fleet.host(), fleet.host()
    await together(*[lambda: fleet.call(mine)] * 20, *[lambda: fleet.call(other)] * 20)
    assert fleet.calls == 1
    assert fleet.backend.asked.count("add") == 2


@FORMS
@pytest.mark.anyio
async def test_work_that_is_longer_than_the_lease(form):
    """It is renewed while the work goes on, however long others wait."""
    fleet = Fleet(takes(60), form=form)
    answers = await together(fleet.call, fleet.call, fleet.call)
    assert answers == [[0, 1]] * 3
    assert 60 <= fleet.past < 60 + SOON


@pytest.mark.anyio
async def test_waiting_is_not_hammering():
    """Those who wait look at the lease some five times a second, and at nothing else."""
    fleet = Fleet(takes(60))
    await together(fleet.call, fleet.call)
    looks = fleet.backend.asked.count("latest")
    assert 60 / 0.2 <= looks < 60 / 0.1 + 10


@pytest.mark.anyio
async def test_the_holder_dies():
    """When the lease has lapsed, one of those who wait goes on."""
    fleet = Fleet(takes(2))
    fleet.somebody()
    answers = await together(fleet.call, fleet.call, fleet.call)
    assert answers == [[0, 1]] * 3
    assert LASTS + 2 <= fleet.past < LASTS + 2 + 2 * SOON


@pytest.mark.anyio
async def test_who_comes_just_too_late_does_not_compute():
    """Between the look and the lease another process may have begun and ended."""
    fleet = Fleet()
    original = fleet.backend.quietly()
    answered = await fleet.call()
    stored = original.get(fleet.key)
    original.delete(fleet.key)
    add = fleet.backend.add

    def late(key, value, ttl=None):
        original.set(fleet.key, stored, 60)
        return add(key, value, ttl)

    fleet.backend.add = late
    assert await fleet.call() == answered
    assert fleet.calls == 1


@pytest.mark.anyio
async def test_a_lost_lease_fences():
    """The holder that lost it keeps its answer to itself; the other's stays."""

    async def compute(fleet, number):
        if number == 1:
            fleet.backend.quietly().delete(lease_key(fleet.key))  # as if it had lapsed
            assert await fleet.call() == [0, 2]

    fleet = Fleet(compute)
    with fresh_host(fleet.clock), recorded(events.CacheRefused) as told:
        assert await fleet.f() == [0, 1]
        assert handle(fleet.f).cache.stats().stored == 0
    assert [event.reason for event in told] == ["another process took its computation over"]
    assert fleet.stored == [0, 2]


@pytest.mark.anyio
async def test_a_lease_that_is_known_to_be_lost_is_not_asked_for():
    """A renewal finds out; then nothing is sent any more."""

    async def compute(fleet, _):
        await fleet.until(1)
        fleet.backend.quietly().delete(lease_key(fleet.key))
        await fleet.until(30)

    fleet = Fleet(compute)
    await fleet.call()
    assert fleet.backend.asked == ["get", "add", "replace"]
    assert fleet.stored is None


@pytest.mark.parametrize("ending", ["fails", "refused", "no bytes", "stream"])
@pytest.mark.anyio
async def test_without_a_result_everybody_computes_at_once(ending):
    """Nobody queues up behind computations that leave nothing."""

    async def compute(fleet, _):
        await lasting(fleet, 2)
        if ending == "fails":
            raise ValueError("no")

    refuse = {"store_if": lambda _: False} if ending == "refused" else {}
    fleet = Fleet(compute, **refuse)
    if ending == "no bytes":
        fleet.f = no_bytes(fleet)
    if ending == "stream":
        fleet.f = a_stream(fleet)

    async def call():
        with contextlib.suppress(ValueError):
            await fleet.call()

    await together(*[call] * 5)
    assert fleet.calls == 5
    assert 4 <= fleet.past < 4 + SOON


def no_bytes(fleet):
    """Return a cached function whose results can't be stored."""

    @agentperf.cached(ttl="1h", backend=fleet.backend, name="f")
    async def f(x=0):
        fleet.calls += 1
        await lasting(fleet, 2)
        return object()

    return f


def a_stream(fleet):
    """Return a cached function that returns a stream, which nobody reads."""

    async def items():
        yield 1

    @agentperf.cached(ttl="1h", backend=fleet.backend, name="f")
    async def f(stream=True):
        fleet.calls += 1
        await lasting(fleet, 2)
        return items()

    return f


@pytest.mark.anyio
async def test_after_a_failure_one_computes_again():
    """The mark goes by itself."""

    async def compute(fleet, number):
        await lasting(fleet, 1)
        if number == 1:
            raise ValueError("no")

    fleet = Fleet(compute)
    with pytest.raises(ValueError, match="no"):
        await fleet.call()
    assert fleet.lease == UNSTORED
    await lasting(fleet, MARK_LASTS)
    await together(*[fleet.call] * 3)
    assert fleet.calls == 2


@FORMS
@pytest.mark.anyio
async def test_a_cancelled_holder_lets_go(form):
    """The next one takes over at once."""
    fleet = Fleet(takes(60), on_abandon="cancel", form=form)

    async def impatient():
        with anyio.CancelScope() as scope:
            fleet.clock.alarm(3, scope.cancel, blocking=False)
            await fleet.call()

    async def second():
        await fleet.until(1)
        return await fleet.call()

    _, answer = await together(impatient, second)
    assert answer == [0, 2]
    assert 63 <= fleet.past < 63 + SOON


@pytest.mark.anyio
async def test_who_waits_can_be_cancelled():
    """It leaves nothing behind."""
    fleet = Fleet(on_abandon="cancel")
    fleet.somebody(60)
    with anyio.CancelScope() as scope:
        fleet.clock.alarm(3, scope.cancel, blocking=False)
        await fleet.call()
    looks = len(fleet.backend.asked)
    await lasting(fleet, 30)
    assert len(fleet.backend.asked) == looks
    assert fleet.calls == 0


@pytest.mark.parametrize("by", ["invalidate", "clear", "refresh"])
@pytest.mark.anyio
async def test_invalidated_by_another_process(by):
    """What is being computed elsewhere is not kept; who asks from now on doesn't wait for it."""
    fleet = Fleet(takes(10))

    async def other():
        await fleet.until(4)
        with agentperf.use(fleet.host()):
            if by == "invalidate":
                await handle(fleet.f).cache.ainvalidate()
            elif by == "clear":
                await handle(fleet.f).cache.aclear()
            else:
                with agentperf.cache_mode("refresh"):
                    return await fleet.f()
            return await fleet.f()

    assert await together(fleet.call, other) == [[0, 1], [0, 2]]
    assert fleet.stored == [0, 2]
    assert 14 <= fleet.past < 14 + SOON


@pytest.mark.anyio
async def test_a_value_that_is_set_stays():
    """What is being computed elsewhere doesn't replace what somebody set meanwhile."""
    clock = FakeClock()
    backend = Shared(clock)
    cache = agentperf.Cache("1h", backend=backend, name="c")

    def compute():
        with fresh_host(clock):
            cache.set("key", "set")
        return "computed"

    with fresh_host(clock):
        assert cache.get_or_compute("key", compute) == "computed"
        assert cache.get("key") == "set"


@pytest.mark.anyio
async def test_invalidated_here_while_others_wait():
    """They go on at once; only one of them computes."""
    fleet = Fleet(takes(10), tags="t")
    mine = fleet.host()

    async def invalidating():
        await fleet.until(4)
        with agentperf.use(mine):
            await agentperf.ainvalidate(tags="t")
        return await fleet.call(mine)

    async def others():
        await fleet.until(5)
        return await fleet.call()

    answers = await together(lambda: fleet.call(mine), invalidating, others, others)
    assert answers == [[0, 1], [0, 2], [0, 2], [0, 2]]
    assert 14 <= fleet.past < 14 + SOON


@pytest.mark.anyio
async def test_one_process_renews_ahead():
    """All give the old answer meanwhile, and nobody waits."""
    fleet = Fleet(takes(2), ttl=10, stale=60)
    hosts = [fleet.host() for _ in range(4)]
    await fleet.call(hosts[0])
    await lasting(fleet, 15)
    began = fleet.past
    assert await together(*(lambda host=host: fleet.call(host) for host in hosts)) == [[0, 1]] * 4
    assert fleet.past == began
    await lasting(fleet, 5)
    assert fleet.calls == 2
    assert fleet.stored == [0, 2]


@pytest.mark.parametrize("stands", [UNSTORED, NO_TAGS + b"x" * 16])
@pytest.mark.anyio
async def test_renewal_ahead_leaves_it_to_others(stands):
    """While another process is at it, or just failed, nothing is done here."""
    fleet = Fleet(ttl=10, stale=60)
    await fleet.call()
    await lasting(fleet, 15)
    fleet.backend.quietly().set(lease_key(fleet.key), stands, 60)
    host = fleet.host()
    assert await fleet.call(host) == [0, 1]
    await lasting(fleet, 5)
    assert fleet.calls == 1
    assert await fleet.call(host) == [0, 1]


@pytest.mark.parametrize("fails", ["add", "latest"])
@pytest.mark.anyio
async def test_trouble_with_the_lease_means_computing_without(fails, caplog):
    """No call fails, and none asks again what doesn't answer."""
    fleet = Fleet()
    if fails == "latest":
        fleet.somebody()

        async def after_the_look():
            await lasting(fleet, 0.05)
            fleet.backend.fails.add("latest")

        (answer, _) = await together(fleet.call, after_the_look)
    else:
        fleet.backend.fails.add("add")
        answer = await fleet.call()
    assert answer == [0, 1]
    assert fleet.backend.asked.count("set") == fleet.backend.asked.count("set_if") == 0


@pytest.mark.anyio
async def test_renewals_survive_an_outage(caplog):
    """A backend that is back before the lease has lapsed is none the wiser."""

    async def compute(fleet, _):
        fleet.backend.fails.add("replace")
        await fleet.until(2.5)
        fleet.backend.fails.clear()
        await fleet.until(60)

    fleet = Fleet(compute)
    await together(fleet.call, fleet.call)
    assert fleet.calls == 1
    assert fleet.stored == [0, 1]


@pytest.mark.parametrize("ending", ["set_if", "replace", "delete_if"])
@pytest.mark.anyio
async def test_what_fails_at_the_end(ending, caplog):
    """Neither storing nor letting go is the caller's trouble."""

    async def compute(fleet, _):
        fleet.backend.fails.add(ending)
        if ending == "replace":
            raise ValueError("no")
        await lasting(fleet, 60)

    fleet = Fleet(compute, on_abandon="cancel")
    if ending == "set_if":
        assert await fleet.call() == [0, 1]
    elif ending == "replace":
        with pytest.raises(ValueError, match="no"):
            await fleet.call()
    else:
        with anyio.CancelScope() as scope:
            fleet.clock.alarm(1, scope.cancel, blocking=False)
            await fleet.call()
        await lasting(fleet, 1)
    assert ending in fleet.backend.asked


@pytest.mark.anyio
async def test_a_backend_that_forgets_everything():
    """Where no lease can ever be taken, calls go on without."""
    fleet = Fleet()
    fleet.backend.add = lambda *_: False
    assert await fleet.call() == [0, 1]
    assert fleet.past < SOON


@pytest.mark.anyio
async def test_a_holder_that_is_stuck(monkeypatch):
    """It is not waited for for ever, and does not keep others out for ever."""
    monkeypatch.setattr(lease, "LONGEST", LONGEST := 90)  # noqa: N806 - the same for less time
    fleet = Fleet(takes(LONGEST + 100))
    fleet.somebody(10 * LONGEST)
    assert await fleet.call() == [0, 1]
    assert LONGEST <= fleet.past - LONGEST - 100 < LONGEST + SOON

    fleet = Fleet(takes(LONGEST + 100))
    await fleet.call()
    assert fleet.stored is None
    assert fleet.backend.asked.count("replace") == pytest.approx(LONGEST * 3 / LASTS, abs=1)


@pytest.mark.anyio
async def test_processes_that_wait_for_each_other():
    """Whoever computes for others meanwhile gives up sooner."""
    fleet = Fleet(takes(1))
    fleet.somebody(10 * PATIENCE)

    @agentperf.cached
    async def outer():
        return await fleet.f()

    with agentperf.use(fleet.host()):
        assert await outer() == [0, 1]
    assert PATIENCE <= fleet.past < PATIENCE + 1 + SOON


def in_thread(work):
    """Run in a thread; return it and where its result goes."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    return thread, results


def test_threads_of_two_processes():
    """The same for calls that block: the holder's lease is renewed while its thread is busy."""
    clock = FakeClock()
    backend, busy, done, calls = Shared(clock), threading.Event(), threading.Event(), []

    @agentperf.cached(ttl="1h", backend=backend, name="f")
    def f():
        calls.append(1)
        busy.set()
        assert done.wait(20)
        return ["x"]

    def call():
        with fresh_host(clock):
            return f()

    first, one = in_thread(call)
    assert busy.wait(20)
    second, other = in_thread(call)
    for _ in range(20):
        until(lambda: clock.sleepers >= 2)  # the renewal, and the one that waits
        clock.advance(1)
    assert backend.asked.count("replace") >= 10
    assert len(calls) == 1
    done.set()
    first.join(20)
    while second.is_alive():
        clock.advance(0.1)
        second.join(0.01)
    assert one == other == [["x"]]
    assert len(calls) == 1


def test_on_the_thread_of_an_event_loop_nobody_waits():
    """A loop is not held up for what another process does."""
    clock = FakeClock()
    backend = Shared(clock)

    @agentperf.cached(ttl="1h", backend=backend, name="f")
    def f():
        return ["x"]

    async def main():
        return f()

    with fresh_host(clock):
        key = handle(f).cache._key((), {})
        backend.quietly().add(lease_key(key), NO_TAGS + b"x" * 16, 60)
        assert anyio.run(main) == ["x"]
    assert clock.now() == FakeClock().now()


class Leasing(RuleBasedStateMachine):
    """Some holders of one lease, in any order of steps, each checked against a simple model."""

    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        self.backend = Shared(self.clock)
        self.leases = []
        self.holder = None
        self.lapses = 0.0
        self.mark = None
        self.stored = None
        self.order = 0

    @property
    def stands(self):
        """What is under the lease's key."""
        return self.backend.quietly().get(lease_key("key"))

    def lapse(self):
        """Follow the clock."""
        if self.clock.now() >= self.lapses:
            self.holder = self.mark = None

    @rule()
    def come(self):
        """Somebody finds what stands there, and takes its place where that may be."""
        lease = Lease(ReachOf(self.backend), "key", "s" * 16)
        stands = self.stands
        may = self.holder is None and self.mark != UNSTORED
        assert (lease.may_follow(stands) and stands != UNSTORED) == may
        if may:
            assert in_one_go(lease.acquired(stands))
            self.order += 1
            lease.order = self.order
            self.leases.append(lease)
            self.holder, self.lapses, self.mark = lease, self.clock.now() + LASTS, None

    @rule(stands=st.sampled_from([None, DONE, b"another"]))
    def come_late(self, stands):
        """Somebody saw something that may not be there any more."""
        lease = Lease(ReachOf(self.backend), "key", "s" * 16)
        there = self.stands
        won = in_one_go(lease.acquired(stands))
        assert won == (there == stands)
        if won:
            self.order += 1
            lease.order = self.order
            self.leases.append(lease)
            self.holder, self.lapses, self.mark = lease, self.clock.now() + LASTS, None

    @rule(which=st.integers(0, 9))
    def renew(self, which):
        """Somebody renews, or believes to."""
        if self.leases:
            lease = self.leases[which % len(self.leases)]
            goes_on = in_one_go(lease.renew())
            assert goes_on == (lease is self.holder)
            if goes_on:
                self.lapses = self.clock.now() + LASTS

    @rule(which=st.integers(0, 9))
    def store(self, which):
        """Somebody stores, or tries to."""
        if self.leases:
            lease = self.leases.pop(which % len(self.leases))
            stored = in_one_go(lease.store(b"%d" % lease.order, 3600))
            assert stored == (lease is self.holder)
            if stored:
                self.stored = lease.order
                self.holder, self.mark = None, DONE
                self.lapses = self.clock.now() + MARK_LASTS

    @rule(which=st.integers(0, 9), unstored=st.booleans())
    def leave(self, which, unstored):
        """Somebody lets go."""
        if self.leases:
            lease = self.leases.pop(which % len(self.leases))
            in_one_go(lease.leave(unstored=unstored))
            if lease is self.holder:
                self.holder = None
                if unstored:
                    self.mark, self.lapses = UNSTORED, self.clock.now() + MARK_LASTS

    @rule(seconds=st.floats(0.1, 2 * LASTS))
    def wait(self, seconds):
        """Time passes."""
        self.clock.advance(seconds)
        self.lapse()

    @rule()
    def revoke(self):
        """Somebody invalidates, or the backend forgets."""
        self.backend.quietly().delete(lease_key("key"))
        self.holder = self.mark = None

    @invariant()
    def one_holder_at_most(self):
        """The token that stands is the holder's, whose store would go in, and nobody else's."""
        expected = self.mark if self.holder is None else self.holder._token
        assert self.stands == expected
        assert [lease for lease in self.leases if lease._token == self.stands] == (
            [] if self.holder is None else [self.holder]
        )

    @invariant()
    def no_older_answer_replaces_a_newer_one(self):
        """What is stored is what the last one stored that could."""
        found = self.backend.quietly().get("key")
        assert found == (None if self.stored is None else b"%d" % self.stored)


class ReachOf:
    """A backend, without all that usually stands before it."""

    def __init__(self, backend):
        self._backend = backend

    def __getattr__(self, name):
        async def asked(*args, **kwargs):
            return getattr(self._backend, name)(*args, **kwargs)

        return asked


Leasing.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestLeasing = Leasing.TestCase
