"""Durations as people write them, turned into seconds once, at the edge."""

from __future__ import annotations

import datetime as dt
import math
import re

from agentperf.errors import ConfigurationError

Duration = float | int | str | dt.timedelta
"""Seconds, a `timedelta`, or text such as `"250ms"`, `"5m"` or `"1 hour 30 minutes"`."""

UNITS = {
    **dict.fromkeys(("us", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
"""What a unit of time is called, and how many seconds it has."""
_LONGEST_FIRST = "|".join(sorted(UNITS, key=len, reverse=True))
_PART = re.compile(rf"(\d+(?:\.\d+)?)\s*({_LONGEST_FIRST})")
_WHOLE = re.compile(rf"(?:{_PART.pattern}\s*)+")
_EXAMPLE = 'such as 30, 0.5, "250ms", "5m", "1h30m" or timedelta(minutes=5)'


def seconds(value: Duration, parameter: str, *, zero: bool = False) -> float:
    """Turn a duration into seconds.

    Args:
        value: What the user wrote.
        parameter: The parameter it was written for, named in the error.
        zero: Whether no time at all is allowed.

    Raises:
        ConfigurationError: It is malformed, not finite, negative, or zero where that means nothing.
    """
    try:
        result = _parse(value, parameter)
    except OverflowError:  # an int beyond all floats
        result = math.inf
    if not math.isfinite(result) or result < 0 or (result == 0 and not zero):
        wanted = "zero or more" if zero else "more than zero"
        raise ConfigurationError(
            f"{parameter}={value!r}: a duration of {wanted} is needed, {_EXAMPLE}"
        )
    return result


def _parse(value: Duration, parameter: str) -> float:
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        text = value.strip()
        if _WHOLE.fullmatch(text):
            return sum(float(number) * UNITS[unit] for number, unit in _PART.findall(text))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ConfigurationError(f"{parameter}={value!r} is not a duration; write one {_EXAMPLE}")
