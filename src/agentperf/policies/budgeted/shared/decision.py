"""A budget as a decision of a store: who may begin a call, and what everybody has spent.

A record is when the budget began and what was spent since, by all processes, and then, for each
process, what was counted of what it told. A process always tells its totals since it began, which
only grow; what exceeds those counted already is new. So nothing is counted twice, however often or
in whichever order it is told, and nothing is lost where an answer was.

All numbers are whole: microseconds, tokens, and billionths of a dollar. Below 2**53 both languages
reckon alike to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from agentperf.abc.stores import Decision, Record

MICRO = 1_000_000
NANO = 10**9

LEASE = 300.0
"""Seconds after which what a silent process keeps free for its calls is free for others."""

FORGOTTEN = 900.0
"""Seconds after which a silent process is forgotten."""

KEPT = 30 * 86400.0
"""Seconds that a budget without a period is remembered for after it was last asked."""

AHEAD = MICRO
"""Microseconds; what is further in the future was written before the clock was set back."""

_HEAD = 5
_ENTRY = 11
_SPENT = 4
"""Of the totals of a process, so many are spent; the others are what it keeps free."""


class Purpose(IntEnum):
    """What a process asks for."""

    BEGIN = 0
    """To begin a call."""
    TELL = 1
    """Nothing: it tells what it spent, and is told how things stand."""
    RESET = 2
    """That nothing is spent."""


class Status(IntEnum):
    """What became of it."""

    DONE = 0
    NO_CALLS = 1
    NO_TOKENS = 2
    NO_MONEY = 3
    VOID = 4
    """The process had given it up before it came."""


class Allowed(NamedTuple):
    """What a budget allows; -1 where it doesn't limit that."""

    calls: int = -1
    tokens: int = -1
    nano: int = -1


class Want(NamedTuple):
    """What a call needs to begin.

    Attributes:
        calls: 1, or 0 where it takes the place of one that is counted already.
        tokens: What it is going to spend at least.
        nano: The same, in billionths of a dollar.
        freed_tokens: What was kept free for the call whose place it takes.
        freed_nano: The same, in billionths of a dollar.
    """

    calls: int = 0
    tokens: int = 0
    nano: int = 0
    freed_tokens: int = 0
    freed_nano: int = 0


NO_CALL = Want()


class Totals(NamedTuple):
    """All that a process ever did with a budget; none of it ever shrinks.

    Attributes:
        calls: Calls that it began.
        returned: Those of them that were none after all.
        tokens: Tokens that it spent.
        nano: Billionths of a dollar that it spent.
        held_tokens: Tokens that it kept free for calls.
        freed_tokens: Those of them that are free again.
        held_nano: Billionths of a dollar that it kept free for calls.
        freed_nano: Those of them that are free again.
    """

    calls: int = 0
    returned: int = 0
    tokens: int = 0
    nano: int = 0
    held_tokens: int = 0
    freed_tokens: int = 0
    held_nano: int = 0
    freed_nano: int = 0

    def with_call(self, want: Want) -> Totals:
        """Return the totals with a call more."""
        return self._replace(
            calls=self.calls + want.calls,
            held_tokens=self.held_tokens + want.tokens,
            freed_tokens=self.freed_tokens + want.freed_tokens,
            held_nano=self.held_nano + want.nano,
            freed_nano=self.freed_nano + want.freed_nano,
        )

    def without_call(self, want: Want) -> Totals:
        """Return the totals with such a call taken back."""
        return self._replace(
            returned=self.returned + want.calls,
            held_tokens=self.held_tokens + want.freed_tokens,
            freed_tokens=self.freed_tokens + want.tokens,
            held_nano=self.held_nano + want.freed_nano,
            freed_nano=self.freed_nano + want.nano,
        )

    def at_least(self, other: Totals) -> Totals:
        """Return the larger of each."""
        return Totals(*map(max, self, other))


class Figures(NamedTuple):
    """What is known of a budget over all processes.

    Attributes:
        at: When, in microseconds of the store's time.
        began: When it began; 0 while nothing was spent.
        begun: Calls that were begun.
        returned: Those of them that were none after all.
        tokens: Tokens that were spent.
        nano: Billionths of a dollar that were spent.
        held_tokens: Tokens that are kept free for calls under way.
        held_nano: Billionths of a dollar that are kept free for them.
    """

    at: int = 0
    began: int = 0
    begun: int = 0
    returned: int = 0
    tokens: int = 0
    nano: int = 0
    held_tokens: int = 0
    held_nano: int = 0

    @property
    def calls(self) -> int:
        """Calls that were made."""
        return max(0, self.begun - self.returned)


def arguments(
    purpose: Purpose,
    allowed: Allowed,
    per: float | None,
    *,
    holder: int,
    serial: int,
    floor: int,
    known: Figures,
    told: Totals,
    counted: Totals,
    want: Want,
    lease: float = LEASE,
) -> tuple[float, ...]:
    """Return what the decision takes.

    Args:
        purpose: What is asked for.
        allowed: What the budget allows.
        per: Seconds after which it begins anew; None for never.
        holder: The number of the process.
        serial: The number of the question; each is asked under a higher one.
        floor: The process waits for no answer to a question up to this number any more.
        known: What it knows of the budget. A store that has forgotten it goes on from there.
        told: All that it did.
        counted: What of that it knows to be counted.
        want: What a call needs.
        lease: See `LEASE`.
    """
    times = (0 if per is None else round(per * MICRO), round(lease * MICRO))
    return tuple(
        map(
            float,
            (
                *(purpose, holder, serial, floor, *times, round(FORGOTTEN * MICRO)),
                *allowed,
                *known[1 : 1 + _HEAD],
                *told,
                *counted[:_SPENT],
                *want,
            ),
        )
    )


def _apply(
    record: Record | None, arguments: Sequence[float], now: float
) -> tuple[Record, tuple[float, ...]]:
    """Count what is new, and let a call in if there is enough left.

    The answer is a status and the figures.
    """
    purpose, holder, serial, floor, per, lease, forgotten = arguments[0:7]
    limits, known = arguments[7:10], arguments[10:15]
    told, counted, want = arguments[15:23], arguments[23:27], arguments[27:32]
    tick = float(math.floor(now * MICRO + 0.5))
    if record is None or len(record) < _HEAD or (len(record) - _HEAD) % _ENTRY:
        record = (0.0,) * _HEAD
    began, spent = _spent(record, known, per, tick)
    own, others, held = _holders(record, holder, tick, lease, forgotten)
    own = own or (holder, tick, floor, *counted, *told[_SPENT:])
    floor = max(floor, own[2])
    more = [max(0.0, number - before) for number, before in zip(told, own[3:], strict=True)]
    totals = [before + number for number, before in zip(more, own[3:], strict=True)]
    spent = [before + number for before, number in zip(spent, more[:_SPENT], strict=True)]
    held = [held[0] + (totals[4] - totals[5]), held[1] + (totals[6] - totals[7])]
    is_used = more[0] + more[2] + more[3] > 0
    status = Status.DONE
    if serial <= floor:
        status = Status.VOID
    elif purpose == Purpose.RESET:
        began, spent = max(tick, began + 1), [0.0] * _SPENT
    elif purpose == Purpose.BEGIN:
        status = _judged(limits, spent, held, want)
        if status is Status.DONE:
            is_used = True
            spent[0] += want[0]
            for place, number in zip((0, 4, 6, 5, 7), want, strict=True):
                totals[place] += number
            held = [held[0] + (want[1] - want[3]), held[1] + (want[2] - want[4])]
    if is_used and began == 0:
        began = tick
    after = (began, *spent, holder, tick, floor, *totals, *others)
    return after, (float(status), tick, began, *spent, *held)


def _spent(
    record: Record, known: Sequence[float], per: float, tick: float
) -> tuple[float, list[float]]:
    """Return when the budget began, and what is spent of it, by all that is known."""
    began, *spent = record[:_HEAD]
    if began > 0 and known[0] > tick + AHEAD:
        known = (0.0,) * _HEAD
    if known[0] > began:
        began, *spent = known
    elif known[0] == began and began > 0:
        spent = list(map(max, spent, known[1:]))
    if began > tick + AHEAD:  # the clock was set back: a period lasts no longer for that
        began = tick
    if per > 0 and began > 0 and tick >= began + per:
        return 0.0, [0.0] * _SPENT
    return began, spent


def _holders(
    record: Record, holder: float, tick: float, lease: float, forgotten: float
) -> tuple[Sequence[float], list[float], list[float]]:
    """Return the entry of a process, those of others, and what these keep free."""
    own: Sequence[float] = ()
    others, held = list[float](), [0.0, 0.0]
    for at in range(_HEAD, len(record), _ENTRY):
        entry = record[at : at + _ENTRY]
        seen = min(entry[1], tick)
        if entry[0] == holder:
            own = entry
        elif seen + forgotten > tick:
            others.extend((entry[0], seen, *entry[2:]))
            if seen + lease > tick:
                held = [held[0] + (entry[7] - entry[8]), held[1] + (entry[9] - entry[10])]
    return own, others, held


def _judged(
    limits: Sequence[float], spent: Sequence[float], held: Sequence[float], want: Sequence[float]
) -> Status:
    """Tell whether a call may begin."""
    calls = max(0.0, spent[0] - spent[1])
    if limits[0] >= 0 and want[0] > 0 and calls + want[0] > limits[0]:
        return Status.NO_CALLS
    for limit, used, kept, need, freed, status in (
        (limits[1], spent[2], held[0], want[1], want[3], Status.NO_TOKENS),
        (limits[2], spent[3], held[1], want[2], want[4], Status.NO_MONEY),
    ):
        left = limit - used - kept + freed
        if limit >= 0 and (left <= 0 or need > left):
            return status
    return Status.DONE


_LUA = """
local purpose, holder, serial, floor = arguments[1], arguments[2], arguments[3], arguments[4]
local per, lease, forgotten = arguments[5], arguments[6], arguments[7]
local tick = math.floor(now * 1000000 + 0.5)
if not record or #record < 5 or (#record - 5) % 11 ~= 0 then record = {0, 0, 0, 0, 0} end
local began, known, spent = record[1], arguments[11], {}
if began > 0 and known > tick + 1000000 then known = 0 end
for place = 1, 4 do
  spent[place] = record[place + 1]
  if known > began then
    spent[place] = arguments[place + 11]
  elseif known == began and began > 0 then
    spent[place] = math.max(spent[place], arguments[place + 11])
  end
end
began = math.max(began, known)
if began > tick + 1000000 then began = tick end
if per > 0 and began > 0 and tick >= began + per then began, spent = 0, {0, 0, 0, 0} end
local own, others, held_tokens, held_nano = nil, {}, 0, 0
for at = 5, #record - 1, 11 do
  local seen = math.min(record[at + 2], tick)
  if record[at + 1] == holder then
    own = {holder, tick, math.max(floor, record[at + 3])}
    for place = 4, 11 do own[place] = record[at + place] end
  elseif seen + forgotten > tick then
    for place = 1, 11 do others[#others + 1] = place == 2 and seen or record[at + place] end
    if seen + lease > tick then
      held_tokens = held_tokens + (record[at + 8] - record[at + 9])
      held_nano = held_nano + (record[at + 10] - record[at + 11])
    end
  end
end
if not own then
  own = {holder, tick, floor}
  for place = 1, 4 do own[place + 3] = arguments[place + 23] end
  for place = 5, 8 do own[place + 3] = arguments[place + 15] end
end
local more = {}
for place = 1, 8 do
  more[place] = math.max(0, arguments[place + 15] - own[place + 3])
  own[place + 3] = own[place + 3] + more[place]
end
for place = 1, 4 do spent[place] = spent[place] + more[place] end
local used = more[1] + more[3] + more[4] > 0
held_tokens = held_tokens + (own[8] - own[9])
held_nano = held_nano + (own[10] - own[11])
local status = 0
if serial <= own[3] then
  status = 4
elseif purpose == 2 then
  began, spent = math.max(tick, began + 1), {0, 0, 0, 0}
elseif purpose == 0 then
  local wanted, want_tokens, want_nano = arguments[28], arguments[29], arguments[30]
  local freed_tokens, freed_nano = arguments[31], arguments[32]
  local left_tokens = arguments[9] - spent[3] - held_tokens + freed_tokens
  local left_nano = arguments[10] - spent[4] - held_nano + freed_nano
  local calls = math.max(0, spent[1] - spent[2])
  if arguments[8] >= 0 and wanted > 0 and calls + wanted > arguments[8] then
    status = 1
  elseif arguments[9] >= 0 and (left_tokens <= 0 or want_tokens > left_tokens) then
    status = 2
  elseif arguments[10] >= 0 and (left_nano <= 0 or want_nano > left_nano) then
    status = 3
  else
    spent[1], own[4] = spent[1] + wanted, own[4] + wanted
    own[8], own[10] = own[8] + want_tokens, own[10] + want_nano
    own[9], own[11] = own[9] + freed_tokens, own[11] + freed_nano
    held_tokens = held_tokens + (want_tokens - freed_tokens)
    held_nano = held_nano + (want_nano - freed_nano)
    used = true
  end
end
if used and began == 0 then began = tick end
local after = {began, spent[1], spent[2], spent[3], spent[4]}
for place = 1, 11 do after[place + 5] = own[place] end
for place = 1, #others do after[place + 16] = others[place] end
return after, {
  status, tick, began, spent[1], spent[2], spent[3], spent[4], held_tokens, held_nano
}
"""

SHARED_BUDGET = Decision("budget", _apply, {"lua": _LUA})
"""Counts what processes spent, and lets a call in as far as the budget allows."""
