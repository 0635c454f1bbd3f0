"""Sizes as people write them, turned into bytes once, at the edge."""

from __future__ import annotations

import re

from agentperf.errors import ConfigurationError

Size = int | str
"""Bytes as a whole number, or text such as `"64kB"`, `"256MB"` or `"1GiB"`."""

_UNITS = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]*)", re.IGNORECASE)


def in_bytes(value: Size, parameter: str, *, least: int = 1) -> int:
    """Turn a size into bytes.

    Args:
        value: What the user wrote.
        parameter: The parameter it was written for, named in the error.
        least: The smallest size that makes sense.

    Raises:
        ConfigurationError: It is malformed or too small.
    """
    size = _parse(value)
    if size is None or size < least:
        wanted = f"a size from {least:,} bytes up" if least > 1 else "a size"
        raise ConfigurationError(
            f'{parameter}={value!r}: {wanted} is needed, such as 64_000_000, "256MB" or "1GiB"'
        )
    return size


def _parse(value: Size) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or (unit := _UNITS.get(found[2].lower())) is None:
        return None
    return int(float(found[1]) * unit)
