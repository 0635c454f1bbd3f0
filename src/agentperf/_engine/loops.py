"""The waiting port of asynchronous calls: how asyncio and trio sleep, park and detach."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from agentperf._base.clock import Clock
from agentperf._engine.waiting import Deadline, in_one_go, in_trio, nearest_awaited
from agentperf.abc.waiting import Lane, Parker, Waiting
from agentperf.errors import CallTimeout

T = TypeVar("T")


class LoopWaiting:
    """Waiting for asynchronous calls, on whichever event loop they run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.now = clock.now
        self._tasks: set[Any] = set()

    async def sleep(self, seconds: float) -> None:
        """Suspend for `seconds`."""
        await self.parker().park(seconds)

    async def bounded(
        self,
        seconds: float,
        work: Callable[[], Awaitable[T]],
        late: Callable[[], CallTimeout],
    ) -> T:
        """Do the work in a cancel scope that ends after `seconds`."""
        return await self.within(seconds, work, late)

    def lane(self) -> Lane:
        """Steps on a loop have nothing in common but the task that makes them."""
        return self

    async def within(
        self,
        seconds: float | None,
        work: Callable[[], Awaitable[T]],
        late: Callable[[], CallTimeout],
    ) -> T:
        """Do one step in a cancel scope."""
        if seconds is None:
            return await work()
        bounded = _within_on_trio if in_trio() else _within_on_asyncio
        own, outer = Deadline(self.now() + seconds, late), nearest_awaited.get()
        token = nearest_awaited.set(own if outer is None or own.at <= outer.at else outer)
        try:
            return await bounded(self._clock, seconds, work, late)
        finally:
            nearest_awaited.reset(token)

    def leave(self, last: Callable[[], object] | None = None) -> None:
        """Each step is over when it is over."""

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do the work in a worker thread; whoever is cancelled doesn't wait for it."""
        from anyio import to_thread

        return await to_thread.run_sync(work, abandon_on_cancel=True)

    def parker(self) -> Parker:
        """Make a place to wait in, on the running loop."""
        return _TrioParker(self._clock) if in_trio() else _AsyncioParker(self._clock)

    def giving_way(self) -> Callable[[], Awaitable[object]]:
        """Return what lets those go first who are ready on this loop."""
        if in_trio():
            import trio

            return trio.lowlevel.checkpoint
        import asyncio

        return partial(asyncio.sleep, 0)

    def holds_a_loop(self) -> bool:
        """Suspending never holds up the loop."""
        return False

    async def detached(
        self, work: Callable[[], Awaitable[None]], ended: Callable[[], object] = lambda: None
    ) -> Callable[..., None]:
        """Start a task of its own, in a copy of this context."""

        async def run() -> None:
            nearest_awaited.set(None)
            try:
                await work()
            finally:
                ended()

        if in_trio():
            import trio

            scope, token = trio.CancelScope(), trio.lowlevel.current_trio_token()

            async def scoped() -> None:
                with scope:
                    await run()

            trio.lowlevel.spawn_system_task(scoped, context=contextvars.copy_context())
            return partial(_cancel, trio.RunFinishedError, token.run_sync_soon, scope.cancel)
        import asyncio

        loop = asyncio.get_running_loop()
        task = loop.create_task(run())
        # The loop keeps only a weak reference to its tasks.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before it began runs nothing, not even its `finally`.
        task.add_done_callback(lambda _: ended())
        return partial(_cancel, RuntimeError, loop.call_soon_threadsafe, task.cancel)


def set_aside(
    waiting: Waiting, work: Callable[[], Awaitable[object]], cut_off: Callable[[], object]
) -> bool:
    """Have a task do what nobody waits for, once those had their turn who are ready.

    A loop that ends right after a call cuts it off before it began, and not halfway.

    Args:
        waiting: How calls wait on an event loop.
        work: What is to be done. It must not raise.
        cut_off: Is called if the task was cancelled before it was through, perhaps twice.

    Returns:
        Whether somebody does it; False on a thread without a loop.
    """
    over = False

    async def run() -> None:
        nonlocal over
        await _give_way()
        await work()
        over = True

    def ended() -> None:
        if not over:
            cut_off()

    try:
        in_one_go(waiting.detached(run, ended))
    except RuntimeError:
        return False
    return True


async def _give_way() -> None:
    for _ in range(_TURNS):
        if in_trio():
            import trio

            await trio.lowlevel.checkpoint()
        else:
            import asyncio

            await asyncio.sleep(0)


_TURNS = 5
"""A loop takes one or two to end, and a few more where its last call was made by a task."""


def later(clock: Clock, seconds: float, act: Callable[[], object]) -> Callable[[], None]:
    """Have the running event loop call `act`, in this context, when `seconds` have passed.

    Returns:
        What takes that back, as long as it hasn't begun.
    """
    context = contextvars.copy_context()

    def act_here() -> None:
        context.run(act)

    if in_trio():
        import trio

        token, scope = trio.lowlevel.current_trio_token(), trio.CancelScope()
        ring = partial(_quietly, trio.RunFinishedError, token.run_sync_soon, act_here)
        take_back = clock.alarm(seconds, ring, blocking=False)
        if take_back is not None:
            return take_back

        async def wait_and_act() -> None:
            with scope:
                await trio.sleep(seconds)
                act_here()

        trio.lowlevel.spawn_system_task(wait_and_act)
        return scope.cancel
    import asyncio

    loop = asyncio.get_running_loop()
    ring = partial(_quietly, RuntimeError, loop.call_soon_threadsafe, act_here)
    take_back = clock.alarm(seconds, ring, blocking=False)
    return loop.call_later(seconds, act_here).cancel if take_back is None else take_back


async def _within_on_asyncio(
    clock: Clock, seconds: float, work: Callable[[], Awaitable[T]], late: Callable[[], CallTimeout]
) -> T:
    import asyncio

    # Not a scope of anyio, which costs several times as much and cancels clean-up over and over.
    loop, scope = asyncio.get_running_loop(), asyncio.timeout(None)
    expire = partial(_quietly, RuntimeError, scope.reschedule, 0)
    ring = partial(_quietly, RuntimeError, loop.call_soon_threadsafe, expire)
    take_back = clock.alarm(seconds, ring, blocking=False)
    if take_back is None:
        scope = asyncio.timeout(seconds)
    try:
        async with scope:
            return await work()
    except TimeoutError:
        if not scope.expired():
            raise
    finally:
        if take_back is not None:
            take_back()
    raise late()


async def _within_on_trio(
    clock: Clock, seconds: float, work: Callable[[], Awaitable[T]], late: Callable[[], CallTimeout]
) -> T:
    import trio

    scope, token = trio.CancelScope(), trio.lowlevel.current_trio_token()
    ring = partial(_quietly, trio.RunFinishedError, token.run_sync_soon, scope.cancel)
    take_back = clock.alarm(seconds, ring, blocking=False)
    if take_back is None:
        scope.deadline = trio.current_time() + seconds
    with scope:
        try:
            return await work()
        finally:
            if take_back is not None:
                take_back()
    raise late()


def _quietly(closed: type[Exception], call: Callable[[Any], object], what: Any) -> None:
    """Have a loop do something, unless it was closed meanwhile."""
    with contextlib.suppress(closed):
        call(what)


def _cancel(
    closed: type[Exception],
    call_soon: Callable[..., object],
    cancel: Callable[[], object],
    still: Callable[[], bool] = lambda: True,
) -> None:
    """Cancel on a loop, if that is `still` wanted there; one that was closed has no tasks."""
    with contextlib.suppress(closed):
        call_soon(lambda: still() and cancel())


class _AsyncioParker:
    def __init__(self, clock: Clock) -> None:
        import asyncio

        self._clock = clock
        self._running_loop = asyncio.get_running_loop
        self._loop = self._running_loop()
        self._future = self._loop.create_future()

    async def park(self, timeout: float | None = None, *, passive: bool = False) -> bool:
        if timeout is None:
            return bool(await self._future)
        take_back = self._clock.alarm(timeout, self._expire, blocking=False)
        if take_back is None:
            take_back = self._loop.call_later(timeout, self._settle, False).cancel
        try:
            return bool(await self._future)
        finally:
            take_back()

    def unpark(self) -> None:
        if self._is_here():
            self._settle(woken=True)  # to wake a loop from outside costs several times as much
        else:
            self._wake(woken=True)

    def _is_here(self) -> bool:
        try:
            return self._running_loop() is self._loop
        except RuntimeError:
            return False

    @property
    def deserted(self) -> bool:
        return self._loop.is_closed()

    def _expire(self) -> None:
        self._wake(woken=False)

    def _wake(self, *, woken: bool) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, woken)

    def _settle(self, woken: bool) -> None:  # noqa: FBT001 - the loop calls it
        if not self._future.done():
            self._future.set_result(woken)


class _TrioParker:
    def __init__(self, clock: Clock) -> None:
        import trio

        self._trio = trio
        self._clock = clock
        self._token = trio.lowlevel.current_trio_token()
        self._event = trio.Event()
        self._woken = False

    async def park(self, timeout: float | None = None, *, passive: bool = False) -> bool:
        if timeout is None:
            await self._event.wait()
            return self._woken
        take_back = self._clock.alarm(timeout, lambda: self._wake(woken=False), blocking=False)
        try:
            with self._trio.move_on_after(timeout if take_back is None else float("inf")):
                await self._event.wait()
        finally:
            if take_back is not None:
                take_back()
        return self._woken

    def unpark(self) -> None:
        self._wake(woken=True)

    @property
    def deserted(self) -> bool:
        return False  # trio ends every task before a run ends

    def _wake(self, *, woken: bool) -> None:
        with contextlib.suppress(self._trio.RunFinishedError):  # nobody waits any more
            self._token.run_sync_soon(self._settle, woken)

    def _settle(self, woken: bool) -> None:  # noqa: FBT001 - the loop calls it
        if not self._event.is_set():
            self._woken = woken
            self._event.set()
