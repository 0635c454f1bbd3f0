"""Who has how many places, as one decision of a store.

A process doesn't say what changed but how things stand: so many places are taken here, and so many
more are wanted. Whatever got lost, or was done twice, is put right by its next statement. They are
numbered, so that one that comes late changes nothing.

A record is six numbers for each process: who it is, the number of its last statement and when that
was, how many places it has, how many more it waits for, and since when. Who made no statement for
the time of a lease is gone, and its places are free.

Places go to whoever asks first. But while another process waits that has less than an equal share,
its part is kept for it, and of several such the one that got nothing for longest comes first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agentperf.abc.stores import Decision, Record

LASTS = 15.0
"""Seconds after which the places are free of a process that doesn't say any more how it stands."""

TURNS = 3
"""How often a process says that in this time."""

CLAIM = 1.0
"""Seconds for which something is kept for a process that waits; it asks much more often."""

NOBODY = 0.0
"""Who only looks."""

WHOLE = float(2**53)
"""More than there ever are."""

_FIELDS = 6


@dataclass(frozen=True, slots=True)
class Terms:
    """What all statements of a bulkhead have in common.

    Attributes:
        limit: How many places there are.
        lasts: Seconds after which a process that says nothing is gone.
    """

    limit: int
    lasts: float = LASTS

    @property
    def renewed_every(self) -> float:
        """Seconds after which a process says again how it stands."""
        return self.lasts / TURNS

    @property
    def ttl(self) -> float:
        """Seconds after which nothing is left of a record."""
        return 2 * self.lasts

    def arguments(
        self,
        holder: float = NOBODY,
        number: int = 0,
        have: int = 0,
        wants: int = 0,
        stay: int | None = None,
    ) -> tuple[float, ...]:
        """Return what the decision takes.

        Args:
            holder: Who states it.
            number: Which of its statements it is.
            have: How many places are taken there.
            wants: How many more are wanted.
            stay: How many of those who get none wait for one; None for all of them.
        """
        waits = WHOLE if stay is None else float(stay)
        numbers = (self.limit, self.lasts, CLAIM, holder, number, have, wants, waits)
        return tuple(map(float, numbers))


def _apply(
    record: Record | None, arguments: Sequence[float], now: float
) -> tuple[Record | None, tuple[float, ...]]:
    """Take down how things stand with a process, and grant it what there is for it.

    The answer is how many places it has now, how many the others have, and how many they wait for.
    """
    limit, lasts, claim, holder, number, have, wants, stay = arguments
    others, own = _standing(record or (), holder, lasts, claim, now)
    taken, waiting = sum(one[3] for one in others), sum(one[4] for one in others)
    if holder == NOBODY or (own is not None and number <= own[1]):
        count = 0.0 if own is None else own[3]
        return record, (count, float(taken), float(waiting))
    since = own[5] if own is not None and own[4] > 0 else now
    active = 1 + sum(1 for one in others if one[3] + one[4] > 0)
    share = math.floor((limit + active - 1) / active)
    room = limit - taken - have
    ahead = claimed = 0.0
    for who, _, _, count, wanted, waits_since in others:
        kept = max(0.0, min(wanted, share - count))
        claimed += kept
        if (waits_since, who) < (since, holder):
            ahead += kept
    fair = max(0.0, min(wants, share - have, room - ahead))
    granted = fair + max(0.0, min(wants - fair, room - fair - claimed))
    waits = min(wants - granted, stay)
    since = since if granted == 0 else now
    after = [number for one in others for number in one]
    after += [holder, number, now, have + granted, waits, since]
    return tuple(after), (have + granted, float(taken), float(waiting))


def _standing(
    record: Record, holder: float, lasts: float, claim: float, now: float
) -> tuple[list[Record], Record | None]:
    """Return who else is there, and the holder's own entry."""
    own: Record | None = None
    others: list[Record] = []
    for at in range(0, len(record) - _FIELDS + 1, _FIELDS):
        who, number, seen, count, wanted, since = record[at : at + _FIELDS]
        # A clock that was set back: what it says of the future is taken for now.
        seen, since = min(seen, now), min(since, now)
        if now - seen <= lasts:
            wanted = wanted if now - seen <= claim else 0.0
            entry = (who, number, seen, count, wanted, since)
            if who == holder:
                own = entry
            else:
                others.append(entry)
    return others, own


_LUA = """
local limit, lasts, claim, holder = arguments[1], arguments[2], arguments[3], arguments[4]
local number, have, wants, stay = arguments[5], arguments[6], arguments[7], arguments[8]
local others, own, taken, waiting, active = {}, nil, 0, 0, 1
for at = 1, #(record or {}) - 5, 6 do
  local entry = {}
  for field = 0, 5 do entry[field + 1] = record[at + field] end
  entry[3], entry[6] = math.min(entry[3], now), math.min(entry[6], now)
  if now - entry[3] <= lasts then
    if now - entry[3] > claim then entry[5] = 0 end
    if entry[1] == holder then own = entry
    else
      others[#others + 1] = entry
      taken, waiting = taken + entry[4], waiting + entry[5]
      if entry[4] + entry[5] > 0 then active = active + 1 end
    end
  end
end
if holder == 0 or (own and number <= own[2]) then
  return record, {own and own[4] or 0, taken, waiting}
end
local since = own and own[5] > 0 and own[6] or now
local share = math.floor((limit + active - 1) / active)
local room, ahead, claimed, after = limit - taken - have, 0, 0, {}
for _, entry in ipairs(others) do
  local kept = math.max(0, math.min(entry[5], share - entry[4]))
  claimed = claimed + kept
  if entry[6] < since or (entry[6] == since and entry[1] < holder) then ahead = ahead + kept end
  for field = 1, 6 do after[#after + 1] = entry[field] end
end
local fair = math.max(0, math.min(wants, share - have, room - ahead))
local granted = fair + math.max(0, math.min(wants - fair, room - fair - claimed))
if granted > 0 then since = now end
local mine = {holder, number, now, have + granted, math.min(wants - granted, stay), since}
for field = 1, 6 do after[#after + 1] = mine[field] end
return after, {have + granted, taken, waiting}
"""

PLACES = Decision("places", _apply, {"lua": _LUA})
"""Grants places to processes, each of which says how many it has and how many more it wants."""
