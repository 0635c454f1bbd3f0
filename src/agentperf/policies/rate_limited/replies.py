"""What replies say of the upstream's own limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agentperf._base.verdicts import Fault, Verdict
from agentperf._engine.pushback import (
    DIMENSIONS,
    Left,
    headers_of,
    limits_left,
    plain,
    retry_after,
    until_reset,
)

DAY = 86_400.0
"""A longer wait than this is taken for a mistake, and for a day."""

_TOO_MANY = 429
_OVERLOADED = (503, 529)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one reply teaches.

    Attributes:
        left: What is left, by dimension, in the order of a limiter's.
        refused: Whether the reply refused the call because of a limit.
        wait: Seconds that the upstream wants to be left alone for; None where it doesn't say.
    """

    left: Mapping[int, Left] = field(default_factory=dict)
    refused: bool = False
    wait: float | None = None

    def __bool__(self) -> bool:
        return self.refused or self.wait is not None or bool(self.left)

    def after(self, seconds: float) -> Lesson:
        """Return what it still says when some time has passed."""
        return self if self.wait is None else replace(self, wait=max(0.0, self.wait - seconds))


def lesson_of_error(error: Exception, verdict: Verdict, now: float) -> Lesson | None:
    """Return what a failed call teaches; None where no limit of the upstream was in its way.

    Args:
        error: What the call failed with.
        verdict: What that means.
        now: Seconds since the epoch, to read dates against.
    """
    if verdict.fault is Fault.QUOTA and verdict.retryable:
        return lesson_of(headers_of(error), now, refused=True)
    if verdict.fault is Fault.OVERLOAD and verdict.wait is not None:
        return Lesson(wait=min(verdict.wait, DAY))
    return None


def lesson_of_reply(reply: Any, now: float) -> Lesson | None:
    """Return what a reply with headers teaches; None for anything else.

    Responses of HTTP clients have headers, what `with_raw_response` of a model's client gives, and
    what keeps its response at hand.
    """
    for holder in (reply, *(getattr(reply, name, None) for name in ("response", "http_response"))):
        headers = getattr(holder, "headers", None)
        if isinstance(headers, Mapping):
            refused = getattr(holder, "status_code", None) == _TOO_MANY
            return lesson_of(headers, now, refused=refused)
    return None


def lesson_of_response(status: int, headers: Mapping[Any, Any], now: float) -> Lesson:
    """Return what the answer to an HTTP request teaches, of which only the headers are known.

    A refusal that doesn't say how long it holds may be for good, as where an account is exhausted:
    it is left to the error that becomes of it.

    Args:
        status: Its status.
        headers: Its headers, with names in any case.
        now: Seconds since the epoch, to read dates against.
    """
    lesson = lesson_of(headers, now, refused=status == _TOO_MANY)
    if status in _OVERLOADED:
        wait = retry_after(plain(headers), now)
        return replace(lesson, wait=None if wait is None else min(wait, DAY))
    return Lesson(lesson.left) if lesson.wait is None else lesson


def lesson_of(headers: Mapping[Any, Any], now: float, *, refused: bool = False) -> Lesson:
    """Read the headers of a reply; what can't be read is passed over.

    Args:
        headers: The headers, with names in any case.
        now: Seconds since the epoch, to read dates against.
        refused: Whether the reply refused the call because of a limit.
    """
    said = plain(headers)
    found = limits_left(said, now)
    left = {at: found[name] for at, name in enumerate(DIMENSIONS) if name in found}
    if not refused:
        return Lesson(left)
    wait = retry_after(said, now)
    if wait is None:
        wait = until_reset(said, now)
    return Lesson(left, refused=True, wait=None if wait is None else min(wait, DAY))
