"""Streams: one call each, from the call to the end of the stream; only the producer's time."""

from __future__ import annotations

import gc

import anyio
import pytest

from agentperf import handle, timed
from tests.unit.policies.cached.calls import STREAMS, outcome

pytestmark = pytest.mark.anyio


def _stream(colour, clock, seconds, fails=False):
    """A stream that takes so many seconds for each item."""

    def generator():
        for n, each in enumerate(seconds):
            clock.advance(each)
            yield n
        if fails:
            raise ConnectionError

    async def async_generator():
        for n, each in enumerate(seconds):
            clock.advance(each)
            yield n
        if fails:
            raise ConnectionError

    return timed("op")(generator if colour == "generator" else async_generator)


async def _next(stream):
    return await anext(stream) if hasattr(stream, "__anext__") else next(stream)


async def _close(stream):
    await stream.aclose() if hasattr(stream, "aclose") else stream.close()


@pytest.mark.parametrize("colour", STREAMS)
async def test_first_item_and_gaps(fresh_host, fake_clock, colour):
    """Each item's own time, however long the consumer takes in between."""
    f = _stream(colour, fake_clock, [4.0, 0.5, 0.25])
    stream = f()
    fake_clock.advance(1000)
    for _ in range(3):
        await _next(stream)
        fake_clock.advance(1000)
    assert handle(f).stats().calls == 0
    assert await outcome(stream) == []
    figures = handle(f).stats()
    assert (figures.calls, figures.completed) == (1, 1)
    assert (figures.first_item.sum, figures.gaps.count, figures.gaps.sum) == (4.0, 2, 0.75)
    assert figures.mean == 4.75


@pytest.mark.parametrize("colour", STREAMS)
async def test_a_stream_that_is_closed_early(fresh_host, fake_clock, colour):
    """Counts as closed, once, neither as completed nor as failed."""
    f = _stream(colour, fake_clock, [1.0, 1.0])
    stream = f()
    await _next(stream)
    await _close(stream)
    await _close(stream)
    figures = handle(f).stats()
    assert (figures.calls, figures.closed, figures.dropped_latency.sum) == (1, 1, 1.0)
    assert figures.first_item.count == 1


@pytest.mark.parametrize("given", [0, 2])
@pytest.mark.parametrize("colour", STREAMS)
async def test_a_stream_that_fails(fresh_host, fake_clock, colour, given):
    """Before its first item or after some: failed, once."""
    f = _stream(colour, fake_clock, [1.0] * given, fails=True)
    with pytest.raises(ConnectionError):
        await outcome(f())
    figures = handle(f).stats()
    assert (figures.calls, dict(figures.errors)) == (1, {"ConnectionError": 1})
    assert figures.failed_latency.sum == 1.0 * given
    assert figures.first_item.count == (1 if given else 0)


@pytest.mark.parametrize("colour", STREAMS)
async def test_an_empty_stream_is_a_call(fresh_host, fake_clock, colour):
    """Completed, without a first item."""
    f = _stream(colour, fake_clock, [])
    assert await outcome(f()) == []
    figures = handle(f).stats()
    assert (figures.completed, figures.first_item.count) == (1, 0)


async def test_a_cancelled_stream(fresh_host):
    """Counts as cancelled."""

    @timed
    async def f():
        yield 1
        await anyio.sleep_forever()

    async def read():
        async for _ in f():
            pass

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert (handle(f).stats().calls, handle(f).stats().cancelled) == (1, 1)


def test_an_abandoned_stream(fresh_host):
    """One that a function returned and nobody finished counts as abandoned when it goes."""

    @timed
    def f():
        return (n for n in range(3))

    stream = f()
    next(stream)
    assert handle(f).stats().calls == 0
    del stream
    gc.collect()
    assert (handle(f).stats().calls, handle(f).stats().abandoned) == (1, 1)


async def test_a_returned_stream_is_followed_to_its_end(fresh_host, fake_clock):
    """The time of opening it counts for the first item."""

    def items():
        for _ in range(2):
            fake_clock.advance(1)
            yield 1

    @timed
    async def f():
        fake_clock.advance(5)
        return items()

    stream = await f()
    fake_clock.advance(100)
    assert list(stream) == [1, 1]
    figures = handle(f).stats()
    assert (figures.first_item.sum, figures.gaps.sum, figures.mean) == (6.0, 1.0, 7.0)
