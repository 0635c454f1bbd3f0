"""How a call waits, whatever it runs on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from agentperf.errors import CallTimeout

T = TypeVar("T")


class Parker(Protocol):
    """A place where one call waits until somebody wakes it."""

    async def park(self, timeout: float | None = None, *, passive: bool = False) -> bool:
        """Wait until `unpark` was called; False when `timeout` seconds passed before.

        Args:
            timeout: Seconds; None waits for ever.
            passive: Whether it waits for another thread's work rather than for time to pass, which
                a clock that is moved by hand has to know.
        """
        ...

    def unpark(self) -> None:
        """Wake the waiter, from any thread; before or after it parked."""

    @property
    def deserted(self) -> bool:
        """Whether nobody can wait here any more: the event loop it belongs to was closed."""
        ...


class Lane(Protocol):
    """Where the steps of one call are made, one after the other, each within a time.

    On an event loop a step that takes too long is cancelled. Elsewhere the lane is a thread, as
    nobody can end what blocks: who waits for it goes on, and the thread ends when the step does.
    """

    async def within(
        self,
        seconds: float | None,
        work: Callable[[], Awaitable[T]],
        late: Callable[[], CallTimeout],
    ) -> T:
        """Do `work` and wait for it no longer than `seconds`; None for as long as it takes.

        A lane that did something too slowly is lost, and does nothing more.

        Raises:
            CallTimeout: What `late` makes; the time is up.
        """
        ...

    def leave(self, last: Callable[[], object] | None = None) -> None:
        """Make no further steps; `last` is done where and when the others are done."""
        ...


class Waiting(Protocol):
    """Clock, sleep, park and detached work for threads, asyncio and trio alike.

    The methods are `async` in shape. For synchronous calls they block the thread and never suspend,
    so that one piece of policy code serves every colour.
    """

    def now(self) -> float:
        """Monotonic seconds of the host's clock."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""

    async def bounded(
        self,
        seconds: float,
        work: Callable[[], Awaitable[T]],
        late: Callable[[], CallTimeout],
    ) -> T:
        """Run `work`, alone in a lane, for `seconds` at most.

        Raises:
            CallTimeout: What `late` makes; the time is up.
        """
        ...

    def lane(self) -> Lane:
        """Make a lane for the steps of one call."""
        ...

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run `work`, which blocks, without holding an event loop up; in place where there is none.

        On an event loop it runs in a worker thread, which whoever is cancelled doesn't wait for.
        """
        ...

    def parker(self) -> Parker:
        """Make a place to wait in."""
        ...

    def holds_a_loop(self) -> bool:
        """Whether waiting here would keep an event loop from turning."""
        ...

    async def detached(
        self, work: Callable[[], Awaitable[None]], ended: Callable[[], object] = lambda: None
    ) -> Callable[..., None]:
        """Run `work` so that the caller's cancellation can't reach it.

        On an event loop it becomes a task of its own and this returns at once; a synchronous call
        has nobody else to do it and runs it to its end. `work` must not raise. `ended` is called
        once it is over, perhaps twice; also when its task was cancelled before it could begin.

        Returns:
            What cancels the task, from any thread; does nothing once the work is over. What it is
            given is asked first, in the task's thread, whether to cancel at that moment still.
        """
        ...
