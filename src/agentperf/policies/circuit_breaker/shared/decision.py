"""A circuit as one decision of a store: the same machine as in memory, for many processes at once.

A record is the circuit's version, its state, when that ends and how long it was to last, how often
it opened; then the leases of the probes that run, and what is remembered of calls, in batches. Each
change of state makes a new version. What a process tells of calls counts only for the version that
it knows, so that whoever comes late changes nothing.

Each decision makes one change at most: by request, because a round of probes lasts too long, by
what is told, or because a call wants to be the first probe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agentperf.abc.stores import Decision, Record
from agentperf.policies.circuit_breaker.machine import (
    CLOSED,
    DISABLED,
    FORCED_OPEN,
    HALF_OPEN,
    OPEN,
    SHADOW,
    Rules,
    State,
)
from agentperf.policies.circuit_breaker.windows import Batch, Tally

STATES = (CLOSED, OPEN, HALF_OPEN, FORCED_OPEN, DISABLED, SHADOW)
"""The states, by the numbers that stand for them."""

REASONS = (
    "",
    "too many failures",
    "too many slow calls",
    "its time is up",
    "the probes went well",
    "the probes failed",
    "the probes did not come back",
    "by request",
    "would open: too many failures",
    "would open: too many slow calls",
)
"""Why a decision changed something, by the numbers that stand for it; the first: it didn't."""

NO_LEASE = 0.0

_LIFE_BY_REQUEST = 7 * 86400.0
_LEAST_LIFE = 60.0
_NEVER = 2.0
"""A share that nothing reaches."""


class Known(NamedTuple):
    """What a process knows of a circuit from the store's last answer.

    Attributes:
        version: Which version; 0 where it never had an answer.
        state: The number of the state.
        left: Seconds until the state ends by itself.
        openings: How often it opened since it was closed.
    """

    version: float = 0.0
    state: float = 0.0
    left: float = 0.0
    openings: float = 0.0


class Request(NamedTuple):
    """What a process wants.

    Attributes:
        force: The number of the state that the circuit is to go to; -1 for none.
        lease: The lease of a probe that wants to run, or has ended; `NO_LEASE` for none.
        wants: Whether that probe wants to run, as 0 or 1.
        wait: Seconds for which the upstream asked to be left alone; -1 where it didn't.
    """

    force: float = -1.0
    lease: float = NO_LEASE
    wants: float = 0.0
    wait: float = -1.0


NOTHING = Request()


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store said.

    Attributes:
        known: The circuit as it is now.
        granted: Whether the probe that wanted to may run.
        reason: Why this decision changed something, one of `REASONS`.
        tally: The figures of all processes, or those that led to the change.
    """

    known: Known
    granted: bool
    reason: str
    tally: Tally

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Answer:
        """Read what the decision answered."""
        version, state, left, openings, granted, reason, calls, failures, slow = numbers
        return cls(
            Known(version, state, left, openings),
            bool(granted),
            REASONS[int(reason)],
            Tally(int(calls), int(failures), int(slow)),
        )

    @property
    def state(self) -> State:
        """The state of the circuit."""
        return STATES[int(self.known.state)]


class Terms:
    """The rules of a breaker in the numbers of the decision.

    Args:
        rules: When it opens and closes.
    """

    def __init__(self, rules: Rules) -> None:
        counts = isinstance(rules.window, int)
        self.each = _Terms(
            rules.failure_rate,
            _NEVER if rules.slow_rate is None else rules.slow_rate,
            float(rules.calls_needed),
            float(rules.window) if counts else 0.0,
            0.0 if counts else rules.window / 10,
            rules.open_for,
            rules.open_growth,
            rules.open_at_most,
            float(rules.probes),
            float(min(rules.probes, max(1, rules.minimum_calls))),
            rules.half_open_for,
            rules.half_open_for / 2,
        )
        spans = (0.0 if counts else rules.window, 1.1 * rules.open_at_most + rules.half_open_for)
        self._life = max(_LEAST_LIFE, 2 * max(spans))

    def arguments(
        self, known: Known, request: Request, jitter: float, told: Sequence[Batch] = ()
    ) -> tuple[float, ...]:
        """Return what the decision takes.

        Args:
            known: What the process knows.
            request: What it wants.
            jitter: A factor for the time to stay open, should it open.
            told: The calls that ended since it told of some; of a probe that one.
        """
        batches = (float(number) for batch in told for number in batch)
        return (*self.each, *known, *request, jitter, *batches)

    def life(self, state: State) -> float:
        """Return the seconds after which nobody misses a record that is not asked for."""
        by_request = state in (FORCED_OPEN, DISABLED, SHADOW)
        return _LIFE_BY_REQUEST if by_request else self._life


class _Terms(NamedTuple):
    """The numbers that say when a circuit opens and closes."""

    failure_rate: float
    slow_rate: float
    needed: float
    window_calls: float
    width: float
    open_for: float
    growth: float
    at_most: float
    probes: float
    probes_needed: float
    half_open_for: float
    lease_for: float


_TERMS, _KNOWN, _REQUEST = len(_Terms._fields), len(Known._fields), len(Request._fields)
_HEAD, _BATCH = 6, 4
_CLOSED, _OPEN, _HALF_OPEN, _SHADOW = (
    float(STATES.index(state)) for state in (CLOSED, OPEN, HALF_OPEN, SHADOW)
)
_WATCHED = (_CLOSED, _HALF_OPEN, _SHADOW)


@dataclass(slots=True)
class _Circuit:
    """A record, unfolded."""

    terms: _Terms
    now: float
    version: float
    state: float
    until: float
    length: float
    openings: float
    leases: list[tuple[float, float]]
    batches: list[list[float]]

    def go(self, state: float, length: float = 0.0) -> None:
        self.version += 1
        self.state, self.length, self.until = state, length, self.now + length
        self.leases = []
        if state != _OPEN:
            self.batches = []
        if state not in (_OPEN, _HALF_OPEN):
            self.openings = 0.0

    def open(self, wait: float, jitter: float) -> None:
        if self.state == _SHADOW:
            self.openings = 0.0
        if wait >= 0:
            self.go(_OPEN, min(wait, self.terms.at_most))
            return
        length, times = self.terms.open_for, 0
        while times < self.openings and length < self.terms.at_most:
            length, times = length * self.terms.growth, times + 1
        self.openings += 1
        self.go(_OPEN, min(length, self.terms.at_most) * jitter)

    def calls(self) -> float:
        return sum(batch[1] for batch in self.batches)

    def tally(self) -> tuple[float, float, float]:
        failures = sum(batch[2] for batch in self.batches)
        slow = sum(batch[3] for batch in self.batches)
        return self.calls(), failures, slow

    def add(self, age: float, told: Sequence[float]) -> None:
        """Put a batch to those of its time; where the last calls count, to the last one."""
        timed = self.terms.width > 0 and self.state != _HALF_OPEN
        tick = float(math.floor((self.now - age) / self.terms.width)) if timed else 0.0
        into = self._batch_for(tick, told[0])
        if into is None:
            into = [tick, 0.0, 0.0, 0.0]
            self.batches.append(into)
        for place, number in enumerate(told, 1):
            into[place] += number

    def _batch_for(self, tick: float, more: float) -> list[float] | None:
        if self.terms.width > 0 or self.state == _HALF_OPEN:
            for batch in self.batches:
                if batch[0] == tick:
                    return batch
        elif self.batches and self.batches[-1][1] + more <= self.terms.window_calls / 10:
            return self.batches[-1]
        return None

    def forget(self) -> None:
        """Let go of the batches that are too old, or that later ones leave no room for."""
        if self.terms.width > 0:
            last = float(math.floor(self.now / self.terms.width))
            self.batches = [b for b in self.batches if last - 10 < b[0] <= last]
            return
        calls = self.calls()
        while self.batches and calls - self.batches[0][1] >= self.terms.window_calls:
            calls -= self.batches[0][1]
            del self.batches[0]

    def verdict(self, needed: float) -> float:
        """Return 1 for too many failures, 2 for too many slow calls, 0 for neither."""
        calls, failures, slow = self.tally()
        if calls < needed:
            return 0.0
        if failures / calls >= self.terms.failure_rate:
            return 1.0
        return 2.0 if slow / calls >= self.terms.slow_rate else 0.0

    def hear(self, told: Sequence[float]) -> float:
        """Take what is told of calls; return how many of them were bad."""
        bad = 0.0
        if self.state != _HALF_OPEN or self.now < self.until:
            for at in range(0, len(told), _BATCH):
                age, *numbers = told[at : at + _BATCH]
                self.add(age, numbers)
                bad += numbers[1] + numbers[2]
        if self.state != _HALF_OPEN:
            self.forget()
        return bad

    def change(self, bad: float, request: Request, jitter: float) -> float:
        """Change the state if it is time to; return the number of the reason, 0 for none."""
        if request.force >= 0:
            if request.force == _OPEN:
                self.open(-1.0, jitter)
            else:
                self.go(request.force)
            return 7.0
        if self.state == _HALF_OPEN and self.now >= self.until:
            self.open(-1.0, jitter)
            return 6.0
        if self.state in _WATCHED:
            return self.judge(bad, request.wait, jitter)
        if self.state == _OPEN and request.wants > 0 and self.now >= self.until:
            self.go(_HALF_OPEN, self.terms.half_open_for)
            return 3.0
        return 0.0

    def lend(self, request: Request) -> bool:
        """Give a lease to a probe that wants one, if one more may run."""
        if request.wants == 0 or self.state != _HALF_OPEN:
            return False
        if self.calls() + len(self.leases) >= self.terms.probes:
            return False
        self.leases.append((request.lease, self.now + self.terms.lease_for))
        return True

    def judge(self, bad: float, wait: float, jitter: float) -> float:
        """Change the state if what was told asks for it; return the number of the reason."""
        if self.state == _HALF_OPEN:
            if self.calls() < self.terms.probes_needed:
                return 0.0
            if self.verdict(1.0) > 0:
                self.open(wait, jitter)
                return 5.0
            self.go(_CLOSED)
            return 4.0
        found = self.verdict(self.terms.needed) if bad > 0 else 0.0
        if found > 0 and self.state == _CLOSED:
            self.open(wait, jitter)
            return found
        if found > 0 and self.openings == 0:
            self.openings = 1.0
            return found + 7
        return 0.0

    def record(self) -> Record:
        head = (self.version, self.state, self.until, self.length, self.openings)
        leases = (number for lease in self.leases for number in lease)
        batches = (number for batch in self.batches for number in batch)
        return (*head, float(len(self.leases)), *leases, *batches)


def _unfolded(record: Record | None, terms: _Terms, known: Known, now: float) -> _Circuit:
    """Read a record; one that is lost, or older than what the process knows, from that."""
    if record is not None and (len(record) < _HEAD or len(record) < _HEAD + 2 * record[5]):
        record = None
    if record is None or record[0] < known.version:
        if known.version > 0:
            _, state, left, openings = known
            record = (known.version, state, now + left, left, openings, 0.0)
        else:
            record = (max(1.0, float(math.floor(now))), _CLOSED, now, 0.0, 0.0, 0.0)
    version, state, until, length, openings, leases = record[:_HEAD]
    first = _HEAD + 2 * int(leases)
    held = zip(record[_HEAD:first:2], record[_HEAD + 1 : first : 2], strict=True)
    return _Circuit(
        terms,
        now,
        version,
        state,
        # A clock that was set back must not make anything last longer than it was to last.
        min(until, now + length),
        length,
        openings,
        [(one, min(ends, now + terms.lease_for)) for one, ends in held if ends > now],
        [list(record[at : at + _BATCH]) for at in range(first, len(record) - _BATCH + 1, _BATCH)],
    )


def _apply(
    record: Record | None, arguments: Sequence[float], now: float
) -> tuple[Record, tuple[float, ...]]:
    """Take what is told, change the state where it is time to, and let a probe run if one may.

    The answer is the version, the state, the seconds that are left of it, how often it opened,
    whether a probe may run, the number of the reason of a change, and the calls, failures and slow
    calls that led to it.
    """
    terms = _Terms(*arguments[:_TERMS])
    known = Known(*arguments[_TERMS : _TERMS + _KNOWN])
    at = _TERMS + _KNOWN + _REQUEST
    request = Request(*arguments[_TERMS + _KNOWN : at])
    jitter, told = arguments[at], arguments[at + 1 :]
    circuit = _unfolded(record, terms, known, now)
    if request.lease != NO_LEASE and request.wants == 0:
        circuit.leases = [held for held in circuit.leases if held[0] != request.lease]
    knows = known.version == circuit.version and circuit.state in _WATCHED
    bad = circuit.hear(told) if knows else 0.0
    tally = circuit.tally()
    reason = circuit.change(bad, request, jitter)
    granted = float(circuit.lend(request))
    left = max(0.0, circuit.until - now)
    answer = (circuit.version, circuit.state, left, circuit.openings, granted, reason, *tally)
    return circuit.record(), answer


_LUA = """
local CLOSED, OPEN, HALF_OPEN, SHADOW = 0, 1, 2, 5
local failure_rate, slow_rate, needed = arguments[1], arguments[2], arguments[3]
local window_calls, width = arguments[4], arguments[5]
local open_for, growth, at_most = arguments[6], arguments[7], arguments[8]
local probes, probes_needed = arguments[9], arguments[10]
local half_open_for, lease_for = arguments[11], arguments[12]
local known = {arguments[13], arguments[14], arguments[15], arguments[16]}
local force, lease, wants, wait = arguments[17], arguments[18], arguments[19], arguments[20]
local jitter, told = arguments[21], 22

if record and (#record < 6 or #record < 6 + 2 * record[6]) then record = nil end
if not record or record[1] < known[1] then
  if known[1] > 0 then
    record = {known[1], known[2], now + known[3], known[3], known[4], 0}
  else
    record = {math.max(1, math.floor(now)), CLOSED, now, 0, 0, 0}
  end
end
local version, state, length, openings = record[1], record[2], record[4], record[5]
local until_ = math.min(record[3], now + length)
local leases, batches = {}, {}
for at = 7, 5 + 2 * record[6], 2 do
  if record[at + 1] > now then
    leases[#leases + 1] = {record[at], math.min(record[at + 1], now + lease_for)}
  end
end
for at = 7 + 2 * record[6], #record - 3, 4 do
  batches[#batches + 1] = {record[at], record[at + 1], record[at + 2], record[at + 3]}
end

local function go(to, lasting)
  version = version + 1
  state, length, until_ = to, lasting, now + lasting
  leases = {}
  if to ~= OPEN then batches = {} end
  if to ~= OPEN and to ~= HALF_OPEN then openings = 0 end
end

local function open(asked)
  if state == SHADOW then openings = 0 end
  if asked >= 0 then go(OPEN, math.min(asked, at_most)) return end
  local lasting, times = open_for, 0
  while times < openings and lasting < at_most do
    lasting, times = lasting * growth, times + 1
  end
  openings = openings + 1
  go(OPEN, math.min(lasting, at_most) * jitter)
end

local function sum(place)
  local total = 0
  for _, batch in ipairs(batches) do total = total + batch[place] end
  return total
end

local function batch_for(tick, more)
  if width > 0 or state == HALF_OPEN then
    for _, batch in ipairs(batches) do
      if batch[1] == tick then return batch end
    end
  elseif #batches > 0 and batches[#batches][2] + more <= window_calls / 10 then
    return batches[#batches]
  end
end

local function add(at)
  local tick = 0
  if width > 0 and state ~= HALF_OPEN then tick = math.floor((now - arguments[at]) / width) end
  local into = batch_for(tick, arguments[at + 1])
  if not into then
    into = {tick, 0, 0, 0}
    batches[#batches + 1] = into
  end
  for place = 1, 3 do into[place + 1] = into[place + 1] + arguments[at + place] end
end

local function forget()
  local kept = {}
  if width > 0 then
    local last = math.floor(now / width)
    for _, batch in ipairs(batches) do
      if last - 10 < batch[1] and batch[1] <= last then kept[#kept + 1] = batch end
    end
  else
    local calls = sum(2)
    for _, batch in ipairs(batches) do
      if #kept == 0 and calls - batch[2] >= window_calls then
        calls = calls - batch[2]
      else
        kept[#kept + 1] = batch
      end
    end
  end
  batches = kept
end

local function verdict(least)
  local calls = sum(2)
  if calls < least then return 0 end
  if sum(3) / calls >= failure_rate then return 1 end
  if sum(4) / calls >= slow_rate then return 2 end
  return 0
end

local function judge(bad)
  if state == HALF_OPEN then
    if sum(2) < probes_needed then return 0 end
    if verdict(1) > 0 then open(wait) return 5 end
    go(CLOSED, 0)
    return 4
  end
  local found = 0
  if bad > 0 then found = verdict(needed) end
  if found > 0 and state == CLOSED then open(wait) return found end
  if found > 0 and openings == 0 then
    openings = 1
    return found + 7
  end
  return 0
end

if lease ~= 0 and wants == 0 then
  local held = {}
  for _, one in ipairs(leases) do
    if one[1] ~= lease then held[#held + 1] = one end
  end
  leases = held
end
local bad = 0
if known[1] == version and (state == CLOSED or state == HALF_OPEN or state == SHADOW) then
  if state ~= HALF_OPEN or now < until_ then
    for at = told, #arguments, 4 do
      add(at)
      bad = bad + (arguments[at + 2] + arguments[at + 3])
    end
  end
  if state ~= HALF_OPEN then forget() end
end
local calls, failures, slow = sum(2), sum(3), sum(4)
local granted, reason = 0, 0
if force >= 0 then
  reason = 7
  if force == OPEN then open(-1) else go(force, 0) end
elseif state == HALF_OPEN and now >= until_ then
  open(-1)
  reason = 6
elseif state == CLOSED or state == HALF_OPEN or state == SHADOW then
  reason = judge(bad)
elseif state == OPEN and wants > 0 and now >= until_ then
  go(HALF_OPEN, half_open_for)
  reason = 3
end
if wants > 0 and state == HALF_OPEN and sum(2) + #leases < probes then
  leases[#leases + 1] = {lease, now + lease_for}
  granted = 1
end

local after = {version, state, until_, length, openings, #leases}
for _, one in ipairs(leases) do
  after[#after + 1], after[#after + 2] = one[1], one[2]
end
for _, batch in ipairs(batches) do
  for place = 1, 4 do after[#after + 1] = batch[place] end
end
local left = math.max(0, until_ - now)
return after, {version, state, left, openings, granted, reason, calls, failures, slow}
"""

CIRCUIT = Decision("circuit", _apply, {"lua": _LUA})
"""Takes what a process tells of a circuit and wants of it, and answers how the circuit stands."""
