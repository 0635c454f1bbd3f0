"""Two runs of the same work, figure by figure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agentperf.errors import ConfigurationError
from agentperf.telemetry.report.figures import COMPARED, TOTALS
from agentperf.telemetry.report.measures import Measure
from agentperf.telemetry.report.summary import Summary, by_name
from agentperf.telemetry.report.unknown import Unknown, lost

_LIMIT = re.compile(r"(\w+)=(\d+(?:\.\d+)?)(%?)")

_NEGLIGIBLE = 0.05
"""Of so small a share of calls nothing need be known; some streams are always let go."""


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of both runs.

    Attributes:
        label: What it is called.
        measure: What kind of figure it is.
        before: The first run's; None where there is none.
        after: The second run's.
        key: Its name for programs.
        lost: By how much the share of calls that it doesn't hold grew, over 1.
    """

    label: str
    measure: Measure
    before: float | None
    after: float | None
    key: str = ""
    lost: float = 0.0

    @property
    def gain(self) -> str:
        """What changed, in words; where one run knows less of it, that there is no saying."""
        if self.unlike and self.before and self.after:
            return "not all known"
        return self.measure.gain(self.before, self.after)

    @property
    def unlike(self) -> bool:
        """Whether one run holds so many calls less that there is no comparing."""
        return abs(self.lost) > _NEGLIGIBLE

    @property
    def better(self) -> bool:
        """Whether it got better, by what shows."""
        return bool(self.gain) and not self.unlike and self.measure.better(self.before, self.after)

    @property
    def worsening(self) -> float:
        """How much worse it got, as a share; 0 or less where it didn't."""
        return self.measure.worsening(self.before, self.after)

    def beyond(self, limit: Limit) -> str:
        """Say how it is worse than a limit allows; nothing where it isn't.

        A figure that was known and is not any more can't be called no worse.
        """
        was = f"{self.label} was {self.measure.shown(self.before)} and is"
        if self.before is not None and self.after is None:
            return f"{was} not known any more; {limit} needs it"
        if self.worsening > limit.share and not self.gained(limit):
            now = self.measure.shown(self.after)
            return (
                f"{self.label} went from {self.measure.shown(self.before)} to {now}, beyond {limit}"
            )
        if self.lost > limit.share:
            return f"{was} not known of {self.lost:.0%} more of the calls now, beyond {limit}"
        return ""

    def gained(self, limit: Limit) -> bool:
        """Whether the first run knows too little of it to hold the second one against a limit."""
        return (self.before is None) > (self.after is None) or -self.lost > limit.share

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values for JSON."""
        worse = self.worsening
        unsure = math.isinf(worse) or self.before is None or self.after is None or self.unlike
        gain = None if unsure else -worse or 0.0  # no minus before a zero
        return {"before": self.before, "after": self.after, "gain": gain}


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that belong together.

    Attributes:
        title: What they tell of.
        rows: The rows, in their order.
    """

    title: str
    rows: tuple[Row, ...]


def compared(before: Summary, after: Summary) -> list[Block]:
    """Return the totals and then every operation, with those figures that either run has."""
    old, new = by_name(before.operations), by_name(after.operations)
    return [
        Block("all operations", tuple(_told(_totals(before, after)))),
        *(
            Block(name, tuple(_told(_rows(name, before, after))))
            for name in sorted(old.keys() | new.keys())
        ),
    ]


def _totals(before: Summary, after: Summary) -> Iterator[Row]:
    for key, label, of, measure, silent in TOTALS:
        less = lost(before.unknown, after.unknown, silent)
        yield Row(label, measure, of(before), of(after), key, less)


def _rows(name: str, before: Summary, after: Summary) -> Iterator[Row]:
    old, new = (by_name(summary.operations).get(name) for summary in (before, after))
    said = old.unknown if old else Unknown(), new.unknown if new else Unknown()
    for figure in COMPARED:
        pair = figure.take(old), figure.take(new)
        less = lost(*said, figure.silent)
        yield Row(figure.label, figure.measure, *pair, figure.key, less)


def _told(rows: Iterable[Row]) -> Iterator[Row]:
    """Leave out what neither run has anything to say of."""
    return (row for row in rows if row.before or row.after)


@dataclass(frozen=True, slots=True)
class Limit:
    """By how much a figure may get worse.

    Attributes:
        key: The figure.
        share: As a share of what it was; points over 100 for what is a share itself.
    """

    key: str
    share: float

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read a limit such as `p95=10%`.

        Raises:
            ConfigurationError: It is malformed.
        """
        found = _LIMIT.fullmatch(text.strip())
        known = [figure.key for figure in COMPARED]
        if found is None or found[1] not in known:
            raise ConfigurationError(
                f"--fail-on {text!r}: a figure and by how much it may get worse, such as "
                f"--fail-on p95=10%; the figures are {', '.join(known)}"
            )
        if not found[3]:
            raise ConfigurationError(
                f"--fail-on {text!r}: the % is missing, --fail-on {found[0]}%; it is a share of "
                f"what the figure was, such as --fail-on p95=10%, or points of a rate"
            )
        return cls(found[1], float(found[2]) / 100)

    def __str__(self) -> str:
        return f"{self.key}={self.share * 100:g}%"


def exceeded(before: Summary, after: Summary, limits: Sequence[Limit]) -> list[str]:
    """Say where the second run is worse than limits allow, in totals and operations of both."""
    return [
        f"{title}: {problem}"
        for title, row, limit in _limited(before, after, limits)
        if (problem := row.beyond(limit))
    ]


def unchecked(before: Summary, after: Summary, limits: Sequence[Limit]) -> list[str]:
    """Say which limits could not be checked, as there is nothing to compare with."""
    found = list(_limited(before, after, limits))
    known = {limit for _, row, limit in found if (row.before, row.after) != (None, None)}
    return [
        *(
            f"{title}: {row.label} is less known of the first run; {limit} was not checked"
            for title, row, limit in found
            if row.gained(limit)
        ),
        *(
            f"no operation of both runs has {limit.key}; {limit} was not checked"
            for limit in limits
            if limit not in known
        ),
    ]


def _limited(
    before: Summary, after: Summary, limits: Sequence[Limit]
) -> Iterator[tuple[str, Row, Limit]]:
    """Yield what is limited: the totals' rows and those of operations that both runs have."""
    common = by_name(before.operations).keys() & by_name(after.operations).keys()
    blocks = {"all operations": _totals(before, after)}
    blocks |= {name: _rows(name, before, after) for name in sorted(common)}
    return (
        (title, row, limit)
        for title, rows in blocks.items()
        for row in rows
        for limit in limits
        if row.key == limit.key
    )
