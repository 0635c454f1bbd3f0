"""One hedged call: attempts that race, of which the first to succeed wins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from agentperf._engine.classify import Fault, classify
from agentperf._engine.streams import AsyncLiveStream

Attempt = Callable[[], Awaitable[Any]]


class Race:
    """Runs the first attempt in the caller's task, and others beside it when it is slow.

    Nobody is left behind: losers are cancelled, and have ended when this has.

    Args:
        attempt: Makes one attempt.
        now: Monotonic seconds.
        next_attempt: Waits until another attempt is due, given its number; False for none.

    Attributes:
        winner: The number of the attempt that succeeded first; None where none did.
        began: When each attempt began, by its number; the first is 0.
        errors: Those of the attempts that failed, by number.
    """

    def __init__(
        self,
        attempt: Attempt,
        now: Callable[[], float],
        next_attempt: Callable[[int], Awaitable[bool]],
    ) -> None:
        import anyio

        self._attempt = attempt
        self._now = now
        self._next_attempt = next_attempt
        self._first = anyio.CancelScope()
        self._others = anyio.create_task_group()
        self._decided = anyio.Event()
        self._cancelled = anyio.get_cancelled_exc_class()
        self._running = 0
        self.errors: dict[int, BaseException] = {}
        self._value: Any = None
        self.winner: int | None = None
        self.began: dict[int, float] = {}

    async def run(self) -> Any:
        """Return the value of the attempt that wins.

        Raises:
            Exception: None did: the error of the first attempt, those of the others as notes.
        """
        async with self._others:
            self._others.start_soon(self._hedge)
            with self._first:
                await self._run(0)
            await self._decided.wait()
            self._others.cancel_scope.cancel()
        if self.winner is None:
            raise self._error()
        return self._value

    async def _hedge(self) -> None:
        number = 1
        while await self._next_attempt(number) and not self._decided.is_set():
            self._others.start_soon(self._run, number)
            number += 1

    async def _run(self, number: int) -> None:
        self.began[number] = self._now()
        self._running += 1
        try:
            value = await self._attempt()
        except self._cancelled:
            raise
        except BaseException as error:  # noqa: BLE001 - raised once it is clear that nobody wins
            self._failed(number, error)
        else:
            await self._succeeded(number, value)
        finally:
            self._running -= 1
            if not self._running:
                self._decide(number)

    async def _succeeded(self, number: int, value: Any) -> None:
        if self._decided.is_set():  # in the same moment as another
            if isinstance(value, AsyncLiveStream):
                await value.aclose()
            return
        self.winner, self._value = number, value
        self._decide(number)

    def _failed(self, number: int, error: BaseException) -> None:
        self.errors[number] = error
        if not isinstance(error, Exception) or classify(error).fault is Fault.CALLER:
            self._decide(number)  # the others would fail in the same way

    def _decide(self, number: int) -> None:
        self._decided.set()
        if number:
            self._first.cancel()

    def _error(self) -> BaseException:
        """The first attempt's error where it has one, with what befell the others."""
        (_, error), *others = sorted(self.errors.items())
        for other, its in others:
            error.add_note(f"attempt {other + 1} failed too: {type(its).__name__}: {its}")
        return error
