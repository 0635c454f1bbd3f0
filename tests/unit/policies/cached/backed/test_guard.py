"""The guard in front of a backend: who may ask, how long nobody may, and what is news."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentperf
from agentperf import errors, events, handle
from agentperf._engine.guard import FIRST_PAUSE, LONGEST_PAUSE
from agentperf.abc import AsyncCacheBackend, Backends
from agentperf.policies.cached.backed.guard import Guard
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import FakeClock, fresh_host, recorded

DOWN = ConnectionError("no route")


def text(x):
    """Write something out."""
    return str(x)


def test_everybody_may_ask_one_that_works():
    """Answers are no news while it works."""
    guard = Guard()
    first, second = guard.admit(0.0), guard.admit(0.0)
    assert first is not None
    assert second is not None
    assert not guard.answered(first, 0.0)
    assert guard.works


def test_nobody_asks_after_a_failure_but_one_after_a_pause():
    """The first failure is news, and the answer after it is."""
    guard = Guard()
    assert guard.failed(guard.admit(0.0), 0.0, DOWN)
    assert (guard.works, guard.trouble) == (False, "ConnectionError")
    assert guard.admit(FIRST_PAUSE - 0.01) is None
    era = guard.admit(FIRST_PAUSE)
    assert era is not None
    assert guard.admit(FIRST_PAUSE) is None
    assert guard.answered(era, FIRST_PAUSE)
    assert guard.works
    assert guard.admit(FIRST_PAUSE) is not None


def test_pauses_grow_to_a_bound():
    """Each try that fails doubles the pause; a try that never tells counts as one."""
    guard, now, tries = Guard(), 0.0, []
    guard.failed(guard.admit(now), now, DOWN)
    for step in range(6000):
        now = step / 100
        if (era := guard.admit(now)) is not None:
            tries.append(now)
            if len(tries) % 2:
                assert not guard.failed(era, now, DOWN)
    assert tries == [0.5, 1.5, 3.5, 7.5, 15.5, 25.5, 35.5, 45.5, 55.5]


def test_late_outcomes_of_an_earlier_era_change_nothing():
    """A call that began before the failure can't end it; one that began before can't renew it."""
    guard = Guard()
    slow, slower, quick = (guard.admit(0.0) for _ in range(3))
    assert guard.failed(quick, 0.0, DOWN)
    assert not guard.answered(slow, 0.1)
    assert not guard.failed(slow, 0.1, DOWN)
    assert not guard.works
    assert guard.answered(guard.admit(1.0), 1.0)
    assert not guard.failed(slower, 1.1, DOWN)
    assert guard.works


def test_one_that_fails_every_other_moment_is_left_alone_for_longer():
    """The pause goes on growing unless it worked for a good while."""
    guard, now, pauses = Guard(), 100.0, []
    for _ in range(8):
        guard.failed(guard.admit(now), now, DOWN)
        failed = now
        while (era := guard.admit(now)) is None:
            now += 0.5
        pauses.append(now - failed)
        guard.answered(era, now)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
    now += LONGEST_PAUSE + 1
    guard.failed(guard.admit(now), now, DOWN)
    assert guard.admit(now + FIRST_PAUSE) is not None


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans(), st.integers(0, 3))))
def test_news_alternate_and_tries_are_rare(steps):
    """Whatever happens: bad and good news take turns, and a pause lies between two tries."""
    guard, now, under_way, news, tries = Guard(), 0.0, [], [], []
    for passed, works, ending in steps:
        now += passed
        down = not guard.works
        if (era := guard.admit(now)) is not None:
            under_way.append(era)
            if down:
                tries.append(now)
        for _ in range(min(ending, len(under_way))):
            ended = under_way.pop(0)
            if works and guard.answered(ended, now):
                news.append("good")
            elif not works and guard.failed(ended, now, DOWN):
                news.append("bad")
                tries = []
    assert news == (["bad", "good"] * len(news))[: len(news)]
    assert guard.works is (not news or news[-1] == "good")
    assert all(later - earlier >= FIRST_PAUSE for earlier, later in pairwise(tries))


class Frail(MemoryBackend):
    """Fails on demand, and counts how often it was asked."""

    shared = True

    def __init__(self):
        super().__init__()
        self.error = None
        self.asked = 0

    def get(self, key):
        """Look it up."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        return super().get(key)

    def set(self, key, value, ttl=None):
        """Store it."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        super().set(key, value, ttl)


def test_caches_of_one_backend_share_what_is_known_of_it():
    """One call finds out for all; one event for each change, and the handle says why it refuses."""
    backend, clock = Frail(), FakeClock()
    one = agentperf.cached(backend=backend, name="one")(text)
    two = agentperf.cached(backend=Backends(sync=backend), name="two")(text)
    with fresh_host(clock), recorded(events.CacheBackendDown, events.CacheBackendUp) as log:
        backend.error = DOWN
        assert (one(1), two(1), one(2), two(2)) == ("1", "1", "2", "2")
        assert backend.asked == 1
        with pytest.raises(errors.BackendError, match=r"failed: ConnectionError; .* alone"):
            handle(two).cache.invalidate(1)
        backend.error = None
        clock.advance(FIRST_PAUSE)
        assert two(1) == "1"
        assert one(1) == "1"
        assert one(1) == "1"
    assert log.names() == ["CacheBackendDown", "CacheBackendUp"]
    assert log[0].error == "ConnectionError"


def test_who_found_it_dead_does_not_ask_again_to_store():
    """Not even when the pause is over by the time there is something to store."""
    backend, clock = Frail(), FakeClock()
    backend.error = DOWN
    slow = agentperf.cached(backend=backend, name="slow")(lambda _: clock.advance(60))
    with fresh_host(clock):
        slow(1)
        assert backend.asked == 1


def test_other_hosts_find_out_for_themselves():
    """What is known of a backend is known on one host."""
    backend = Frail()
    f = agentperf.cached(backend=backend, name="f")(text)
    backend.error = DOWN
    for _ in range(2):
        with fresh_host(FakeClock()):
            f(1)
            f(1)
    assert backend.asked == 2


def test_a_value_that_the_backend_cannot_take(caplog):
    """It is refused, told once in the log, and the backend counts as working."""

    class Small(Frail):
        def set(self, key, value, ttl=None):
            raise errors.UncacheableValueError("larger than 1 MB")

    f = agentperf.cached(backend=Small(), name="f")(text)
    with fresh_host(), recorded() as log:
        assert (f(1), f(1)) == ("1", "1")
        assert handle(f).cache.stats().refused == 2
    assert log.of(events.CacheBackendDown) == []
    assert [event.reason for event in log.of(events.CacheRefused)] == [
        "its backend can't store it",
        "its backend can't store it",
    ]
    assert sum("cache.uncopyable" in record.message for record in caplog.records) == 1


class AsyncioOnly(AsyncCacheBackend):
    """Works under asyncio alone, and says so."""

    asyncio_only = True

    def __init__(self, inner):
        self.inner = inner
        self.asked = 0

    async def get(self, key):
        """Look it up."""
        import asyncio

        asyncio.get_running_loop()
        self.asked += 1
        return self.inner.get(key)

    async def set(self, key, value, ttl=None):
        """Store it."""
        self.inner.set(key, value, ttl)

    async def delete(self, key):
        """Remove it."""
        return self.inner.delete(key)

    async def clear(self, prefix=""):
        """Remove all."""
        self.inner.clear(prefix)


def test_under_trio_the_blocking_one_is_taken():
    """The loop that a call runs on decides, call by call."""
    blocking = Frail()
    awaited = AsyncioOnly(blocking)

    @agentperf.cached(backend=Backends(sync=blocking, asynchronous=awaited), name="f")
    async def f(x):
        return x

    with fresh_host():
        for loop, asked in (("trio", 0), ("asyncio", 1), ("trio", 1), ("asyncio", 2)):
            assert anyio.run(f, 1, backend=loop) == 1
            assert awaited.asked == asked
        assert handle(f).cache.stats().hits == 3


def test_a_password_does_not_show():
    """Options are shown in errors, and a backend's address may hold a password."""
    policy = agentperf.cached(backend="redis://:hunter2@localhost", name="f")
    assert "hunter2" not in repr(policy)
    assert "hunter2" not in repr(policy.options)
