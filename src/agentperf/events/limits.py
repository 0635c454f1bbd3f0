"""Events of limits: of rates, of places and of time."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf.events.base import Event


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

    Attributes:
        name: The timeout's name.
        limit: Which limit ran out: `total`, `first_item` or `gap`.
        seconds: How long that limit is.
    """

    name: str
    limit: str
    seconds: float
