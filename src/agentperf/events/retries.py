"""Events of calls that failed and were made again, or twice, or answered by somebody else."""

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
        reason: Why no further attempt was made: `attempts`, `budget`, `in_flight`, `total`,
            `deadline` or `wait`.
    """

    attempt: int
    error: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeStarted(Event):
    """An attempt was slow, and another was started beside it.

    Attributes:
        attempt: The attempt that was started, counted from 1: 2 is the first hedge.
        after: Seconds since the first one.
    """

    attempt: int
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeEnded(Event):
    """A call with more than one attempt came to its end.

    Attributes:
        attempt: The attempt that won, counted from 1; None where all failed.
        attempts: How many there were; if policies refused all but the first, this is not told.
        seconds: How long the call took; for a stream, to its first item.
        saved: Estimate of the seconds saved where a hedge won: how much longer those calls took, on
            average, that are remembered to have taken longer than this one.
    """

    attempt: int | None
    attempts: int
    seconds: float
    saved: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeSkipped(Event):
    """An attempt was slow, and no other was started.

    Attributes:
        reason: `budget`: too large a share of calls has extra attempts already. `in_flight`: too
            many of those under way have some. `seldom`: hedges won too seldom lately; told once,
            and none is started for a while.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FellBack(Event):
    """A call failed and something else answered instead.

    Attributes:
        name: The fallback's name.
        link: Which of its links answered, counted from 1: its models first, then its targets.
        error: Class name of the error of the call itself, or of what broke its stream.
        reason: What the classifier said of it.
        items: How many items the reader of a stream had by then.
    """

    name: str
    link: int
    error: str
    reason: str
    items: int = 0
