"""Two runs of the same work, figure by figure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agentperf.errors import ConfigurationError
from agentperf.telemetry.report.figures import RATES, SPENT, TIMES, TOTALS
from agentperf.telemetry.report.measures import Measure
from agentperf.telemetry.report.summary import Summary, by_name

_LIMIT = re.compile(r"(\w+)=(\d+(?:\.\d+)?)%")


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of both runs.

    Attributes:
        label: What it is called.
        measure: What kind of figure it is.
        before: The first run's; None where there is none.
        after: The second run's.
        key: Its name for programs.
    """

    label: str
    measure: Measure
    before: float | None
    after: float | None
    key: str = ""

    @property
    def gain(self) -> str:
        """What changed, in words."""
        return self.measure.gain(self.before, self.after)

    @property
    def better(self) -> bool:
        """Whether it got better, by what shows."""
        return bool(self.gain) and self.measure.better(self.before, self.after)

    @property
    def worsening(self) -> float:
        """How much worse it got, as a share; 0 or less where it didn't."""
        return self.measure.worsening(self.before, self.after)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain values for JSON."""
        worse = self.worsening
        change = None if math.isinf(worse) or self.before is None or self.after is None else -worse
        return {"before": self.before, "after": self.after, "gain": change}


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
    for key, label, of, measure in TOTALS:
        yield Row(label, measure, of(before.usage), of(after.usage), key)


def _rows(name: str, before: Summary, after: Summary) -> Iterator[Row]:
    old, new = (by_name(summary.operations).get(name) for summary in (before, after))
    for figure in (*TIMES, *SPENT, *RATES):
        yield Row(figure.label, figure.measure, figure.take(old), figure.take(new), figure.key)


def _told(rows: Iterable[Row]) -> Iterator[Row]:
    """Leave out what neither run has anything to say of."""
    hidden = {figure.key for figure in RATES}
    return (row for row in rows if (row.before or row.after) and row.key not in hidden)


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
        known = [figure.key for figure in (*TIMES, *SPENT, *RATES)]
        if found is None or found[1] not in known:
            raise ConfigurationError(
                f"--fail-on {text!r}: a figure and by how much it may get worse, such as "
                f"--fail-on p95=10%; the figures are {', '.join(known)}"
            )
        return cls(found[1], float(found[2]) / 100)


def exceeded(before: Summary, after: Summary, limits: Sequence[Limit]) -> list[str]:
    """Say where the second run is worse than limits allow, in totals and operations of both."""
    common = by_name(before.operations).keys() & by_name(after.operations).keys()
    blocks = {"all operations": _totals(before, after)}
    blocks |= {name: _rows(name, before, after) for name in sorted(common)}
    return [
        f"{title}: {row.label} went from {row.measure.shown(row.before)} to "
        f"{row.measure.shown(row.after)}, beyond {limit.key}={limit.share * 100:g}%"
        for title, rows in blocks.items()
        for row in rows
        for limit in limits
        if row.key == limit.key and row.worsening > limit.share
    ]
