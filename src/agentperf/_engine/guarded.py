"""Asking what may be out of order, so that no call waits for it again and again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from agentperf._engine.guard import Guard
from agentperf.errors import BackendError


class Guarded(ABC):
    """The way to a backend or a store, behind a guard that all who share it have in common.

    Each change between working and failing is told once, by whoever finds it out.

    Args:
        guard: Knows whether it works.
        now: Monotonic seconds.
    """

    spares: type[Exception]
    """What says something of the question, nothing of what was asked."""

    def __init__(self, guard: Guard, now: Callable[[], float]) -> None:
        self._guard = guard
        self._now = now

    async def _guarded(self, ask: Callable[[Any], Awaitable[Any]], work: Any) -> Any:
        """Ask, unless it failed a moment ago."""
        guard = self._guard
        if (era := guard.admit(self._now())) is None:
            raise self._left_alone(guard.trouble)
        try:
            answer = await ask(work)
        except self.spares:
            raise
        except Exception as error:
            if guard.failed(era, self._now(), error):
                self._failed(error)
            raise
        if not guard.works and guard.answered(era, self._now()):
            self._works_again()
        return answer

    @abstractmethod
    def _left_alone(self, trouble: str) -> BackendError:
        """Make the error for a call that isn't let in."""

    @abstractmethod
    def _failed(self, error: Exception) -> None:
        """Tell that it began to fail."""

    @abstractmethod
    def _works_again(self) -> None:
        """Tell that it works again."""
