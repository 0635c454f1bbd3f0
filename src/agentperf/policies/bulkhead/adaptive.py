"""How many calls an upstream bears at once, found out by how it answers."""

from __future__ import annotations

import math
import threading

_SHRINK = 0.7
"""What is left of a limit when a call was dropped."""
_SAMPLES = 10
"""So many answers at least are looked at together."""
_WARM_UP = 10
_MEMORY = 600
"""So many of these looks make up what is usual."""
_TOLERANCE = 1.5
"""How much slower than usual is no reason to slow down."""
_SMOOTHING = 0.2


class AdaptiveLimit:
    """Between two bounds: less when calls are dropped or grow slow, more while all goes well.

    Slowness is judged as in Netflix's concurrency-limits (`Gradient2Limit`): the latency of late
    beside a long moving average of it. A drop (a rate limit, an overload, a timeout) cuts the limit
    by a share at once, as the congestion control of TCP does, and once for all the calls that were
    under way then. While fewer than half of the places are in use, nothing is learnt.
    """

    def __init__(self, low: int, high: int, start: int) -> None:
        self._low = low
        self._high = high
        self._lock = threading.RLock()
        self._limit = float(start)
        self._usual = 0.0
        self._looks = 0
        self._cut_at = -math.inf
        self._forget()

    def _forget(self) -> None:
        self._count = 0
        self._sum = 0.0
        self._least = math.inf
        self._most_in_use = 0
        self._since = -math.inf

    @property
    def limit(self) -> int:
        """The limit as it is now."""
        return max(self._low, min(self._high, round(self._limit)))

    def answered(self, now: float, seconds: float, in_use: int) -> int:
        """Note how long an answer, or the first item of one, took; return the limit.

        Args:
            now: The time.
            seconds: How long it took.
            in_use: How many calls were under way when it began, itself among them.
        """
        with self._lock:
            if not self._count:
                self._since = now
            self._count += 1
            self._sum += seconds
            self._least = min(self._least, seconds)
            self._most_in_use = max(self._most_in_use, in_use)
            if self._count >= _SAMPLES and now - self._since >= 2 * self._least:
                self._look(self._sum / self._count)
                self._forget()
            return self.limit

    def dropped(self, now: float, start: float) -> int:
        """Note a call, begun at `start`, that was too much for the upstream; return the limit."""
        with self._lock:
            if start >= self._cut_at:  # those that began before the last cut say nothing new
                self._cut_at = now
                self._limit = max(float(self._low), self._limit * _SHRINK)
                self._forget()
            return self.limit

    def _look(self, recent: float) -> None:
        self._looks += 1
        weight = 1 / self._looks if self._looks <= _WARM_UP else 2 / (_MEMORY + 1)
        self._usual += (recent - self._usual) * weight
        if self._usual > 2 * recent:
            self._usual *= 0.95  # it has become faster for good: come down sooner
        if self._most_in_use * 2 < self._limit:
            return
        gradient = max(0.5, min(1.0, _TOLERANCE * self._usual / recent)) if recent > 0 else 1.0
        aim = self._limit * gradient + math.sqrt(self._limit)
        smooth = self._limit + (aim - self._limit) * _SMOOTHING
        self._limit = max(float(self._low), min(float(self._high), smooth))
