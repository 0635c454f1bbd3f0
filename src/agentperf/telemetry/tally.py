"""A sum that threads and finalizers add to."""

from __future__ import annotations

import threading

from agentperf.abc.telemetry import FOLD_AT


class Tally:
    """An exact sum that any thread adds to, at any moment, without waiting."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[int] = []
        self._sum = 0

    def add(self, number: int = 1) -> None:
        """Add to the sum."""
        self._pending.append(number)
        if len(self._pending) >= FOLD_AT and self._lock.acquire(blocking=False):
            try:
                self._fold()
            finally:
                self._lock.release()

    def total(self) -> int:
        """Return the sum of everything added so far."""
        with self._lock:
            self._fold()
            return self._sum

    def _fold(self) -> None:
        batch = self._pending[:]
        del self._pending[: len(batch)]
        self._sum += sum(batch)
