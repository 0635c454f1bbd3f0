"""Where time comes from."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Real time.

    Attributes:
        now: Monotonic seconds; only differences mean anything.
        now_ns: The same in whole nanoseconds.
        wall: Seconds since the epoch, for showing to people and other machines only.
    """

    now: Callable[[], float] = staticmethod(time.monotonic)
    now_ns: Callable[[], int] = staticmethod(time.monotonic_ns)
    wall: Callable[[], float] = staticmethod(time.time)

    def alarm(
        self,
        seconds: float,
        wake: Callable[[], object],
        *,
        blocking: bool,
        passive: bool = False,
    ) -> Callable[[], None] | None:
        """Arrange for `wake` to be called in `seconds`, where this clock must do so itself.

        Real time passes without help: the answer is None, and the waiter uses its own timer.
        A clock that is moved by hand keeps the alarm and returns what takes it back.

        Args:
            seconds: How long from now.
            wake: What to call, from any thread.
            blocking: Whether the waiter is going to hold its thread.
            passive: Whether it waits for another thread's work rather than for time to pass.
        """
        return None
