"""The waiting port of synchronous calls: how threads sleep, park and detach, and until when."""

from __future__ import annotations

import contextvars
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from agentperf._base.clock import Clock
from agentperf.abc.waiting import Lane, Parker
from agentperf.errors import CallTimeout

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


nearest_awaited: contextvars.ContextVar[Deadline | None] = contextvars.ContextVar(
    "agentperf.awaited_until", default=None
)
"""On event loops: when the nearest bound will cut off what is awaited here."""


def awaited_until(now: float) -> Deadline | None:
    """Return until when somebody waits for this call; None where nothing bounds it.

    A bound that is over is nobody's: what it held for was cut off, and this goes on by itself.
    """
    both = (nearest_deadline.get(), nearest_awaited.get())
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


def _nothing(_: Callable[[], bool] = lambda: True) -> None:
    pass
