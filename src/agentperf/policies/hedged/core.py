"""When to hedge: by how long calls took lately, and whether hedging helps at all."""

from __future__ import annotations

import bisect
import math
import threading
from collections import deque

from agentperf.policies.hedged.options import HedgeOptions

WINDOW = 200
"""So many durations are remembered, the latest."""
MINIMUM = 20
"""With fewer durations than that a quantile says nothing, and nothing is hedged."""

TRIALS = 20
"""So many hedges are looked back on."""
MUST_WIN = 4
"""When fewer of those won, the whole upstream is slow: more requests don't help it."""
REST = 30.0
"""Seconds without hedges then."""


class Tally:
    """How many calls had hedges, and what became of them; safe to use from any thread.

    Attributes:
        hedged: Calls that had more than one attempt, and have ended.
        won: Those of them in which a hedge was faster.
        turned_down: Hedges that were due and that the budget did not allow.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.hedged = self.won = self.turned_down = 0

    def ended(self, *, won: bool) -> None:
        """Note the end of a call that had hedges."""
        with self._lock:
            self.hedged += 1
            self.won += won

    def refused(self) -> None:
        """Note a hedge that the budget did not allow."""
        with self._lock:
            self.turned_down += 1


class Pace:
    """How long calls took lately, and how hedging fared; safe to use from any thread."""

    def __init__(self, options: HedgeOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._latest: deque[float] = deque()
        self._in_order: list[float] = []
        self._won: deque[bool] = deque(maxlen=TRIALS)
        self._rests_until = -math.inf

    def took(self, seconds: float) -> None:
        """Note how long a first attempt took; at least so long where another one was faster."""
        with self._lock:
            if len(self._latest) == WINDOW:
                oldest = self._latest.popleft()
                del self._in_order[bisect.bisect_left(self._in_order, oldest)]
            self._latest.append(seconds)
            bisect.insort(self._in_order, seconds)

    def delay(self) -> float | None:
        """Return after how many seconds to hedge; None while that is not known."""
        quantile = self._options.quantile
        if quantile is None:
            return self._options.after
        with self._lock:
            if len(self._in_order) < MINIMUM:
                return None
            return self._in_order[math.ceil(quantile * len(self._in_order)) - 1]

    def ended(self, now: float, *, won: bool) -> bool:
        """Note whether a hedge won; return whether that is too seldom, and it rests for a while."""
        with self._lock:
            self._won.append(won)
            if len(self._won) < TRIALS or sum(self._won) >= MUST_WIN:
                return False
            self._won.clear()
            self._rests_until = now + REST
            return True

    def rests(self, now: float) -> bool:
        """Whether hedging is off, because it helped too seldom."""
        return now < self._rests_until

    def saved(self, seconds: float) -> float:
        """Estimate how much longer a call would have taken that took longer than `seconds`.

        The mean of the durations beyond that which are remembered; 0 where there is none.
        """
        with self._lock:
            longer = self._in_order[bisect.bisect_right(self._in_order, seconds) :]
        return sum(longer) / len(longer) - seconds if longer else 0.0
