"""What a limiter does after an upstream refused: all calls pause, then go slower for a while.

Downward at once, upward slowly: each refusal takes a quarter of the rate, and time without one
brings it back in small steps (additive increase, multiplicative decrease, as in RFC 5681).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from agentperf._base.rates import Rate
from agentperf._engine.pushback import Left
from agentperf.policies.rate_limited.gcra import NANO, Gcra
from agentperf.policies.rate_limited.replies import Lesson

LESS = 0.75
"""What a refusal leaves of the rate."""
LEAST = 0.1
"""The rate is never slower than this share of what the user wrote."""
MORE = 0.05
"""The share that each quiet stretch gives back."""
STRETCH = 5 * NANO
"""How long a quiet stretch is. Refusals within one have the same cause, and count once."""

LATER = NANO
"""A pause that grows by less is no news: of many calls under way each brings its own refusal."""

Rates = Sequence[tuple[int, Gcra]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change:
    """What a reply changed.

    Attributes:
        old: The share of its rates at which calls went.
        new: The share at which they go now.
        pause: Seconds for which none goes.
        reason: Why, in a few fixed words.
    """

    old: float
    new: float
    pause: float
    reason: str


def change(lesson: Lesson, shares: tuple[float, float], pauses: tuple[int, int]) -> Change | None:
    """Return what a reply changed; None where that is no news.

    Args:
        lesson: What the reply asks for.
        shares: The share of the rates before and after.
        pauses: The nanoseconds of pause that were to come before and after.
    """
    (old, new), (before, pause) = shares, pauses
    longer = pause > 0 and (before <= 0 or pause >= before + LATER)
    if new >= old and not longer:
        return None
    return Change(old, new, pause / NANO, REFUSED if lesson.refused else ASKED)


REFUSED = "the upstream refused a call"
ASKED = "the upstream asked for a pause"


class Caution:
    """How careful a limiter is with one key. Whoever keeps it locks; times are nanoseconds.

    Attributes:
        share: The share of its rates at which calls go now.
    """

    __slots__ = ("_changed", "_paused", "_slowed", "share")

    def __init__(self) -> None:
        self.share = 1.0
        self._paused = 0
        self._slowed: int | None = None
        self._changed = 0

    def heed(self, now: int, lesson: Lesson, rates: Rates) -> Change | None:
        """Do what a reply asks for; return what that changed, where it is news."""
        share, pause = self.share, self.pause(now)
        if lesson.wait is not None:
            self._paused = max(self._paused, now + round(lesson.wait * NANO))
            # Only quiet time counts, and a pause is no proof of anything.
            self._changed = max(self._changed, self._paused)
        if lesson.refused:
            self._slow_down(now, rates)
            until = max(now, self._paused)
            for dimension, gcra in rates:
                # Those who wait must not all come at once when the pause is over.
                if dimension == 0:
                    gcra.keep(until, 1 if until > now else 0)
        return change(lesson, (share, self.share), (pause, self.pause(now)))

    def pause(self, now: int) -> int:
        """Return how long no call may go, from now."""
        return max(0, self._paused - now)

    def over(self, now: int, rates: Rates) -> bool:
        """Let the rates recover as time has passed; tell whether all is as it was before."""
        if self._paused > now:
            return False
        stretches = (now - self._changed) // STRETCH
        if self.share < 1.0 and stretches > 0:
            self._changed += stretches * STRETCH
            self._go_at(now, min(1.0, self.share + MORE * stretches), rates)
        return self.share >= 1.0

    def _slow_down(self, now: int, rates: Rates) -> None:
        if self._slowed is None or now >= self._slowed + STRETCH:
            self._go_at(now, max(LEAST, self.share * LESS), rates)
            self._slowed = now
        self._changed = max(now, self._paused)

    def _go_at(self, now: int, share: float, rates: Rates) -> None:
        self.share = share
        for _, gcra in rates:
            gcra.go_at(now, share)


def lower(now: int, left: Mapping[int, Left], rates: Rates) -> None:
    """Have no more left than the upstream says there is.

    Args:
        now: The time.
        left: What it says, by dimension.
        rates: The rates of a limiter, with their dimensions. Of several, the one that has the limit
            it names is meant, or else the one of the shortest period.
    """
    for dimension, told in left.items():
        meant = [(gcra, gcra.rate) for at, gcra in rates if at == dimension]
        if meant:
            closest(told, meant).keep(now, told.remaining)


def closest(told: Left, rates: Sequence[tuple[T, Rate]]) -> T:
    """Return the rate that a reply speaks of."""
    return min(rates, key=lambda one: (one[1].limit != told.limit, one[1].period))[0]
