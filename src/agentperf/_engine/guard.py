"""What keeps calls from waiting for a backend or a store that is out of order."""

from __future__ import annotations

import threading

FIRST_PAUSE = 0.5
"""Seconds that a backend is left alone after it failed."""

LONGEST_PAUSE = 10.0
"""Seconds that it is left alone at most; the pause doubles with each try that fails."""


class Guard:
    """Knows whether a backend works, and who may ask it.

    While it works, everybody may. After a failure nobody may, but for one call each time a pause is
    over; if the backend answers that call, it works again. The pause doubles from try to try, and
    begins at its shortest again only where the backend has worked for longer than the longest one:
    one that fails every other moment is not asked, and waited for, all the time.

    Whoever is let in gets the number of the *era*, and hands it in with the outcome. Each failure
    and each try begins a new one, so that an answer, or an error, that comes late from an earlier
    era changes nothing.

    Times are monotonic seconds. It may be used by several threads at once.
    """

    def __init__(self) -> None:
        self.works = True
        self.trouble = ""
        """The class name of the error that it failed with."""
        self._era = 0
        self._pause = FIRST_PAUSE
        self._next_try = 0.0
        self._works_since = float("-inf")
        self._lock = threading.Lock()

    def admit(self, now: float) -> int | None:
        """Return the era for a call that may ask the backend, None for one that may not."""
        if self.works:
            return self._era
        with self._lock:
            if not self.works:
                if now < self._next_try:
                    return None
                # The next try is due after a pause whatever becomes of this one: it may be
                # cancelled and never tell.
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
                self._next_try = now + self._pause
                self._era += 1
            return self._era

    def failed(self, era: int, now: float, error: Exception) -> bool:
        """Take note that the backend failed; tell whether that is news."""
        with self._lock:
            if not self.works or era != self._era:
                return False
            if now - self._works_since > LONGEST_PAUSE:
                self._pause = FIRST_PAUSE
            self.works = False
            self.trouble = type(error).__name__
            self._era += 1
            self._next_try = now + self._pause
            return True

    def answered(self, era: int, now: float) -> bool:
        """Take note that the backend answered; tell whether that is news."""
        if self.works:
            return False
        with self._lock:
            if self.works or era != self._era:
                return False
            self.works = True
            self._works_since = now
            self._recovered()
            return True

    def _recovered(self) -> None:
        """It works again; called under the lock."""
