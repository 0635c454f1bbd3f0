"""A memory stands in for a backend that is out of order, and goes when it is back."""

from __future__ import annotations

import pytest

import agentperf
from agentperf import BackendError, handle
from agentperf.policies.cached.backed.guard import LOCAL_ENTRIES
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import FakeClock, fresh_host


class Frail(MemoryBackend):
    """A shared backend that can be put out of order."""

    shared = True
    down = False
    asked = 0

    def _fail(self):
        self.asked += 1
        if self.down:
            raise ConnectionError

    def get(self, key):
        """Look up."""
        self._fail()
        return super().get(key)

    def set(self, key, value, ttl=None):
        """Store."""
        self._fail()
        super().set(key, value, ttl)

    def delete(self, key):
        """Remove."""
        self._fail()
        return super().delete(key)

    def clear(self, prefix=""):
        """Remove many."""
        self._fail()
        super().clear(prefix)


@pytest.fixture
def clock():
    """Time that the test moves."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


@pytest.fixture
def frail(clock):
    """A backend."""
    return Frail(clock)


@pytest.fixture
def computed():
    """What was computed."""
    return []


@pytest.fixture
def f(frail, computed):
    """A function whose answers are kept there."""

    @agentperf.cached(ttl="1m", backend=frail, name="f", tags="t:{x}", on_store_failure="local")
    def f(x):
        computed.append(x)
        return [x]

    return f


def test_answers_are_kept_meanwhile(f, frail, computed, clock):
    """They are computed once, and the backend isn't asked for each."""
    frail.down = True
    assert [f(1), f(1), f(2), f(1)] == [[1], [1], [2], [1]]
    assert computed == [1, 2]
    assert frail.asked == 1
    assert handle(f).cache.peek(1) == [1]
    stats = handle(f).cache.stats()
    assert (stats.hits, stats.misses, stats.stored) == (2, 2, 2)


def test_no_call_waits_twice(frail, clock):
    """One that took long to compute doesn't try the backend again to store its answer."""

    @agentperf.cached(ttl="1m", backend=frail, name="slow", on_store_failure="local")
    def slow(x):
        clock.advance(20)
        return x

    frail.down = True
    assert [slow(1), slow(2)] == [1, 2]
    assert frail.asked == 2
    assert slow(2) == 2
    assert handle(slow).cache.stats().hits == 1


def test_they_go_when_it_is_back(f, frail, computed, clock):
    """What the backend has counts, and nothing of the last time counts in the next."""
    f(1)
    frail.down = True
    f(1)
    assert computed == [1, 1]
    frail.down = False
    clock.advance(1)
    f(1)
    assert computed == [1, 1]  # from the backend
    frail.down = True
    f(1)
    assert computed == [1, 1, 1]


def test_they_live_as_long_as_they_would(f, frail, computed, clock):
    """The time to live is the same."""
    frail.down = True
    f(1)
    for _ in range(5):
        clock.advance(11)
        f(1)
    assert computed == [1]
    clock.advance(11)
    f(1)
    assert computed == [1, 1]


def test_what_is_removed_is_gone_here_too(f, frail, computed, clock):
    """By key, by tag and altogether; the caller is told that the backend still has it."""
    frail.down = True
    removals = [
        lambda: handle(f).cache.invalidate(1),
        handle(f).cache.clear,
        lambda: agentperf.invalidate(tags="t:1"),
    ]
    for removal in removals:
        f(1)
        computed.clear()
        f(1)
        assert computed == []
        with pytest.raises(BackendError):
            removal()
        f(1)
        assert computed == [1]


def test_open_keeps_nothing(frail, f, computed, clock):
    """Another cache on the same backend is asked for nothing it didn't say."""

    @agentperf.cached(ttl="1m", backend=frail, name="g")
    def g(x):
        computed.append(x)
        return x

    frail.down = True
    f(1)
    assert [g(1), g(1)] == [1, 1]
    assert computed == [1, 1, 1]


def test_it_is_bounded(f, frail, computed, clock):
    """What is too much makes room."""
    frail.down = True
    for x in range(LOCAL_ENTRIES):
        f(x)  # two entries each: the answer, and the version of its tag
    computed.clear()
    for x in range(LOCAL_ENTRIES):
        f(x)
    assert len(computed) >= LOCAL_ENTRIES // 2


def test_the_object_keeps_values_too(frail, clock):
    """`Cache` goes the same way."""
    pages = agentperf.Cache("1m", backend=frail, name="pages", on_store_failure="local")
    frail.down = True
    pages.set("a", 1)
    assert pages.get("a") == 1
    assert pages.get_or_compute("a", lambda: 2) == 1
    frail.down = False
    clock.advance(1)
    assert pages.get("a") is None


@pytest.mark.anyio
async def test_calls_that_are_awaited(frail, computed, clock):
    """The same in the other colour."""

    @agentperf.cached(ttl="1m", backend=frail, name="f", on_store_failure="local")
    async def f(x):
        computed.append(x)
        return x

    frail.down = True
    assert [await f(1), await f(1)] == [1, 1]
    assert computed == [1]
