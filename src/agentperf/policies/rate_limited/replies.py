"""What replies say of the upstream's own limits."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentperf._engine.classify import Fault, classify, headers_of, retry_after

DAY = 86_400.0
"""A longer wait than this is taken for a mistake, and for a day."""

_NO_SPAN = 1e9
"""From so many seconds on, a number is a moment since the epoch."""
_TOO_MANY = 429
_NAMES = ("requests", "tokens", "input-tokens", "output-tokens")
"""The dimensions of a limit, as headers call them."""
_SPELLINGS = ("x-ratelimit-{what}-{name}", "anthropic-ratelimit-{name}-{what}")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY}


@dataclass(frozen=True, slots=True)
class Left:
    """What an upstream says of one dimension.

    Attributes:
        remaining: What it would still let in.
        limit: What it lets in altogether; None where it doesn't say.
        reset: Seconds until all of it is there again; None where it doesn't say.
    """

    remaining: int
    limit: int | None = None
    reset: float | None = None


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


def lesson_of_error(error: Exception, now: float) -> Lesson | None:
    """Return what a failed call teaches; None where no limit of the upstream was in its way.

    Args:
        error: What the call failed with.
        now: Seconds since the epoch, to read dates against.
    """
    verdict = classify(error, now=now)
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


def lesson_of(headers: Mapping[Any, Any], now: float, *, refused: bool = False) -> Lesson:
    """Read the headers of a reply; what can't be read is passed over.

    Args:
        headers: The headers, with names in any case.
        now: Seconds since the epoch, to read dates against.
        refused: Whether the reply refused the call because of a limit.
    """
    plain = {str(name).lower(): str(value) for name, value in headers.items()}
    left = {
        dimension: found
        for dimension, name in enumerate(_NAMES)
        if (found := _left(plain, name, now)) is not None
    }
    if not refused:
        return Lesson(left)
    wait = retry_after(plain, now)
    if wait is None:
        resets = [one.reset for one in left.values() if one.remaining <= 0]
        wait = max((reset for reset in resets if reset is not None), default=None)
    return Lesson(left, refused=True, wait=None if wait is None else min(wait, DAY))


def _left(headers: Mapping[str, str], name: str, now: float) -> Left | None:
    for spelling in _SPELLINGS:
        remaining = _whole(headers.get(spelling.format(what="remaining", name=name)))
        if remaining is not None:
            limit = _whole(headers.get(spelling.format(what="limit", name=name)))
            reset = _moment(headers.get(spelling.format(what="reset", name=name)), now)
            return Left(remaining, limit, reset)
    return None


def _whole(text: str | None) -> int | None:
    # Not more digits than any limit has: they may come from anywhere.
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


def _moment(text: str | None, now: float) -> float | None:
    """Read `"6m0s"`, `"20ms"`, `"1.5"`, or a moment as a date or since the epoch, as from now."""
    if not text:
        return None
    if (span := _span(text)) is not None:
        return span if span < _NO_SPAN else max(0.0, span - now)
    try:
        return max(0.0, dt.datetime.fromisoformat(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _span(text: str) -> float | None:
    import re

    parts = re.findall(r"(\d{1,15}(?:\.\d{1,15})?)(ms|s|m|h|d|$)", text, re.ASCII)
    if "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS.get(unit, 1.0) for number, unit in parts)
