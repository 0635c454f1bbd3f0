"""Time that passes at the scale of the demo."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from agentperf._base.clock import Clock


class ScaledClock(Clock):
    """A clock by which `scale` real seconds are one second.

    Pauses, rates and lifetimes of all policies so keep their proportion to the scaled model server.

    Args:
        scale: What all times are multiplied by.
    """

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self.now = lambda: time.monotonic() / scale
        self.now_ns = lambda: int(time.monotonic_ns() / scale)

    def alarm(
        self,
        seconds: float,
        wake: Callable[[], object],
        *,
        blocking: bool,
        passive: bool = False,
    ) -> Callable[[], None] | None:
        """Wake whoever waits on the running event loop."""
        if blocking:
            raise NotImplementedError("the demo is asynchronous: no thread waits")
        return asyncio.get_running_loop().call_later(seconds * self._scale, wake).cancel
