"""Events of rate limits."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDelayed(Event):
    """A call waited for a rate limit before it was let in.

    Attributes:
        name: The limiter's name.
        waited: Seconds it waited.
    """

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
