"""One hedged call: attempts that race, of which the first to succeed wins."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from agentperf._base.clock import Clock
from agentperf._base.verdicts import Fault
from agentperf._engine.cancelling import CancelScope, cancel_scope
from agentperf._engine.classify import classify
from agentperf._engine.loops import later
from agentperf._engine.streams import AsyncLiveStream
from agentperf._engine.waiting import in_one_go
from agentperf.abc.waiting import Waiting
from agentperf.errors import CallRejected

Attempt = Callable[[], Awaitable[Any]]


class Race:
    """Runs the first attempt in the caller's task, and others beside it when it is slow.

    A call that is fast costs a timer and nothing else. Nobody is left behind: losers are cancelled,
    and have ended when this has.

    Args:
        attempt: Makes one attempt.
        clock: Whose time it is.
        waiting: How to start another attempt.

    Attributes:
        winner: The number of the attempt that succeeded first; None where none did.
        attempts: How many there are; the first has the number 0.
        errors: Those of the attempts that failed, by number.
    """

    def __init__(self, attempt: Attempt, clock: Clock, waiting: Waiting) -> None:
        import anyio

        self._attempt = attempt
        self._clock = clock
        self._waiting = waiting
        self._cancelled = anyio.get_cancelled_exc_class()
        self._running = {0}
        self._scopes: dict[int, CancelScope] = {}
        self._is_decided = False
        self._changed: Any = None
        self._value: Any = None
        self._take_back: Callable[[], None] = lambda: None
        self.winner: int | None = None
        self.attempts = 1
        self.errors: dict[int, BaseException] = {}

    @property
    def was_hedged(self) -> bool:
        """Whether there was another attempt that no policy refused."""
        refused = [number for number, error in self.errors.items() if _is_refusal(number, error)]
        return self.attempts - len(refused) > 1

    async def run(self, delay: float, is_due: Callable[[int], float | None]) -> Any:
        """Return the value of the attempt that wins.

        Args:
            delay: When the first attempt is slow, in seconds.
            is_due: Asked before another attempt is made, with its number; None for none, else
                seconds to the one after it.

        Raises:
            Exception: None did: the error of the first attempt, those of the others as notes.
        """
        self._plan(delay, is_due)
        try:
            await self._run(0)
            while not self._is_decided:
                await self._change()
        finally:
            self._decide(0)
            self._take_back()
            if self._running - {0}:
                await self._others_ended()
        if self.winner is None:
            raise self._error()
        return self._value

    def _plan(self, delay: float, is_due: Callable[[int], float | None]) -> None:
        self._take_back = later(self._clock, delay, partial(self._hedge, is_due))

    def _hedge(self, is_due: Callable[[int], float | None]) -> None:
        """Start another attempt; the event loop calls this when it is time."""
        if self._is_decided or (delay := is_due(number := self.attempts)) is None:
            return
        self.attempts += 1
        self._running.add(number)
        ended = partial(self._ended, number)
        in_one_go(self._waiting.detached(partial(self._run, number), ended))
        self._plan(delay, is_due)

    async def _run(self, number: int) -> None:
        try:
            with cancel_scope() as self._scopes[number]:
                if not self._is_decided:
                    await self._judged(number)
        finally:
            self._scopes.pop(number, None)
            self._ended(number)

    async def _judged(self, number: int) -> None:
        """Make an attempt, and see what it says of the race."""
        try:
            value = await self._attempt()
        except self._cancelled:
            raise
        except BaseException as error:  # noqa: BLE001 - raised once it is clear that nobody wins
            self._failed(number, error)
        else:
            await self._succeeded(number, value)

    async def _succeeded(self, number: int, value: Any) -> None:
        if not self._is_decided:
            self.winner, self._value = number, value
            self._decide(number)
        elif isinstance(value, AsyncLiveStream):  # in the same moment as another
            with contextlib.suppress(Exception):  # its reader would be told, but has the other
                await value.aclose()

    def _failed(self, number: int, error: BaseException) -> None:
        self.errors[number] = error
        if not isinstance(error, Exception) or classify(error).fault is Fault.CALLER:
            self._decide(number)  # the others would fail in the same way

    def _ended(self, number: int) -> None:
        self._running.discard(number)
        if not self._running:
            self._decide(number)
        if self._changed is not None:
            self._changed.set()

    def _decide(self, number: int) -> None:
        """Cancel all attempts but this one.

        At once: a place that it has just given back has woken who waits for it, but not yet let it
        go on. If that is one of these, it must not make a call that nobody needs.
        """
        self._is_decided = True
        for other, scope in self._scopes.items():
            if other != number:
                scope.cancel()

    async def _change(self) -> None:
        """Wait until an attempt has ended."""
        import anyio

        self._changed = anyio.Event()
        await self._changed.wait()

    async def _others_ended(self) -> None:
        """Wait for the other attempts to end, even if the caller is cancelled."""
        import anyio

        with anyio.CancelScope(shield=True):
            while self._running - {0}:
                await self._change()

    def _error(self) -> BaseException:
        """The first attempt's error where it has one, with what befell the others."""
        (_, error), *others = sorted(self.errors.items())
        for other, its in others:
            error.add_note(f"attempt {other + 1} failed too: {type(its).__name__}: {its}")
        return error


def _is_refusal(number: int, error: BaseException) -> bool:
    """Whether an attempt beside the first was none, as a policy further in refused it."""
    return number > 0 and isinstance(error, CallRejected)
