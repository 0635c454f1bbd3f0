"""Durations as people write them, turned into seconds once, at the edge."""

from __future__ import annotations

import datetime as dt
import math
import re

from agentperf.errors import ConfigurationError

Duration = float | int | str | dt.timedelta
"""Seconds as a number, a `timedelta`, or text such as `"250ms"`, `"5m"` or `"1h30m"`."""

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|min|s|m|h|d)")
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
            return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ConfigurationError(f"{parameter}={value!r} is not a duration; write one {_EXAMPLE}")
