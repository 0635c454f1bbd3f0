"""A rate as one number: the generic cell rate algorithm, in whole numbers.

State is the theoretical arrival time (TAT). A call of cost `c` moves it by `c` emission intervals
(`period / limit`) and is let in while it stays within `burst` intervals of now. To keep everything
in integers, times here are nanoseconds multiplied by `limit`: an interval is then `period` itself.
Both are first divided by what they have in common, which keeps the numbers small.
(ITU-T I.371; state and refunds as in throttled/throttled and redis-cell.)
"""

from __future__ import annotations

import math

from agentperf._base.rates import Rate

NANO = 1_000_000_000


class Gcra:
    """One rate for one key.

    It never lets in more than `limit * elapsed / period + burst`.

    Args:
        rate: How many per how long.
        burst: How many at once, after a rest; the whole allowance by default.
    """

    __slots__ = ("_full_period", "_limit", "_period", "_tat", "_tolerance", "burst", "rate")

    def __init__(self, rate: Rate, burst: int | None = None) -> None:
        self.rate = rate
        self.burst = rate.limit if burst is None else burst
        period = round(rate.period * NANO)
        common = math.gcd(rate.limit, period)
        self._limit = rate.limit // common
        self._period = self._full_period = period // common
        self._tolerance = self.burst * self._period
        self._tat = 0

    def wait(self, now: int, cost: int) -> int:
        """Return the nanoseconds until a call of this cost fits; 0 for now. Consumes nothing."""
        scaled = now * self._limit
        over = max(self._tat, scaled) + cost * self._period - self._tolerance - scaled
        return -(-over // self._limit) if over > 0 else 0

    def admit(self, now: int, cost: int) -> int:
        """Consume if it fits; return 0 then, else the nanoseconds until it would."""
        scaled, tat = now * self._limit, self._tat
        # On the path of every call: `max` would cost as much as all the rest.
        later = scaled if tat < scaled else tat  # noqa: FURB136
        after = later + cost * self._period
        if after <= scaled + self._tolerance:
            self._tat = after
            return 0
        return -(-(after - scaled - self._tolerance) // self._limit)

    def take(self, now: int, cost: int) -> None:
        """Consume; more than fits becomes a debt that later calls wait for."""
        self._tat = max(self._tat, now * self._limit) + cost * self._period

    def give(self, now: int, cost: int) -> None:
        """Take back what a call did not use."""
        self._tat = max(now * self._limit, self._tat - cost * self._period)

    def keep(self, now: int, most: int) -> None:
        """Have no more left than `most` at that time, which may be ahead."""
        least = self._tolerance - min(most, self.burst) * self._period
        self._tat = max(self._tat, now * self._limit + least)

    def go_at(self, now: int, share: float) -> None:
        """Go at a share of the rate from now on, with the same left as before.

        Args:
            now: The time.
            share: Above 0 and up to 1, the rate itself.
        """
        scaled, before = now * self._limit, self._period
        self._period = round(self._full_period / share)
        self._tolerance = self.burst * self._period
        if self._tat > scaled:
            self._tat = scaled - (scaled - self._tat) * self._period // before

    def remaining(self, now: int) -> int:
        """Return what fits now; less than nothing while there is a debt."""
        used = max(0, self._tat - now * self._limit)
        return (self._tolerance - used) // self._period
