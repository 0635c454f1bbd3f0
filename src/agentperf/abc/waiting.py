"""How a call waits, whatever it runs on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

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

    async def bounded(self, seconds: float, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` for `seconds` at most.

        On an event loop it is cancelled when they have passed. A synchronous call has to be made
        in a thread of its own, which goes on until the work ends by itself; nobody waits for it.

        Raises:
            CallTimeout: The time is up.
        """
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
    ) -> Callable[[], None]:
        """Run `work` so that the caller's cancellation can't reach it.

        On an event loop it becomes a task of its own and this returns at once; a synchronous call
        has nobody else to do it and runs it to its end. `work` must not raise. `ended` is called
        once it is over, perhaps twice; also when its task was cancelled before it could begin.

        Returns:
            What cancels the task, from any thread; does nothing once the work is over.
        """
        ...
