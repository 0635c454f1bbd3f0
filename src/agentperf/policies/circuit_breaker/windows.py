"""What a breaker remembers of recent calls: the last so many, or those of the last seconds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import repeat
from typing import Protocol, Self

Batch = tuple[float, float, float, float]
"""Calls that ended together: how many seconds ago, how many, and how many failed or were slow."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Figures over a window.

    Attributes:
        calls: Calls that ended.
        failures: Those that failed.
        slow: Those that took too long.
    """

    calls: int = 0
    failures: int = 0
    slow: int = 0

    @property
    def failure_rate(self) -> float:
        """The share of failures, 0 to 1."""
        return self.failures / self.calls if self.calls else 0.0

    @property
    def slow_rate(self) -> float:
        """The share of slow calls, 0 to 1."""
        return self.slow / self.calls if self.calls else 0.0


class Window(Protocol):
    """Remembers how recent calls ended."""

    @property
    def calls(self) -> int:
        """How many calls are remembered."""
        ...

    @property
    def failures(self) -> int:
        """How many of them failed."""
        ...

    @property
    def slow(self) -> int:
        """How many of them took too long."""
        ...

    def record(self, now: float, *, failed: bool, slow: bool) -> None:
        """Add a call that ended now."""

    def succeed(self, times: list[float]) -> None:
        """Add calls that ended well, at these times."""

    def expire(self, now: float) -> None:
        """Forget what is too old."""

    def batches(self, now: float) -> list[Batch]:
        """Return what is remembered, for those who remember it elsewhere; oldest first."""
        ...

    def absorb(self, later: Self) -> None:
        """Add the calls of a window of the same kind that began when this one ended."""


_WELL = (False, False)


class CountWindow:
    """The last `size` calls."""

    __slots__ = ("_ring", "_size", "failures", "slow")

    def __init__(self, size: int) -> None:
        self._size = size
        self._ring: deque[tuple[bool, bool]] = deque(maxlen=size)
        self.failures = self.slow = 0

    @property
    def calls(self) -> int:
        """How many calls are remembered."""
        return len(self._ring)

    def record(self, now: float, *, failed: bool, slow: bool) -> None:
        """Add a call, and forget the oldest where there are too many."""
        self._make_room(1)
        self._ring.append((failed, slow))
        self.failures += failed
        self.slow += slow

    def succeed(self, times: list[float]) -> None:
        """Add calls that ended well."""
        self._make_room(len(times))
        self._ring.extend(repeat(_WELL, len(times)))

    def _make_room(self, places: int) -> None:
        if self.failures or self.slow:  # else whatever falls out of the ring is a success
            for _ in range(min(len(self._ring), len(self._ring) + places - self._size)):
                failed, slow = self._ring.popleft()
                self.failures -= failed
                self.slow -= slow

    def expire(self, now: float) -> None:
        """Calls don't grow old here."""

    def batches(self, now: float) -> list[Batch]:
        """Return all calls as one batch of no age."""
        return [(0.0, float(self.calls), float(self.failures), float(self.slow))] * bool(self.calls)

    def absorb(self, later: CountWindow) -> None:
        """Add the calls of a later window, which go before those here."""
        self._make_room(later.calls)
        self._ring.extend(later._ring)
        self.failures += later.failures
        self.slow += later.slow


class TimeWindow:
    """The calls of the last `seconds`, in buckets of a tenth of that."""

    __slots__ = ("_buckets", "_width", "calls", "failures", "slow")

    BUCKETS = 10

    def __init__(self, seconds: float) -> None:
        self._width = seconds / self.BUCKETS
        self._buckets: deque[list[int]] = deque()
        self.calls = self.failures = self.slow = 0

    def record(self, now: float, *, failed: bool, slow: bool) -> None:
        """Add a call to the bucket of its time."""
        self.expire(now)
        tick = int(now / self._width)
        if not self._buckets or self._buckets[-1][0] != tick:
            self._buckets.append([tick, 0, 0, 0])
        bucket = self._buckets[-1]
        bucket[1] += 1
        bucket[2] += failed
        bucket[3] += slow
        self.calls += 1
        self.failures += failed
        self.slow += slow

    def succeed(self, times: list[float]) -> None:
        """Add calls that ended well, at these times."""
        for when in times:
            self.record(when, failed=False, slow=False)

    def expire(self, now: float) -> None:
        """Forget the buckets that are too old."""
        oldest = int(now / self._width) - self.BUCKETS
        while self._buckets and self._buckets[0][0] <= oldest:
            _, calls, failures, slow = self._buckets.popleft()
            self.calls -= calls
            self.failures -= failures
            self.slow -= slow

    def batches(self, now: float) -> list[Batch]:
        """Return the buckets, with the time that passed since they ended."""
        self.expire(now)
        return [
            (max(0.0, now - (tick + 1) * self._width), float(calls), float(failures), float(slow))
            for tick, calls, failures, slow in self._buckets
        ]

    def absorb(self, later: TimeWindow) -> None:
        """Add the calls of a later window."""
        if self._buckets and later._buckets and self._buckets[-1][0] == later._buckets[0][0]:
            last, first = self._buckets[-1], later._buckets.popleft()
            last[1:] = [one + other for one, other in zip(last[1:], first[1:], strict=True)]
        self._buckets.extend(later._buckets)
        self.calls += later.calls
        self.failures += later.failures
        self.slow += later.slow


def tally_of(window: Window) -> Tally:
    """Return the figures of a window."""
    return Tally(window.calls, window.failures, window.slow)
