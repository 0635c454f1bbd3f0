"""How long the answers of an operation are, learned from those there were."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left, insort
from collections import deque

KEPT = 64
"""How many answers are remembered: the last ones."""
ENOUGH = 8
"""So many answers tell something."""
QUANTILE = 0.9
"""The share of answers that is no longer than what is expected."""


class Outputs:
    """The lengths of the last answers of one operation, in tokens.

    The quantile is that of the nearest rank: one of the lengths there really were.

    Attributes:
        expected: How long the next answer probably is at most; None while too little is known.
    """

    __slots__ = ("_last", "_lock", "_sorted", "expected")

    def __init__(self) -> None:
        self.expected: int | None = None
        self._lock = threading.Lock()
        self._last: deque[int] = deque()
        self._sorted: list[int] = []

    def note(self, tokens: int) -> None:
        """Remember how long an answer was."""
        with self._lock:
            if len(self._last) == KEPT:
                del self._sorted[bisect_left(self._sorted, self._last.popleft())]
            self._last.append(tokens)
            insort(self._sorted, tokens)
            if len(self._last) >= ENOUGH:
                self.expected = self._sorted[math.ceil(QUANTILE * len(self._sorted)) - 1]
