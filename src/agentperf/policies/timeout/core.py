"""How much time each step of a call may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a call may take, in seconds; None for any time.

    Attributes:
        total: The whole call; for a stream all the time that its producer takes.
        first_item: Until a stream's first item.
        gap: Between two items.
    """

    total: float | None = None
    first_item: float | None = None
    gap: float | None = None


class Progress:
    """One call under way. The time that a stream's reader takes between items doesn't count.

    Attributes:
        spent: Seconds that the call, or the producer of its stream, took so far.
        given: Whether the first item is there.
    """

    __slots__ = ("_limits", "given", "spent")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.spent = 0.0
        self.given = False

    def bound(self, *, streams: bool) -> tuple[float | None, str]:
        """Return the seconds that the next step may take, and the name of the limit that says so.

        Args:
            streams: Whether there are going to be items.
        """
        limits = self._limits
        bounds: list[tuple[float, str]] = []
        if limits.total is not None:
            bounds.append((limits.total - self.spent, "total"))
        if self.given and limits.gap is not None:
            bounds.append((limits.gap, "gap"))
        if not self.given and streams and limits.first_item is not None:
            bounds.append((limits.first_item - self.spent, "first_item"))
        if not bounds:
            return None, ""
        seconds, limit = min(bounds)
        return max(0.0, seconds), limit
