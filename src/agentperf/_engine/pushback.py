"""How long an upstream asks to be left alone, as the headers of its answers say."""

from __future__ import annotations

import datetime as dt
import email.utils
import re
import time
from collections.abc import Mapping
from typing import Any

_LIMITS = (
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
)
"""What is left of a limit, and when it is whole again."""

_DURATION = re.compile(
    r"(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m(?!s))?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?)s)?(?:(?P<milliseconds>\d+(?:\.\d+)?)ms)?"
)
_LONGEST = 1e8
"""Numbers above this, three years in seconds, are moments: seconds since the epoch."""
_MILLISECONDS = 1e11
"""And above this, milliseconds since the epoch."""


def headers_of(error: BaseException) -> Mapping[str, str]:
    """Return the headers of an error's response, with names in lower case."""
    response: Any = getattr(error, "response", None)
    # litellm makes responses of its own, without headers, and keeps the upstream's beside them.
    for holder, name in ((response, "headers"), (error, "litellm_response_headers")):
        headers = getattr(holder, name, None)
        if isinstance(headers, Mapping) and headers:
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds that a response asks to wait; None where it does not say.

    Reads `retry-after-ms`, and `Retry-After` in seconds or as a date (RFC 9110, 10.2.3); what lies
    in the past is no wait at all.

    Args:
        headers: The response's headers, with names in lower case.
        now: Seconds since the epoch, to read dates against; the real time by default.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if (plain := _number(text)) is not None:
        return plain
    return _until(_http_date(text), now)


def until_reset(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds until every used-up limit is whole again; None where none is used up.

    Reads the headers of OpenAI (`x-ratelimit-reset-tokens: 6m0s`), of Anthropic
    (`anthropic-ratelimit-tokens-reset`, a date), and `ratelimit-reset`, with or without `x-`, in
    seconds or as seconds since the epoch.

    Args:
        headers: The response's headers, with names in lower case.
        now: Seconds since the epoch, to read dates against; the real time by default.
    """
    resets = (headers.get(reset) for left, reset in _LIMITS if _number(headers.get(left)) == 0)
    waits = [wait for text in resets if (wait := _reset(text, now)) is not None]
    return max(waits, default=None)


def _reset(text: str | None, now: float | None) -> float | None:
    if (number := _number(text)) is not None:
        if number > _MILLISECONDS:
            number /= 1000
        return _until(number, now) if number > _LONGEST else number
    if not text:
        return None
    if found := _DURATION.fullmatch(text.strip()):
        return dt.timedelta(
            **{unit: float(amount) for unit, amount in found.groupdict("0").items()}
        ).total_seconds()
    try:
        return _until(_moment(dt.datetime.fromisoformat(text.strip())), now)
    except (ValueError, OverflowError):
        return None


def _until(moment: float | None, now: float | None) -> float | None:
    if moment is None:
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return max(0.0, value) if value < float("inf") else None


def _http_date(text: str | None) -> float | None:
    try:
        return _moment(email.utils.parsedate_to_datetime(text)) if text else None
    except (TypeError, ValueError, OverflowError):
        return None


def _moment(when: dt.datetime) -> float:
    # A date that doesn't say where is meant as everywhere on the web: in universal time.
    return (when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp()
