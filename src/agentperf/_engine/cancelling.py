"""Cancel scopes that end work at once, whichever event loop it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from agentperf._engine.waiting import in_trio

if TYPE_CHECKING:
    from types import TracebackType


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
