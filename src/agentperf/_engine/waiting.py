"""The waiting port: how threads, asyncio and trio sleep, park and detach."""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from agentperf._base.clock import Clock
from agentperf.abc.waiting import Lane, Parker, Waiting
from agentperf.errors import CallTimeout

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")


def on_event_loop() -> bool:
    """Whether this thread is running an event loop right now."""
    return in_trio() or _in_asyncio()


def _in_asyncio() -> bool:
    # A loop can only be running if somebody imported asyncio; we don't import it to find out.
    running_loop = getattr(sys.modules.get("asyncio.events"), "_get_running_loop", None)
    return running_loop is not None and running_loop() is not None


def in_trio() -> bool:
    """Whether this thread is inside a trio run."""
    in_trio_run = getattr(sys.modules.get("trio.lowlevel"), "in_trio_run", None)
    return in_trio_run is not None and in_trio_run()


def in_one_go(work: Any) -> Any:
    """Run an async-shaped coroutine to its end without an event loop.

    Raises:
        RuntimeError: It suspended, which only something for an event loop does.
    """
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    work.close()
    raise RuntimeError(
        "a policy suspended a synchronous call: it awaited more than its waiting port"
    )


class Overrun(CallTimeout):
    """The time of a call further out was up; who bounds that call says what it wants to say.

    Attributes:
        deadline: Whose time it was.
    """

    deadline: Deadline


class Deadline:
    """Until when somebody waits for what this thread does.

    On event loops cancel scopes lie inside of each other, and the nearest ends what is inside.
    Nobody can end what a thread does: here the nearest deadline goes along with the context, bounds
    further in shrink to it, and pauses and waits of any kind end with it.

    Attributes:
        at: The time, on the host's clock.

    Args:
        late: Makes the error that says that the time is up; it says whose time that is.
    """

    __slots__ = ("_late", "at")

    def __init__(self, at: float, late: Callable[[], CallTimeout]) -> None:
        self.at = at
        self._late = late

    def __str__(self) -> str:
        """Say whose it is."""
        error = self._late()
        return f"{error.limit}={error.seconds:g} s of {error.policy} {error.policy_name!r}"

    def passed(self) -> Overrun:
        """Make the error that ends what goes on for nobody."""
        error = Overrun("nobody waits for this call any more")
        error.deadline = self
        return error


nearest_deadline: contextvars.ContextVar[Deadline | None] = contextvars.ContextVar(
    "agentperf.deadline", default=None
)


_awaited_until: contextvars.ContextVar[Deadline | None] = contextvars.ContextVar(
    "agentperf.awaited_until", default=None
)
"""On event loops: when the nearest bound will cut off what is awaited here."""


def awaited_until(now: float) -> Deadline | None:
    """Return until when somebody waits for this call; None where nothing bounds it.

    A bound that is over is nobody's: what it held for was cut off, and this goes on by itself.
    """
    both = (nearest_deadline.get(), _awaited_until.get())
    ahead = (deadline for deadline in both if deadline is not None and deadline.at > now)
    return min(ahead, key=lambda deadline: deadline.at, default=None)


def seconds_left(now: float) -> float | None:
    """Return for how long somebody waits for this call; None where nothing bounds it."""
    deadline = awaited_until(now)
    return None if deadline is None else deadline.at - now


LaneFor = Callable[["ThreadWaiting"], Lane]


class ThreadWaiting:
    """Waiting for synchronous calls: blocks the thread, never suspends."""

    def __init__(self, clock: Clock, lane_for: LaneFor | None = None) -> None:
        self.clock = clock
        self._lane_for = lane_for
        self.now = clock.now

    async def sleep(self, seconds: float) -> None:
        """Block for `seconds`."""
        await self.parker().park(seconds)

    async def bounded(
        self,
        seconds: float,
        work: Callable[[], Awaitable[T]],
        late: Callable[[], CallTimeout],
    ) -> T:
        """Do the work in a thread of its own and wait for it no longer than `seconds`."""
        lane = self.lane()
        try:
            return await lane.within(seconds, work, late)
        finally:
            lane.leave()

    def lane(self) -> Lane:
        """Make a lane, which becomes a thread with its first step."""
        if self._lane_for is None:
            raise RuntimeError("nobody said whose threads these lanes are to be")
        return self._lane_for(self)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do the work here and now."""
        return work()

    def parker(self) -> Parker:
        """Make a place to wait in."""
        return ThreadParker(self.clock)

    def holds_a_loop(self) -> bool:
        """Whether this thread runs an event loop, which would stand still."""
        return on_event_loop()

    async def detached(
        self, work: Callable[[], Awaitable[None]], ended: Callable[[], object] = lambda: None
    ) -> Callable[..., None]:
        """Do the work here and now; whoever waits for this call doesn't bound it."""
        bounded_by = nearest_deadline.set(None)
        try:
            await work()
        finally:
            nearest_deadline.reset(bounded_by)
            ended()
        return _nothing


class ThreadParker:
    """Where a thread waits; `passive` where it is for another thread's work.

    It waits no longer than somebody waits for the call it is making.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = threading.Event()
        self._woken = False

    async def park(self, timeout: float | None = None, *, passive: bool = False) -> bool:
        """Wait until somebody calls `unpark`.

        Raises:
            Overrun: Nobody waits for this call any more.
        """
        if (deadline := nearest_deadline.get()) is None:
            return self._wait(timeout, passive=passive)
        left = max(0.0, deadline.at - self._clock.now())
        if timeout is not None and timeout < left:
            return self._wait(timeout, passive=passive)
        if not self._wait(left, passive=passive):
            raise deadline.passed()
        return True

    def _wait(self, timeout: float | None, *, passive: bool) -> bool:
        if self._woken:
            return True
        take_back = None
        if timeout is not None or passive:
            ever = float("inf") if timeout is None else timeout
            take_back = self._clock.alarm(ever, self._event.set, blocking=True, passive=passive)
        try:
            self._event.wait(timeout if take_back is None else None)
        finally:
            if take_back is not None:
                take_back()
        return self._woken

    def unpark(self) -> None:
        """Wake the waiter."""
        self._woken = True
        self._event.set()

    @property
    def deserted(self) -> bool:
        """Somebody always can wait in a thread."""
        return False


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
        own, outer = Deadline(self.now() + seconds, late), _awaited_until.get()
        token = _awaited_until.set(own if outer is None or own.at <= outer.at else outer)
        try:
            return await bounded(self._clock, seconds, work, late)
        finally:
            _awaited_until.reset(token)

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
            _awaited_until.set(None)
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


class CancelScope(Protocol):
    """Some work of one task that others on its loop can end."""

    def __enter__(self) -> Self:
        """Begin the work."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> bool | None:
        """End it; the cancellation goes no further."""
        ...

    def cancel(self) -> None:
        """Cancel what goes on in it, before anything else happens on the loop."""


def cancel_scope() -> CancelScope:
    """Make a scope for the running task that is cancelled at once.

    That of anyio lets a task go on once more that has just been woken.
    """
    if in_trio():
        import trio

        return trio.CancelScope()
    return _AsyncioScope()


class _AsyncioScope:
    """Cancels as `asyncio.timeout` does, when somebody says so."""

    def __init__(self) -> None:
        import asyncio

        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - it is made in one
        self._task = task
        self._cancelled = asyncio.CancelledError
        self._cancels_before = task.cancelling()
        self._called = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> bool:
        if not self._called:
            return False
        nobody_else_did = self._task.uncancel() <= self._cancels_before
        return nobody_else_did and isinstance(error, self._cancelled)

    def cancel(self) -> None:
        if not self._called:
            self._called = True
            self._task.cancel()


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


def _nothing(_: Callable[[], bool] = lambda: True) -> None:
    pass


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


def waiting_for(*, is_async: bool, clock: Clock, lane_for: LaneFor | None = None) -> Waiting:
    """Return the waiting port of a colour.

    Args:
        is_async: Whether calls are driven by an event loop.
        clock: Where time comes from.
        lane_for: Makes the lanes of synchronous calls.
    """
    return LoopWaiting(clock) if is_async else ThreadWaiting(clock, lane_for)
