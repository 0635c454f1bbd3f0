"""Durations as people read them."""

from __future__ import annotations

import math

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


def format_seconds(seconds: float) -> str:
    """Write a duration with three significant digits: `1.2s`, `45.6ms`; `-` when there is none."""
    if not math.isfinite(seconds):
        return "-"
    size, unit = next((u for u in _UNITS if abs(seconds) >= u[0]), _UNITS[-1])
    number = seconds / size
    # From a thousand on, three digits would be written with an exponent.
    return f"{number:,.0f}{unit}" if abs(number) >= 100 else f"{number:.3g}{unit}"
