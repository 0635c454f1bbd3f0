"""By how much the memory in use grew during calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemoryGrowth:
    """Growth of the memory in use, over the calls in which it was measured.

    Attributes:
        count: Number of calls measured.
        total_bytes: Growth of all of them added up; calls that freed memory count negative.
        max_bytes: The largest growth in one call; None while none was measured.
    """

    count: int = 0
    total_bytes: int = 0
    max_bytes: int | None = None

    @property
    def mean_bytes(self) -> float:
        """Average growth per measured call; 0 while there is none."""
        return self.total_bytes / self.count if self.count else 0.0

    def with_deltas(self, deltas: list[int]) -> MemoryGrowth:
        """Return this growth with more calls measured, each by its change in bytes."""
        if not deltas:
            return self
        return self.merge(MemoryGrowth(len(deltas), sum(deltas), max(deltas)))

    def merge(self, other: MemoryGrowth) -> MemoryGrowth:
        """Return the growth over the calls of both."""
        peaks = [peak for peak in (self.max_bytes, other.max_bytes) if peak is not None]
        return MemoryGrowth(
            self.count + other.count,
            self.total_bytes + other.total_bytes,
            max(peaks, default=None),
        )
