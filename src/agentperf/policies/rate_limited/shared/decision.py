"""All rates of a limit as decisions of a store: the same algorithm as `gcra`, with levels.

A record is the time of its last decision and a level for each rate: how far the theoretical arrival
time lay ahead of it then. While the upstream wants to be spared, four numbers more say what
`caution` knows in memory: the share of the rates at which levels fall, the pause that is to come,
the quiet time since a refusal, and how long ago the last one counted (-1 for never).

Times are whole microseconds, and none is a time of day: a clock that is set back keeps nobody.
Levels are multiplied by the `limit` of their rate, as in `gcra`: all numbers but the share stay
whole, and so both languages reckon alike to the last bit. (Beyond 2**53, for odd rates per day such
as "999983/day", the last digits are rounded.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agentperf._base.rates import Rate
from agentperf.abc.stores import Decision, Record
from agentperf.policies.rate_limited.bucket import Limits, Need
from agentperf.policies.rate_limited.caution import LEAST, LESS, MORE, STRETCH, closest
from agentperf.policies.rate_limited.replies import Lesson

MICRO = 1_000_000
_LEAST_LIFE = 60.0
_RECOVERY = 100.0
"""Seconds in which the slowest of all comes back to its whole rate, and a few more."""
NONE: Need = (0, 0, 0, 0)
PAUSED = -2
"""The number of what is waited for, where that is no rate but a pause."""


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

    def life(self, share: float, pause: float) -> float:
        """Return how long a record has to be kept.

        Args:
            share: The share of its rates at which it goes.
            pause: The microseconds of pause that are to come.
        """
        return self.ttl if share == 1 and pause == 0 else self.ttl + _RECOVERY + pause / MICRO

    def arguments(
        self, need: Need, owed: Owed = NOTHING_OWED, *, borrows: bool = False
    ) -> tuple[float, ...]:
        """Return what `GCRA` takes for a call of this size.

        Args:
            need: What it takes.
            owed: What is put right with it.
            borrows: Whether it is let in at a full burst where it is larger, and leaves a debt.
        """
        costs = [need[term.dimension] * term.period for term in self.each]
        return self._asking(owed, costs, looks=False, borrows=borrows)

    def looking(
        self,
        need: Need = NONE,
        owed: Owed = NOTHING_OWED,
        *,
        ahead: Need = NONE,
        borrows: bool = False,
    ) -> tuple[float, ...]:
        """Return what `GCRA` takes to tell what would become of a call.

        Args:
            need: What it would take.
            owed: What is put right with it.
            ahead: What those take who come first.
            borrows: As for `arguments`.
        """
        costs = []
        for term in self.each:
            own = need[term.dimension] * term.period
            costs.append(
                (min(own, term.room) if borrows else own) + ahead[term.dimension] * term.period
            )
        return self._asking(owed, costs, looks=True, borrows=False)

    def _asking(
        self, owed: Owed, costs: Sequence[int], *, looks: bool, borrows: bool
    ) -> tuple[float, ...]:
        numbers = [float(looks), float(borrows)]
        for term, cost in zip(self.each, costs, strict=True):
            unused = owed.unused[term.dimension] * term.period
            excess = owed.excess[term.dimension] * term.period
            numbers += map(float, (term.limit, term.room, cost, unused, excess))
        return tuple(numbers)

    def learning(self, lesson: Lesson) -> tuple[float, ...]:
        """Return what `HEED` takes to learn from a reply."""
        told: dict[int, int] = {}
        for dimension, left in lesson.left.items():
            rates = [(at, t.rate) for at, t in enumerate(self.each) if t.dimension == dimension]
            if rates:
                told[closest(left, rates)] = left.remaining
        numbers = [float(round((lesson.wait or 0.0) * MICRO)), float(lesson.refused)]
        for at, term in enumerate(self.each):
            least = -1 if at not in told else max(0, term.room - told[at] * term.period)
            one = term.period if term.dimension == 0 else 0
            numbers += map(float, (term.limit, term.room, least, one))
        return tuple(numbers)


def _term(dimension: int, rate: Rate, burst: int | None) -> Term:
    period = round(rate.period * MICRO)
    common = math.gcd(rate.limit, period)
    room = (rate.limit if burst is None else burst) * (period // common)
    return Term(dimension, rate, rate.limit // common, period // common, room)


def _as_of(
    record: Record | None, limits: Sequence[float], tick: float
) -> tuple[list[float], tuple[float, float, float, float]]:
    """Bring a record up to a time: levels have fallen, a pause has shrunk, the share has grown."""
    count = len(limits)
    if record is None or len(record) not in (count + 1, count + 5):
        record = (tick, *[0.0] * count)
    share, pause, quiet, age = record[count + 1 :] or _CALM
    passed = max(0.0, tick - record[0])
    levels = [
        max(0.0, record[at + 1] - math.floor(passed * limits[at] * share)) for at in range(count)
    ]
    quiet += max(0.0, passed - pause)
    pause = max(0.0, pause - passed)
    if age >= 0:
        age += passed
    if pause == 0 and share < 1:
        stretches = float(math.floor(quiet / _STRETCH))
        share = min(1.0, share + MORE * stretches)
        quiet -= stretches * _STRETCH
    return levels, _CALM if pause == 0 and share == 1 else (share, pause, quiet, age)


def _kept(tick: float, levels: Sequence[float], caution: Sequence[float]) -> Record:
    return (tick, *levels) if caution[0] == 1 and caution[1] == 0 else (tick, *levels, *caution)


def _take(
    record: Record | None, arguments: Sequence[float], now: float
) -> tuple[Record, tuple[float, ...]]:
    """Put right what is owed, and take what is needed if all of it fits.

    The answer is the microseconds to wait (0: it was taken), the number of the rate that is waited
    for longest (-1 for none, -2 while there is a pause), the share of the rates, the pause, and the
    levels.
    """
    looks, borrows, *each = arguments
    tick = float(math.floor(now * MICRO + 0.5))
    levels, caution = _as_of(record, each[0::5], tick)
    share, pause = caution[:2]
    wait, tightest = (pause, float(PAUSED)) if pause > 0 else (0.0, -1.0)
    for at in range(len(levels)):
        limit, room, cost, unused, excess = each[5 * at : 5 * at + 5]
        levels[at] = max(0.0, levels[at] - unused) + excess
        over = levels[at] + (min(cost, room) if borrows else cost) - room
        later = float(math.ceil(over / (limit * share)))
        if later > wait:
            wait, tightest = later, tightest if pause > 0 else float(at)
    if wait == 0 and not looks:
        levels = [level + each[5 * at + 2] for at, level in enumerate(levels)]
    return _kept(tick, levels, caution), (wait, tightest, share, pause, *levels)


def _heed(
    record: Record | None, arguments: Sequence[float], now: float
) -> tuple[Record, tuple[float, ...]]:
    """Do what a reply asks for: no more is left than it says, and after a refusal all go slower.

    The answer is the share of the rates before and after, and the pause before and after.
    """
    asked, refused, *each = arguments
    tick = float(math.floor(now * MICRO + 0.5))
    levels, (old, before, quiet, age) = _as_of(record, each[0::4], tick)
    share, pause = old, max(before, asked)
    if refused and not 0 <= age < _STRETCH:
        share, age = max(LEAST, share * LESS), 0.0
    if refused or asked > 0:
        quiet = 0.0
    for at in range(len(levels)):
        limit, room, least, one = each[4 * at : 4 * at + 4]
        levels[at] = max(levels[at], least)
        if refused and one > 0:
            # Those who wait must not all come at once when the pause is over.
            gone = float(math.ceil(pause * limit * share))
            levels[at] = max(levels[at], gone + room - (one if pause > 0 else 0.0))
    after = _kept(tick, levels, (share, pause, quiet, age))
    return after, (old, share, before, pause)


_STRETCH = float(STRETCH // 1000)
_CALM = (1.0, 0.0, 0.0, -1.0)

_LUA = """
local fields = %d
local first, second = arguments[1], arguments[2]
local count = (#arguments - 2) / fields
local function argument(at, field) return arguments[2 + fields * (at - 1) + field] end
local tick = math.floor(now * 1000000 + 0.5)
if not record or (#record ~= count + 1 and #record ~= count + 5) then
  record = {tick}
  for at = 1, count do record[at + 1] = 0 end
end
local share, pause, quiet, age = 1, 0, 0, -1
if #record == count + 5 then share, pause, quiet, age = unpack(record, count + 2) end
local passed, levels = math.max(0, tick - record[1]), {}
for at = 1, count do
  levels[at] = math.max(0, record[at + 1] - math.floor(passed * argument(at, 1) * share))
end
quiet = quiet + math.max(0, passed - pause)
pause = math.max(0, pause - passed)
if age >= 0 then age = age + passed end
if pause == 0 and share < 1 then
  local stretches = math.floor(quiet / %d)
  share = math.min(1, share + %r * stretches)
  quiet = quiet - stretches * %d
end
if pause == 0 and share == 1 then quiet, age = 0, -1 end
local function kept()
  local after = {tick}
  for at = 1, count do after[at + 1] = levels[at] end
  if share < 1 or pause > 0 then
    for at, number in ipairs({share, pause, quiet, age}) do after[count + 1 + at] = number end
  end
  return after
end
"""

_LUA_TAKE = """
local looks, borrows = first ~= 0, second ~= 0
local wait, tightest = 0, -1
if pause > 0 then wait, tightest = pause, -2 end
for at = 1, count do
  local limit, room, cost = argument(at, 1), argument(at, 2), argument(at, 3)
  levels[at] = math.max(0, levels[at] - argument(at, 4)) + argument(at, 5)
  local over = levels[at] + (borrows and math.min(cost, room) or cost) - room
  local later = math.ceil(over / (limit * share))
  if later > wait then wait, tightest = later, pause > 0 and tightest or at - 1 end
end
local answer = {wait, tightest, share, pause}
for at = 1, count do
  if wait == 0 and not looks then levels[at] = levels[at] + argument(at, 3) end
  answer[at + 4] = levels[at]
end
return kept(), answer
"""

_LUA_HEED = """
local asked, refused = first, second ~= 0
local old, before = share, pause
pause = math.max(pause, asked)
if refused and not (0 <= age and age < %d) then share, age = math.max(%r, share * %r), 0 end
if refused or asked > 0 then quiet = 0 end
for at = 1, count do
  local limit, room, one = argument(at, 1), argument(at, 2), argument(at, 4)
  levels[at] = math.max(levels[at], argument(at, 3))
  if refused and one > 0 then
    local gone = math.ceil(pause * limit * share)
    levels[at] = math.max(levels[at], gone + room - (pause > 0 and one or 0))
  end
end
return kept(), {old, share, before, pause}
"""


def _lua(body: str, fields: int) -> str:
    return _LUA % (fields, _STRETCH, MORE, _STRETCH) + body


GCRA = Decision("gcra", _take, {"lua": _lua(_LUA_TAKE, 5)})
"""Takes what a call needs of all rates at once or of none."""

HEED = Decision("heed", _heed, {"lua": _lua(_LUA_HEED % (_STRETCH, LEAST, LESS), 4)})
"""Learns from what the upstream says of its own limits."""
