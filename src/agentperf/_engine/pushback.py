"""What the headers of an answer say of the upstream's limits: what is left, and how long to wait.

Headers come from anywhere: what can't be read is passed over, dates without a zone are meant in
universal time, and what lies in the past is no wait at all. How long a wait is too long to be meant
is for those to say who would wait.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DIMENSIONS = ("requests", "tokens", "input_tokens", "output_tokens")
"""What limits count."""

_LIMITS: tuple[tuple[str, str], ...] = (
    ("requests", "x-ratelimit-{}-requests"),
    ("tokens", "x-ratelimit-{}-tokens"),
    ("input_tokens", "x-ratelimit-{}-input-tokens"),
    ("output_tokens", "x-ratelimit-{}-output-tokens"),
    ("requests", "anthropic-ratelimit-requests-{}"),
    ("tokens", "anthropic-ratelimit-tokens-{}"),
    ("input_tokens", "anthropic-ratelimit-input-tokens-{}"),
    ("output_tokens", "anthropic-ratelimit-output-tokens-{}"),
    ("", "x-ratelimit-{}"),
    ("", "ratelimit-{}"),
)
"""What a limit counts, if it says, and its headers, with a gap for what they tell of it."""

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_SPAN = re.compile(r"(?:\d{1,15}(?:\.\d{1,15})?(?:ms|s|m|h|d))+", re.ASCII)
_PART = re.compile(r"([\d.]+)(ms|s|m|h|d)", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST = 1e8
"""Numbers above this, three years in seconds, are moments: seconds since the epoch."""
_MILLISECONDS = 1e11
"""And above this, milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Left:
    """What an upstream says of one limit.

    Attributes:
        remaining: What it would still let in.
        limit: What it lets in altogether; None where it doesn't say.
        reset: Seconds until all of it is there again; None where it doesn't say.
    """

    remaining: int
    limit: int | None = None
    reset: float | None = None


def headers_of(error: BaseException) -> Mapping[str, str]:
    """Return the headers of an error's response, with names in lower case."""
    response: Any = getattr(error, "response", None)
    # litellm makes responses of its own, without headers, and keeps the upstream's beside them.
    for holder, name in ((response, "headers"), (error, "litellm_response_headers")):
        headers = getattr(holder, name, None)
        if isinstance(headers, Mapping) and headers:
            return plain(headers)
    return {}


def plain(headers: Mapping[Any, Any]) -> dict[str, str]:
    """Return headers with names in lower case, as all readers here want them."""
    return {str(name).lower(): str(value) for name, value in headers.items()}


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds that a response asks to wait; None where it does not say.

    Reads `retry-after-ms`, and `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).

    Args:
        headers: The response's headers, with names in lower case.
        now: Seconds since the epoch, to read dates against; the real time by default.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if (seconds := _number(text)) is not None:
        return seconds
    return _until(_http_date(text), now)


def limits_left(headers: Mapping[str, str], now: float | None = None) -> dict[str, Left]:
    """Return what an answer says of the upstream's limits, by what they count.

    Reads the headers of OpenAI (`x-ratelimit-remaining-tokens`, `x-ratelimit-reset-tokens: 6m0s`),
    of Anthropic (`anthropic-ratelimit-tokens-reset`, a date), and `ratelimit-*`, with or without
    `x-`, which don't say what they count. A reset is a number of seconds, a span such as `1m30s`, a
    date, or a moment in seconds or milliseconds since the epoch.

    Args:
        headers: The response's headers, with names in lower case.
        now: Seconds since the epoch, to read dates against; the real time by default.
    """
    found: dict[str, Left] = {}
    for counts, name in _LIMITS:
        remaining = _whole(headers.get(name.format("remaining")))
        if remaining is not None and counts not in found:
            limit = _whole(headers.get(name.format("limit")))
            found[counts] = Left(remaining, limit, _reset(headers.get(name.format("reset")), now))
    return found


def until_reset(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds until every used-up limit is whole again; None where none is used up.

    Args:
        headers: The response's headers, with names in lower case.
        now: Seconds since the epoch, to read dates against; the real time by default.
    """
    used_up = (left.reset for left in limits_left(headers, now).values() if left.remaining == 0)
    return max((reset for reset in used_up if reset is not None), default=None)


def _reset(text: str | None, now: float | None) -> float | None:
    text = (text or "").strip()
    if (number := _number(text)) is not None:
        if number > _MILLISECONDS:
            number /= 1000
        return _until(number, now) if number > _LONGEST else number
    if _SPAN.fullmatch(text):
        return sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text))
    try:
        return _until(_moment(dt.datetime.fromisoformat(text)), now)
    except (ValueError, OverflowError):
        return None


def _until(moment: float | None, now: float | None) -> float | None:
    if moment is None:
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def _number(text: str | None) -> float | None:
    # Not more digits than any number that is meant has, and none of other alphabets.
    text = (text or "").strip()
    if _NUMBER.fullmatch(text.removeprefix("-")) is None:
        return None
    return max(0.0, float(text))


def _whole(text: str | None) -> int | None:
    # Less than nothing is said by those who don't know it.
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None


def _http_date(text: str | None) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return _moment(parsedate_to_datetime(text)) if text else None
    except (TypeError, ValueError, OverflowError):
        return None


def _moment(when: dt.datetime) -> float:
    # A date that doesn't say where is meant as everywhere on the web: in universal time.
    return (when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp()
