"""Events of calls that failed and were made again, or answered by somebody else."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled(Event):
    """An attempt failed and another will be made.

    Attributes:
        attempt: The attempt that failed, counted from 1.
        wait: Seconds until the next one.
        error: Class name of the error.
        reason: What the classifier said of it.
        asked: Whether the upstream asked for that wait.
    """

    attempt: int
    wait: float
    error: str
    reason: str
    asked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryGaveUp(Event):
    """A retryable error was raised after all.

    Attributes:
        attempt: The last attempt, counted from 1.
        error: Class name of the error.
        reason: Why no further attempt was made: `attempts`, `budget`, `total` or `wait`.
    """

    attempt: int
    error: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FellBack(Event):
    """A call failed and something else answered instead.

    Attributes:
        name: The fallback's name.
        link: Which of its targets answered, counted from 1.
        error: Class name of the error of the call itself.
        reason: What the classifier said of it.
    """

    name: str
    link: int
    error: str
    reason: str
