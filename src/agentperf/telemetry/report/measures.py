"""How a kind of figure is written, what a gain in it is called, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from agentperf._base.text import format_dollars

NOTHING = "-"
"""Stands where there is no figure."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A kind of figure.

    Attributes:
        write: Writes a figure.
        name_gain: Says in words what changed between two figures that differ.
        more_is_better: Whether a higher figure is the better one.
        share: Whether it is a share from 0 to 1: its changes are told in points.
    """

    write: Callable[[float], str]
    name_gain: Callable[[float, float], str]
    more_is_better: bool = False
    share: bool = False

    def shown(self, value: float | None) -> str:
        """Write a figure that may not be there."""
        return NOTHING if value is None else self.write(value)

    def gain(self, before: float | None, after: float | None) -> str:
        """Say what changed; nothing where nothing that shows did, or there is no saying."""
        if before is None or after is None or before == after:
            return ""
        words = self.name_gain(before, after)
        return "" if words.split(maxsplit=1)[:1] in _NO_CHANGE else words

    def better(self, before: float | None, after: float | None) -> bool:
        """Whether the second figure is the better one."""
        if before is None or after is None:
            return False
        return after > before if self.more_is_better else after < before

    def worsening(self, before: float | None, after: float | None) -> float:
        """How much worse the second figure is: as a share of the first, or in points over 100.

        Returns:
            0 or less where it is no worse; infinite where there was nothing before.
        """
        if before is None or after is None or before == after:
            return 0.0
        change = before - after if self.more_is_better else after - before
        if self.share:
            return change
        return change / before if before else math.copysign(math.inf, change)


_NO_CHANGE = (["1.0x"], ["0%"], ["+0"], ["-0"])


def _seconds(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f} s"
    if value >= 1:
        return f"{value:.2f} s"
    if value >= 0.01 or not value:
        return f"{value * 1e3:.0f} ms"
    return f"{value * 1e3:.1f} ms" if value >= 0.001 else f"{value * 1e6:.0f} us"


def _times_less(before: float, after: float) -> str:
    if not (before and after):
        return ""
    if after < before:
        return f"{_times(before / after)} faster"
    return f"{_times(after / before)} slower"


def _times(ratio: float) -> str:
    if ratio >= 1000:
        return "1000x+"
    return f"{ratio:.1f}x" if ratio < 100 else f"{ratio:.0f}x"


def _less(before: float, after: float) -> str:
    if not before:
        return ""
    change = after / before - 1
    size = f"{abs(change):.0%}" if change < 10 else _times(change + 1)
    return f"{size} less" if change < 0 else f"{size} more"


def _points(before: float, after: float) -> str:
    return f"{(after - before) * 100:+.0f} points"


def _fewer(before: float, after: float) -> str:
    change = f"{abs(before - after):,.0f}"
    return f"{change} fewer" if after < before else f"{change} more"


SECONDS = Measure(_seconds, _times_less)
COUNT = Measure(lambda value: f"{value:,.0f}", _less)
DOLLARS = Measure(format_dollars, _less)
FAILURES = Measure(lambda value: f"{value:,.0f}", _fewer)
ERROR_RATE = Measure(lambda value: f"{value:.1%}", _points, share=True)
HIT_RATE = Measure(lambda value: f"{value:.0%}", _points, more_is_better=True, share=True)
