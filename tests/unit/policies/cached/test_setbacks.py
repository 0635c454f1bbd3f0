"""Failures that are remembered and raised again."""

from __future__ import annotations

import traceback

import anyio
import pytest

from agentperf import cached, circuit_breaker, errors, events, handle
from agentperf.policies.cached.setbacks import remembered_for
from agentperf.testing import recorded
from tests.unit.policies.cached.calls import PLAIN, Counted, outcome
from tests.unit.policies.cached.test_freshness import WHERE, place

pytestmark = pytest.mark.anyio


def failing(error):
    """Give something that counts its calls and raises."""

    def fail(*_):
        raise error

    return Counted(fail)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", PLAIN)
async def test_a_failure_is_raised_again_for_a_while(fresh_host, fake_clock, colour, where):
    """An error of its own each time, under its own arguments; then it is tried again."""
    source = failing(LookupError("nothing here"))
    f = cached(negative_ttl=5, backend=place(where, fake_clock), name="n")(source.function(colour))
    raised = []
    with recorded(events.CacheHit, events.CacheMiss) as log:
        for _ in range(3):
            with pytest.raises(LookupError, match="nothing here") as caught:
                await outcome(f())
            raised.append(caught.value)
    assert source.calls == 1
    assert len({id(error) for error in raised}) == 3
    depths = [len(traceback.extract_tb(error.__traceback__)) for error in raised[1:]]
    assert depths[0] == depths[1]
    assert [(type(event).__name__, getattr(event, "failure", None)) for event in log] == [
        ("CacheMiss", None),
        ("CacheHit", True),
        ("CacheHit", True),
    ]
    with pytest.raises(LookupError):
        await outcome(f(1))
    assert source.calls == 2
    fake_clock.advance(5)
    with pytest.raises(LookupError):
        await outcome(f())
    assert source.calls == 3


async def test_only_the_named_failures_are_remembered(fresh_host, fake_clock):
    """The nearest class counts."""
    raised = [KeyError("a"), ValueError("b"), IndexError("c")]

    @cached(negative_ttl={LookupError: "10s", IndexError: 2})
    def f(which):
        calls.append(which)
        raise raised[which]

    calls = []
    for _ in range(2):
        for which, error in enumerate(raised):
            with pytest.raises(type(error)):
                f(which)
    assert calls == [0, 1, 2, 1]
    fake_clock.advance(3)
    for which in (0, 2):
        with pytest.raises(LookupError):
            f(which)
    assert calls == [0, 1, 2, 1, 2]


@pytest.mark.parametrize("forget", ["invalidate", "clear"])
async def test_a_failure_can_be_forgotten(fresh_host, fake_clock, forget):
    """As an answer can."""
    source = failing(LookupError())
    f = cached(negative_ttl=60)(source.function("sync"))
    for _ in range(2):
        with pytest.raises(LookupError):
            f()
        getattr(handle(f).cache, forget)()
    assert source.calls == 2


async def test_a_refusal_of_ours_says_nothing_about_the_answer(fresh_host):
    """It is remembered only if somebody names it."""
    refusal = errors.CircuitOpen("open", policy="circuit_breaker", name="x")
    assert remembered_for(refusal, 5.0) == 0
    assert remembered_for(refusal, {errors.CallRejected: 5.0}) == 5
    assert remembered_for(ValueError(), None) == 0
    f = cached(negative_ttl=60)(circuit_breaker(Counted().function("sync")))
    handle(f).breaker.force("open")
    with pytest.raises(errors.CircuitOpen):
        f()
    handle(f).breaker.reset()
    assert f() == [0]


async def test_cancellation_is_not_remembered(fresh_host):
    """Nor is any other interruption."""

    @cached(negative_ttl=60)
    async def f():
        if interrupted:
            await anyio.sleep_forever()
        return 1

    interrupted = True
    with anyio.move_on_after(0.01):
        await f()
    interrupted = False
    handle(f).cache.invalidate()
    assert await f() == 1

    @cached(negative_ttl=60)
    def g():
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            g()


async def test_a_failure_of_what_was_invalidated_is_not_remembered(fresh_host):
    """It was computed from what is gone."""
    calls = []

    @cached(negative_ttl=60)
    def f():
        calls.append(1)
        handle(f).cache.invalidate()
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            f()
    assert len(calls) == 2


async def test_the_memory_of_failures_is_bounded(fresh_host):
    """Like that of answers."""
    source = failing(LookupError())
    f = cached(negative_ttl=60, max_entries=3)(source.function("sync"))
    for x in range(10):
        with pytest.raises(LookupError):
            f(x)
    assert len(handle(f).cache._state._setbacks) == 3


async def test_what_holds_of_the_call_is_not_kept_alive(fresh_host):
    """The remembered error has no frames of the call."""
    source = failing(LookupError())
    f = cached(negative_ttl=60)(source.function("sync"))
    with pytest.raises(LookupError):
        f()
    (entry,) = handle(f).cache._state._setbacks
    assert entry.value.error.__traceback__ is None
