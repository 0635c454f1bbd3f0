"""The figures of one operation, as a value that never changes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from agentperf._base.text import format_dollars, format_seconds
from agentperf.telemetry.histogram import Histogram
from agentperf.telemetry.memory import MemoryGrowth
from agentperf.usage import Usage


@dataclass(frozen=True, slots=True, repr=False)
class OperationStats:
    """What the calls of one operation amounted to, up to the moment it was asked for.

    `print(stats)` gives a line for people. Durations are seconds; a figure over no call at all is
    nan. Latency is told apart by how calls ended: a refusal within a millisecond or a time-out
    after a minute says nothing about how long the operation takes when it works, and would bend
    its percentiles either way.

    Attributes:
        operation: The name the calls are counted under.
        latency: Durations of completed calls; of streams, up to their last item. `p50`, `mean` and
            the other short names speak of these.
        failed_latency: Durations of calls that raised.
        dropped_latency: Durations of calls that were dropped, up to that moment.
        first_item: Times from the call to a stream's first item; TTFT for models.
        gaps: Times between two items of a stream.
        errors: Number of failed calls by the error's class name; a name beyond the first 32 of
            an operation is counted as `"other"`.
        cancelled: Calls whose caller went away: neither success nor failure.
        closed: Streams that their consumer closed before the end.
        abandoned: Streams that were let go without being closed.
        own_usage: Tokens and cost spent by this operation itself. Totals add these.
        usage: The same including what operations inside it spent; never add these up.
        memory: By how much the memory in use grew, where that was measured.
    """

    operation: str
    latency: Histogram = field(default_factory=Histogram)
    failed_latency: Histogram = field(default_factory=Histogram)
    dropped_latency: Histogram = field(default_factory=Histogram)
    first_item: Histogram = field(default_factory=Histogram)
    gaps: Histogram = field(default_factory=Histogram)
    errors: Mapping[str, int] = field(default_factory=dict[str, int])
    cancelled: int = 0
    closed: int = 0
    abandoned: int = 0
    own_usage: Usage = field(default_factory=Usage)
    usage: Usage = field(default_factory=Usage)
    memory: MemoryGrowth = field(default_factory=MemoryGrowth)

    @property
    def calls(self) -> int:
        """All calls that have ended: completed, failed and dropped."""
        return self.completed + self.failed + self.dropped

    @property
    def completed(self) -> int:
        """Calls that returned a value, and streams read to their end."""
        return self.latency.count + self.latency.ignored

    @property
    def failed(self) -> int:
        """Calls that raised."""
        return self.failed_latency.count + self.failed_latency.ignored

    @property
    def dropped(self) -> int:
        """Calls that were cancelled, closed early or abandoned."""
        return self.cancelled + self.closed + self.abandoned

    @property
    def empty(self) -> bool:
        """Whether nothing at all was recorded."""
        noted = self.first_item.count + self.gaps.count + self.memory.count
        return not (self.calls or noted) and self.usage == Usage()

    @property
    def error_rate(self) -> float:
        """Share of failed calls, 0 to 1, among completed and failed ones; 0 while there is none."""
        judged = self.completed + self.failed
        return self.failed / judged if judged else 0.0

    @property
    def total_seconds(self) -> float:
        """Time spent in all calls, however they ended."""
        return self.latency.sum + self.failed_latency.sum + self.dropped_latency.sum

    @property
    def mean(self) -> float:
        """Average duration of completed calls."""
        return self.latency.mean

    @property
    def min(self) -> float:
        """Shortest completed call."""
        return self.latency.min if self.latency.count else math.nan

    @property
    def max(self) -> float:
        """Longest completed call."""
        return self.latency.max if self.latency.count else math.nan

    @property
    def p50(self) -> float:
        """Median duration of completed calls."""
        return self.latency.quantile(0.5)

    @property
    def p95(self) -> float:
        """Duration that 95 % of completed calls stayed within."""
        return self.latency.quantile(0.95)

    @property
    def p99(self) -> float:
        """Duration that 99 % of completed calls stayed within."""
        return self.latency.quantile(0.99)

    @property
    def ttft_p50(self) -> float:
        """Median time to a stream's first item."""
        return self.first_item.quantile(0.5)

    @property
    def ttft_p95(self) -> float:
        """Time within which 95 % of streams gave their first item."""
        return self.first_item.quantile(0.95)

    @property
    def gap_p50(self) -> float:
        """Median time between two items of a stream."""
        return self.gaps.quantile(0.5)

    @property
    def gap_p95(self) -> float:
        """Time that 95 % of the gaps between two items stayed within."""
        return self.gaps.quantile(0.95)

    def merge(self, other: OperationStats) -> OperationStats:
        """Return the figures over the calls of both, under this one's name.

        Any number of stats merged in any order equal one that saw every call, up to rounding of
        durations and costs added up; all error names are kept.
        """
        return OperationStats(
            self.operation,
            self.latency.merge(other.latency),
            self.failed_latency.merge(other.failed_latency),
            self.dropped_latency.merge(other.dropped_latency),
            self.first_item.merge(other.first_item),
            self.gaps.merge(other.gaps),
            dict(Counter(self.errors) + Counter(other.errors)),
            self.cancelled + other.cancelled,
            self.closed + other.closed,
            self.abandoned + other.abandoned,
            self.own_usage + other.own_usage,
            self.usage + other.usage,
            self.memory.merge(other.memory),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON.

        `summary` holds the derived figures for whoever reads the JSON; `from_dict` ignores it.
        """
        return {
            "operation": self.operation,
            "summary": self._summary(),
            "latency": self.latency.to_dict(),
            "failed_latency": self.failed_latency.to_dict(),
            "dropped_latency": self.dropped_latency.to_dict(),
            "first_item": self.first_item.to_dict(),
            "gaps": self.gaps.to_dict(),
            "errors": dict(self.errors),
            "cancelled": self.cancelled,
            "closed": self.closed,
            "abandoned": self.abandoned,
            "own_usage": asdict(self.own_usage),
            "usage": asdict(self.usage),
            "memory": asdict(self.memory),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OperationStats:
        """Rebuild what `to_dict` returned.

        Raises:
            KeyError: A field is missing.
            ValueError: The fields of a histogram don't fit together.
        """
        return cls(
            operation=data["operation"],
            latency=Histogram.from_dict(data["latency"]),
            failed_latency=Histogram.from_dict(data["failed_latency"]),
            dropped_latency=Histogram.from_dict(data["dropped_latency"]),
            first_item=Histogram.from_dict(data["first_item"]),
            gaps=Histogram.from_dict(data["gaps"]),
            errors=dict(data["errors"]),
            cancelled=data["cancelled"],
            closed=data["closed"],
            abandoned=data["abandoned"],
            own_usage=Usage(**data["own_usage"]),
            usage=Usage(**data["usage"]),
            memory=MemoryGrowth(**data["memory"]),
        )

    def _summary(self) -> dict[str, float | None]:
        figures = {name: getattr(self, name) for name in _SUMMARY}
        return {name: None if math.isnan(value) else value for name, value in figures.items()}

    def __str__(self) -> str:
        """Tell the figures in one line; what never happened is left out."""
        parts = [f"{self.calls:,} calls", *self._outcome_text(), *self._time_text()]
        return f"{self.operation}: {', '.join([*parts, *self._usage_text()])}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def _outcome_text(self) -> Iterable[str]:
        if self.failed:
            names = sorted(self.errors, key=lambda name: -self.errors[name])
            errors = " ".join(f"{name} x{self.errors[name]:,}" for name in names)
            yield f"{self.error_rate:.1%} failed ({errors})"
        if self.dropped:
            yield f"{self.dropped:,} dropped"

    def _time_text(self) -> Iterable[str]:
        if self.latency.count:
            figures = {"mean": self.mean, "p50": self.p50, "p95": self.p95, "p99": self.p99}
            yield from (f"{name} {format_seconds(value)}" for name, value in figures.items())
        if self.first_item.count:
            yield f"first item p50 {format_seconds(self.ttft_p50)}"

    def _usage_text(self) -> Iterable[str]:
        if self.usage.total_tokens:
            yield f"{self.usage.input_tokens:,} tokens in, {self.usage.output_tokens:,} out"
        if self.usage.cost_usd is not None:
            yield format_dollars(self.usage.cost_usd)


def total_usage(stats: Iterable[OperationStats]) -> Usage:
    """Add up tokens and cost over operations, each counted once: where it was spent."""
    return sum((each.own_usage for each in stats), Usage())


_SUMMARY = (
    *("calls", "completed", "failed", "dropped", "error_rate", "total_seconds"),
    *("mean", "min", "max", "p50", "p95", "p99", "ttft_p50", "ttft_p95", "gap_p50", "gap_p95"),
)
