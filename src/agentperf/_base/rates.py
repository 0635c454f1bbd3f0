"""Rates as people write them: so many per so long."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agentperf._base.durations import UNITS, seconds
from agentperf.errors import ConfigurationError

_EXAMPLE = 'such as "500/min", "10/s", "90k/min", "1.5M/day" or "5/10s"'
_RATE = re.compile(r"\s*([\d_,]+)(\.\d+)?\s*([kKM]?)\s*(?:/|\bper\b)\s*(.+?)\s*")
_TIMES = {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000}
_SHORT: dict[float, str] = {1: "s", 60: "min", 3600: "hour", 86400: "day"}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds.

    Attributes:
        limit: How many.
        period: In how many seconds.
    """

    limit: int
    period: float

    def __str__(self) -> str:
        return f"{self.limit}/{_SHORT.get(self.period, f'{self.period:g}s')}"


Rates = str | Rate | Sequence["str | Rate"]
"""One rate or several that hold at once: `"500/min"` or `["60/min", "1000/day"]`."""


def rates(value: Rates | None, parameter: str) -> tuple[Rate, ...]:
    """Turn what the user wrote into rates; none for None.

    Raises:
        ConfigurationError: One is malformed, or there is none in a list.
    """
    if value is None:
        return ()
    many = [value] if isinstance(value, str | Rate) else value
    if not isinstance(many, list | tuple) or not many:
        raise ConfigurationError(f"{parameter}={value!r}: a rate {_EXAMPLE}, or a list of them")
    return tuple(_rate(one, parameter) for one in many)


def _rate(value: object, parameter: str) -> Rate:
    if isinstance(value, Rate):
        return value
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ConfigurationError(f"{parameter}={value!r} is not a rate; write one {_EXAMPLE}")
    limit = _limit(match[1], (match[2] or ".")[1:], _TIMES[match[3]])
    if limit is None:
        raise ConfigurationError(
            f"{parameter}={value!r}: a whole number has to be allowed, {_EXAMPLE}"
        )
    if limit < 1:
        raise ConfigurationError(
            f"{parameter}={value!r}: at least one has to be allowed, {_EXAMPLE}"
        )
    written = match[4]
    period = UNITS.get(written.lower())
    try:
        return Rate(limit, period or seconds(written, parameter))
    except ConfigurationError:
        raise ConfigurationError(
            f"{parameter}={value!r}: {written!r} is no length of time; write a rate {_EXAMPLE}"
        ) from None


def _limit(whole: str, broken: str, times: int) -> int | None:
    """Return how many are meant; None where that is no whole number."""
    digits = whole.replace("_", "").replace(",", "") or "0"
    limit, rest = divmod(int(digits + broken) * times, 10 ** len(broken))
    return None if rest else limit
