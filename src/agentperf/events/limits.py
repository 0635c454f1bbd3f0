"""Events of limits: of rates, and of what is spent."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf.events.base import Event
from agentperf.usage import Usage


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
