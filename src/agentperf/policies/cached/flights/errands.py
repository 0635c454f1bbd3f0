"""Work that no caller waits for, in a few threads."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable

_THREADS = 4


class Errands:
    """Runs what blocks beside the calls of a host, a few at a time.

    There is no queue: what finds no thread free is not begun, and whoever needs it asks again.
    """

    def __init__(self, most: int = _THREADS, name: str = "agentperf-refresh") -> None:
        self._name = name
        self._free = threading.Semaphore(most)

    def begin(self, work: Callable[[], object]) -> bool:
        """Run `work`, which must not raise, in a copy of this context; False if none is free."""
        if not self._free.acquire(blocking=False):
            return False

        def run() -> None:
            try:
                context.run(work)
            finally:
                self._free.release()

        context = contextvars.copy_context()
        try:
            threading.Thread(target=run, name=self._name, daemon=True).start()
        except RuntimeError:  # the interpreter is shutting down, or there are no more threads
            self._free.release()
            return False
        return True
