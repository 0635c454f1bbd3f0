"""Events of limits: of rates, of places, of time and of what is spent."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf.events.base import Event
from agentperf.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDelayed(Event):
    """A call waited for a rate limit or a place before it was let in.

    Attributes:
        policy: The kind of policy, such as `rate_limited`.
        name: The policy's name.
        waited: Seconds it waited.
    """

    policy: str
    name: str
    waited: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSettled(Event):
    """What was reserved for a call was put right by what it used.

    Attributes:
        name: The limiter's name.
        reserved_tokens: Tokens that were reserved.
        used_tokens: Tokens that were used.
    """

    name: str
    reserved_tokens: int
    used_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChanged(Event):
    """A limiter pauses, or goes slower than its rates, as its upstream wants it to.

    Attributes:
        name: The limiter's name.
        old: The share of its rates at which calls went.
        new: The share at which they go from now on; it grows back by itself.
        pause: Seconds for which no call of the key goes; 0.0 where none has to pause.
        reason: Why, in a few fixed words.
    """

    name: str
    old: float
    new: float
    pause: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetEnded(Event):
    """A budgeted call, or a region with a budget, came to its end.

    Attributes:
        name: The budget's name.
        seconds: How long it was open.
        calls: How many calls were made in it.
        usage: What they spent.
    """

    name: str
    seconds: float
    calls: int
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRepeated(Event):
    """The same call was made more often than a budget's `max_repeats`.

    Attributes:
        name: The budget's name.
        times: How often it was made.
        limit: The budget's `max_repeats`.
    """

    name: str
    times: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyChanged(Event):
    """An adaptive bulkhead has another number of places.

    Attributes:
        name: The bulkhead's name.
        old: How many there were.
        new: How many there are.
        reason: Why, in a few fixed words.
    """

    name: str
    old: int
    new: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTimedOut(Event):
    """A call, or an item of its stream, took too long and was ended or left alone.

    By `timeout`, `retry` or the deadline of a budget.

    Attributes:
        name: The name of the timeout or budget; for `retry` the operation.
        limit: Which limit ran out: `total`, `first_item` or `gap` of a timeout, `total` or
            `per_attempt` of `retry`, or the `deadline` of a budget.
        seconds: How long that limit is.
    """

    name: str
    limit: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreDown(Event):
    """The store of a limit, breaker or budget began to fail; told once until it works again.

    Attributes:
        error: The class name of the error.
    """

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUp(Event):
    """The store of a limit, breaker or budget works again."""
