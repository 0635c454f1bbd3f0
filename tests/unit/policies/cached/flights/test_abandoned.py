"""Computations that everybody who waited for them has left."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading

import anyio
import pytest

from agentperf import ConfigurationError, cached, handle
from tests.unit.policies.cached.calls import Counted, aboard, auntil, until

pytestmark = pytest.mark.anyio


class Slow:
    """Waits for its gate, and says how it ended."""

    def __init__(self):
        self.gate = anyio.Event()
        self.ends = []

    async def __call__(self):
        """Wait."""
        try:
            await self.gate.wait()
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise
        self.ends.append("done")
        return 1


def slow(**options):
    """Give a function that waits, cached."""
    work = Slow()

    @cached(**options)
    async def f():
        return await work()

    return work, f


async def left(group, f):
    """Begin a call that goes away when its scope is cancelled."""
    scope = anyio.CancelScope()

    async def call():
        with scope:
            await f()

    group.start_soon(call)
    await anyio.wait_all_tasks_blocked()
    return scope


async def test_it_finishes_by_default(fresh_host):
    """And fills the cache."""
    work, f = slow()
    async with anyio.create_task_group() as group:
        (await left(group, f)).cancel()
        await anyio.wait_all_tasks_blocked()
        work.gate.set()
    await anyio.wait_all_tasks_blocked()
    assert work.ends == ["done"]
    assert handle(f).cache.peek() == 1


async def test_it_is_cancelled_on_request(fresh_host, caplog):
    """When the last one leaves, not before; nothing is stored, remembered or told."""
    work, f = slow(on_abandon="cancel", negative_ttl=60)
    async with anyio.create_task_group() as group:
        scopes = [await left(group, f) for _ in range(3)]
        for scope in scopes[:2]:
            scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert work.ends == []
        scopes[2].cancel()
        await anyio.wait_all_tasks_blocked()
    assert len(work.ends) == 1
    assert "Cancel" in work.ends[0]
    work.gate.set()
    assert await f() == 1
    assert not caplog.records


async def test_who_comes_after_the_last_one_begins_anew(fresh_host):
    """Nobody joins what is being cancelled."""
    work, f = slow(on_abandon="cancel")
    async with anyio.create_task_group() as group:
        scope = await left(group, f)
        scope.cancel()
        await auntil(lambda: not aboard(f))
        work.gate = anyio.Event()
        group.start_soon(f)
        await anyio.wait_all_tasks_blocked()
        assert aboard(f) == 1
        work.gate.set()
    assert len(work.ends) == 2
    assert "done" in work.ends
    assert handle(f).cache.peek() == 1


async def test_who_is_served_cancels_nothing(fresh_host):
    """The normal way out is no abandoning."""
    work, f = slow(on_abandon="cancel")
    work.gate.set()
    assert await f() == 1
    await anyio.wait_all_tasks_blocked()
    assert work.ends == ["done"]


def test_the_last_one_may_be_in_another_thread(fresh_host):
    """The computation is cancelled on its own loop."""
    ends = []
    leave = threading.Event()

    @cached(on_abandon="cancel")
    async def f():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ends.append(threading.get_ident())
            raise

    idents = []

    async def lead():
        idents.append(threading.get_ident())
        with anyio.move_on_after(60) as scope:
            scopes.append((asyncio.get_running_loop(), scope))
            await f()
        await auntil(lambda: ends)

    async def follow():
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(f)
                await auntil(leave.is_set)
                scope.cancel()

    scopes = []
    first = threading.Thread(target=contextvars.copy_context().run, args=(asyncio.run, lead()))
    first.start()
    until(lambda: aboard(f) == 1)
    second = threading.Thread(target=contextvars.copy_context().run, args=(asyncio.run, follow()))
    second.start()
    until(lambda: aboard(f) == 2)
    loop, scope = scopes[0]
    loop.call_soon_threadsafe(scope.cancel)
    until(lambda: aboard(f) == 1)
    assert not ends
    leave.set()
    second.join(20)
    first.join(20)
    assert ends == idents


async def test_an_error_that_nobody_sees_is_told(fresh_host, caplog):
    """Once; and one that somebody sees is not."""
    gate = anyio.Event()

    @cached
    async def f():
        await gate.wait()
        raise LookupError

    with caplog.at_level(logging.WARNING, "agentperf"):
        async with anyio.create_task_group() as group:
            (await left(group, f)).cancel()
            await anyio.wait_all_tasks_blocked()
            gate.set()
        await anyio.wait_all_tasks_blocked()
        assert caplog.text.count("cache.unseen_failure") == 1
        with pytest.raises(LookupError):
            await f()
    assert caplog.text.count("cache.unseen_failure") == 1


def test_what_blocks_cannot_be_left():
    """So nothing can be cancelled."""
    with pytest.raises(ConfigurationError, match=r'on_abandon="cancel" can\'t serve .* async def'):
        cached(on_abandon="cancel")(Counted().function("sync"))
    with pytest.raises(ConfigurationError, match=r'on_abandon=.*"finish", "cancel"'):
        cached(on_abandon="stop")
