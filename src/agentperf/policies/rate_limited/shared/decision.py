"""All rates of a limit as one decision of a store: the same algorithm as `gcra`, with levels.

A record is the time of its last decision and a level for each rate: how far the theoretical arrival
time lay ahead of it then. Times are whole microseconds, levels are multiplied by the `limit` of
their rate, as in `gcra`: all numbers stay whole, and so both languages reckon alike to the last
bit. (Beyond 2**53, for odd rates per day such as "999983/day", the last digits are rounded.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agentperf._base.rates import Rate
from agentperf.abc.stores import Decision, Record
from agentperf.policies.rate_limited.bucket import Limits, Need

MICRO = 1_000_000
_FIELDS = 5
_LEAST_LIFE = 60.0


@dataclass(frozen=True, slots=True)
class Owed:
    """What calls that ended left to be put right, of each dimension.

    Attributes:
        unused: What they took and did not use.
        excess: What they used beyond that.
    """

    unused: Need = (0, 0, 0, 0)
    excess: Need = (0, 0, 0, 0)


NOTHING_OWED = Owed()


@dataclass(frozen=True, slots=True)
class Term:
    """One rate in the numbers of the decision.

    Attributes:
        dimension: What it counts, by its place in `DIMENSIONS`.
        rate: The rate as it was written.
        limit: What a level falls by in a microsecond.
        period: What one unit raises it by.
        room: How high it may stand.
    """

    dimension: int
    rate: Rate
    limit: int
    period: int
    room: int

    def remaining(self, level: float) -> int:
        """Return how many units fit on a level; less than nothing while there is a debt."""
        return math.floor((self.room - level) / self.period)


class Terms:
    """The rates of a limit, and what the decision is told of a call.

    Args:
        limits: What is allowed.
    """

    def __init__(self, limits: Limits) -> None:
        self.each = tuple(
            _term(dimension, rate, limits.burst if dimension == 0 else None)
            for dimension, rates in enumerate(limits.rates)
            for rate in rates
        )
        self.identity = tuple((t.dimension, t.limit, t.period, t.room) for t in self.each)
        """Tells limits apart that can't share a record."""
        longest = max((t.room / t.limit / MICRO for t in self.each), default=0.0)
        self.ttl = max(_LEAST_LIFE, 2 * longest)
        """Seconds after which nothing is left of a record: twice what a full one takes."""

    def arguments(self, need: Need, owed: Owed = NOTHING_OWED) -> tuple[float, ...]:
        """Return what the decision takes for a call of this size."""
        return tuple(
            float(number)
            for term in self.each
            for number in (
                term.limit,
                term.room,
                need[term.dimension] * term.period,
                owed.unused[term.dimension] * term.period,
                owed.excess[term.dimension] * term.period,
            )
        )


def _term(dimension: int, rate: Rate, burst: int | None) -> Term:
    period = round(rate.period * MICRO)
    common = math.gcd(rate.limit, period)
    room = (rate.limit if burst is None else burst) * (period // common)
    return Term(dimension, rate, rate.limit // common, period // common, room)


def _apply(
    record: Record | None, arguments: Sequence[float], now: float
) -> tuple[Record, tuple[float, ...]]:
    """Let levels fall, put right what is owed, and take what is needed if all of it fits.

    The answer is the microseconds to wait (0: it was taken), the number of the rate that is waited
    for longest (-1 for none), and the levels.
    """
    count = len(arguments) // _FIELDS
    tick = float(math.floor(now * MICRO + 0.5))
    if record is None or len(record) != count + 1:
        record = (tick, *[0.0] * count)
    passed = max(0.0, tick - record[0])
    levels, wait, tightest = [], 0.0, -1.0
    for at in range(count):
        limit, room, cost, unused, excess = arguments[_FIELDS * at : _FIELDS * (at + 1)]
        level = max(0.0, record[at + 1] - passed * limit)
        level = max(0.0, level - unused) + excess
        levels.append(level)
        later = float(math.ceil((level + cost - room) / limit))
        if later > wait:
            wait, tightest = later, float(at)
    if wait == 0:
        levels = [level + arguments[_FIELDS * at + 2] for at, level in enumerate(levels)]
    return (tick, *levels), (wait, tightest, *levels)


_LUA = """
local count = #arguments / 5
local tick = math.floor(now * 1000000 + 0.5)
if not record or #record ~= count + 1 then
  record = {tick}
  for at = 1, count do record[at + 1] = 0 end
end
local passed = math.max(0, tick - record[1])
local levels, wait, tightest = {}, 0, -1
for at = 1, count do
  local first = 5 * (at - 1)
  local limit, room, cost = arguments[first + 1], arguments[first + 2], arguments[first + 3]
  local unused, excess = arguments[first + 4], arguments[first + 5]
  local level = math.max(0, record[at + 1] - passed * limit)
  level = math.max(0, level - unused) + excess
  levels[at] = level
  local later = math.ceil((level + cost - room) / limit)
  if later > wait then wait, tightest = later, at - 1 end
end
local after, answer = {tick}, {wait, tightest}
for at = 1, count do
  if wait == 0 then levels[at] = levels[at] + arguments[5 * (at - 1) + 3] end
  after[at + 1], answer[at + 2] = levels[at], levels[at]
end
return after, answer
"""

GCRA = Decision("gcra", _apply, {"lua": _LUA})
"""Takes what a call needs of all rates at once or of none."""
