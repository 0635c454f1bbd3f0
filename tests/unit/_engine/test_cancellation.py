"""Cancellation is neutral: dropped exactly once, never failed, never swallowed."""

from __future__ import annotations

import asyncio
import contextvars
import gc

import anyio
import pytest

from agentperf import handle, measure, timed
from agentperf._base.endings import Ending
from tests.unit._engine.spies import Through, straight_on

trio = pytest.importorskip("trio")


async def forever():
    """Never come back."""
    await anyio.sleep_forever()


async def stream_after(items):
    """Give so many items, then never come back."""
    for item in range(items):
        yield item
    await anyio.sleep_forever()


async def read(stream):
    """Read a stream to its end, which never comes."""
    async for _ in stream:
        pass


HANGING = {
    "coroutine": lambda policy: policy(forever)(),
    "before the first item": lambda policy: read(policy(stream_after)(0)),
    "in the middle": lambda policy: read(policy(stream_after)(2)),
}


@pytest.mark.anyio
@pytest.mark.parametrize("kind", HANGING)
async def test_a_cancel_scope_cancels(spy, kind):
    """The scopes of anyio get through on both backends, and the call is dropped once."""
    with anyio.move_on_after(0.01) as cancelled:
        await HANGING[kind](spy)
    assert cancelled.cancelled_caught
    assert spy.log == [("spy", "enter"), ("spy", "dropped", Ending.CANCELLED)]


@pytest.mark.anyio
@pytest.mark.parametrize("kind", HANGING)
async def test_cancelled_calls_are_counted_as_such(fresh_host, kind):
    """Neither as completed nor as failed."""
    policy = timed("op")
    with anyio.move_on_after(0.01):
        await HANGING[kind](policy)
    stats = fresh_host.operation_stats("op")
    assert (stats.cancelled, stats.errors, stats.latency.count) == (1, {}, 0)


@pytest.mark.parametrize("kind", HANGING)
def test_cancelling_a_task(spy, kind):
    """A `task.cancel()` arrives as CancelledError, with its message."""

    async def main():
        task = asyncio.create_task(HANGING[kind](spy))
        await asyncio.sleep(0.01)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert spy.endings() == ["dropped"]


@pytest.mark.parametrize("kind", HANGING)
def test_a_task_cancelled_before_it_began_is_no_call(spy, kind):
    """Nothing was entered."""

    async def main():
        call = HANGING[kind](spy)
        task = asyncio.create_task(call)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert spy.log == []


@pytest.mark.parametrize("kind", HANGING)
def test_a_trio_cancel_scope(spy, kind):
    """Its Cancelled gets through to its scope."""

    async def main():
        with trio.CancelScope() as scope:
            scope.deadline = trio.current_time() + 0.01
            await HANGING[kind](spy)
        assert scope.cancelled_caught

    trio.run(main)
    assert spy.endings() == ["dropped"]


@pytest.mark.anyio
async def test_a_flow_lets_cancellation_through(spy):
    """An async-shaped layer in front doesn't change that."""
    with anyio.move_on_after(0.01) as cancelled:
        await Through(run=straight_on)(spy(forever))()
    assert cancelled.cancelled_caught
    assert spy.endings() == ["dropped"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("items", [None, 0, 2])
def test_interruptions_of_sync_calls(spy, interruption, items):
    """Ctrl-C and exits pass through plain calls and streams alike and are no failure."""
    error = interruption()

    def call():
        raise error

    def stream():
        yield from range(items)
        raise error

    with pytest.raises(interruption) as caught:
        spy(call)() if items is None else list(spy(stream)())
    assert caught.value is error
    assert spy.log == [("spy", "enter"), ("spy", "dropped", Ending.CANCELLED)]


def test_a_timeout_inside_is_a_failure(spy):
    """What the function itself turned into a TimeoutError is an error like any other."""

    async def bounded():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        asyncio.run(spy(bounded)())
    assert spy.endings() == ["failed"]


@pytest.mark.parametrize("kind", HANGING)
def test_closed_from_another_context(fresh_host, kind):
    """A coroutine that is closed where it wasn't begun leaves without a complaint."""

    async def hold():
        await asyncio.Future()

    async def hold_stream():
        await asyncio.Future()
        yield

    async def main():
        policy = timed("op")
        call = policy(hold)() if kind == "coroutine" else read(policy(hold_stream)())
        contextvars.copy_context().run(call.send, None)
        call.close()

    asyncio.run(main())
    gc.collect()
    assert fresh_host.operation_stats("op").cancelled == 1


def test_a_measured_region_left_in_another_context(fresh_host):
    """A framework may read a generator in a new context for each item."""

    def stream():
        with measure("region"):
            yield 1
            yield 2

    reading = stream()
    items = [contextvars.copy_context().run(next, reading) for _ in range(2)]
    with pytest.raises(StopIteration):
        contextvars.copy_context().run(next, reading)
    assert items == [1, 2]
    assert fresh_host.operation_stats("region").calls == 1


def test_a_decorated_generator_read_in_many_contexts(fresh_host):
    """Nothing of ours is held across a yield."""

    @timed
    def stream():
        yield from range(3)

    reading = stream()
    items = [contextvars.copy_context().run(next, reading) for _ in range(3)]
    assert contextvars.copy_context().run(list, reading) == []
    assert items == [0, 1, 2]
    assert handle(stream).stats().calls == 1
