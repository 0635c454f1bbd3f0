"""Counts and durations of calls of every shape, exact on the fake clock."""

from __future__ import annotations

import threading

import anyio
import pytest

from agentperf import Host, cached, handle, stats, timed, use
from agentperf.events import CallEnded
from agentperf.testing import recorded
from tests.unit.policies.cached.calls import COLOURS, Counted, outcome

pytestmark = pytest.mark.anyio
OFF = 0.011
"""How far a percentile may be off: the histogram's own bound."""


@pytest.mark.parametrize("colour", COLOURS)
async def test_every_call_is_counted_with_its_duration(fresh_host, fake_clock, colour):
    """Number, sum, shortest and longest are exact, percentiles within the bound."""

    def work(seconds):
        fake_clock.advance(seconds)
        return ["x"]

    f = timed(Counted(work).function(colour))
    for n in range(1, 101):
        await outcome(f(n / 8))
    figures = handle(f).stats()
    assert (figures.calls, figures.completed, figures.failed, figures.dropped) == (100, 100, 0, 0)
    assert (figures.min, figures.max, figures.mean) == (0.125, 12.5, pytest.approx(6.3125))
    assert figures.p50 == pytest.approx(6.25, rel=OFF)
    assert figures.p95 == pytest.approx(11.875, rel=OFF)
    assert figures.p99 == pytest.approx(12.375, rel=OFF)


@pytest.mark.parametrize("colour", COLOURS)
async def test_failures_are_counted_by_their_class(fresh_host, fake_clock, colour):
    """The error passes unchanged; its duration doesn't bend the latency of what worked."""
    errors = [ConnectionError("a"), None, TimeoutError("b"), ConnectionError("c")]

    def work(n):
        fake_clock.advance(1 + n)
        if errors[n] is not None:
            raise errors[n]
        return []

    f = timed(Counted(work).function(colour))
    for n, error in enumerate(errors):
        if error is None:
            await outcome(f(n))
        else:
            with pytest.raises(type(error)) as raised:
                await outcome(f(n))
            assert raised.value is error
    figures = handle(f).stats()
    assert (figures.calls, figures.completed, figures.failed) == (4, 1, 3)
    assert dict(figures.errors) == {"ConnectionError": 2, "TimeoutError": 1}
    assert figures.error_rate == 0.75
    assert (figures.mean, figures.failed_latency.sum) == (2.0, 1.0 + 3.0 + 4.0)


async def test_a_cancelled_call_is_neither_success_nor_failure(fresh_host, fake_clock):
    """It is counted as cancelled, with the time until then."""

    @timed
    async def f():
        fake_clock.advance(3)
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(f)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    figures = handle(f).stats()
    assert (figures.cancelled, figures.failed, figures.completed) == (1, 0, 0)
    assert figures.dropped_latency.sum == 3.0
    assert figures.error_rate == 0.0


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_call_counts_as_cancelled(fresh_host, interruption):
    """An interrupt is nobody's failure."""

    @timed
    def f():
        raise interruption

    with pytest.raises(interruption):
        f()
    assert handle(f).stats().cancelled == 1


async def test_names(fresh_host):
    """Its own by default; a given one is shared by all who give it."""
    one, two = timed(lambda: 1), timed("op")(lambda: 2)
    three = timed(name="op")(lambda: 3)
    one()
    two()
    three()
    assert handle(one).operation.endswith("test_names.<locals>.<lambda>")
    assert stats()["op"].calls == handle(two).stats().calls == handle(three).stats().calls == 2


async def test_counts_are_exact_under_threads(fresh_host):
    """Eight threads at once, also while somebody reads the figures."""
    f = timed("op")(lambda: None)

    def work():
        with use(fresh_host):
            for _ in range(3000):
                f()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        handle(f).stats()
    assert handle(f).stats().calls == 8 * 3000


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_hit_is_a_call(fresh_host, fake_clock, colour):
    """Outside of a cache every call counts, inside only those that compute."""
    outside = timed("outside")(cached(timed("inside")(Counted().function(colour))))
    for _ in range(3):
        await outcome(outside())
    assert {name: each.calls for name, each in stats().items()} == {"outside": 3, "inside": 1}


@pytest.mark.parametrize("colour", COLOURS)
async def test_switched_off(fresh_host, colour):
    """For good, or at a call."""
    wanted = [True, False, True]
    never = timed("never", enabled=False)(Counted().function(colour))
    sometimes = timed("sometimes", enabled=wanted.pop)(Counted().function(colour))
    for _ in range(3):
        await outcome(never())
        await outcome(sometimes())
    assert handle(never).stats().calls == 0
    assert handle(sometimes).stats().calls == 2


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_call_is_told_to_who_listens(fresh_host, fake_clock, colour):
    """One event at its end, with duration, ending, attributes, and for streams the items."""

    def work(x):
        fake_clock.advance(2)
        if x:
            raise LookupError
        return ["a", "b"]

    f = timed("op", attributes=lambda x=0: {"x": x})(Counted(work).function(colour))
    with recorded(CallEnded) as log:
        await outcome(f())
        with pytest.raises(LookupError):
            await outcome(f(1))
    good, bad = log
    assert (good.operation, good.seconds, good.ending.value) == ("op", 2.0, "completed")
    assert (good.error, good.attributes) == (None, {"x": 0})
    streams = colour.endswith("generator")
    assert (good.items, good.first_item) == ((2, 2.0) if streams else (None, None))
    assert (bad.ending.value, bad.error, bad.attributes) == ("failed", "LookupError", {"x": 1})


async def test_attributes_of_a_mapping(fresh_host):
    """The same for every call."""
    f = timed("op", attributes={"model": "small"})(lambda: 1)
    with recorded(CallEnded) as log:
        f()
    assert log[0].attributes == {"model": "small"}


@pytest.mark.parametrize("colour", COLOURS)
async def test_attributes_that_fail_change_nothing(fresh_host, caplog, colour):
    """The call goes on without them."""
    f = timed("op", attributes=lambda *_: 1 / 0)(Counted().function(colour))
    with recorded(CallEnded) as log:
        assert await outcome(f(1)) == [1]
        assert await outcome(f(1)) == [1]
    assert [event.attributes for event in log] == [None, None]
    assert caplog.text.count("timed.attributes_failed") == 1  # it would fail at every call


async def test_memory_growth(fresh_host):
    """What a call holds on to shows, within reason; what it gives back does not."""
    import tracemalloc

    kept = []
    keeps = timed("keeps", memory=True)(lambda: kept.append(bytearray(1_000_000)))
    frees = timed("frees", memory=True)(lambda: len(bytearray(1_000_000)))
    was_tracing = tracemalloc.is_tracing()
    try:
        for _ in range(3):
            keeps()
            frees()
    finally:
        if not was_tracing:
            tracemalloc.stop()
    assert handle(keeps).stats().memory.count == 3
    assert 3_000_000 <= handle(keeps).stats().memory.total_bytes < 3_100_000
    assert abs(handle(frees).stats().memory.total_bytes) < 100_000


async def test_hosts_count_apart(fresh_host):
    """A fresh host is a fresh world."""
    f = timed("op")(lambda: 1)
    f()
    with use(Host(clock=fresh_host.clock)):
        assert handle(f).stats().calls == 0
        f()
        assert handle(f).stats().calls == 1
    assert handle(f).stats().calls == 1
