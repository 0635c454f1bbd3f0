"""Durations and money as people read them."""

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


def format_wait(seconds: float) -> str:
    """Write a time to wait, in seconds without an exponent: `0.25 s`, `86,400 s`."""
    return f"{seconds:,.0f} s" if seconds >= 100 else f"{seconds:.3g} s"


def format_dollars(dollars: float) -> str:
    """Write an amount: `$1,234.5678`; below a cent two significant digits: `$0.000038`."""
    if not dollars:
        return "$0"
    if abs(dollars) < 1e-7:  # so many zeros can't be counted at a glance
        return f"${dollars:.1e}"
    decimals = 4 if abs(dollars) >= 0.01 else 1 - math.floor(math.log10(abs(dollars)))
    return f"${dollars:,.{decimals}f}"
