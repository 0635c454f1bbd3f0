"""The figures that reports tell of an operation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from agentperf.telemetry.report.measures import (
    COUNT,
    DOLLARS,
    ERROR_RATE,
    FAILURES,
    HIT_RATE,
    SECONDS,
    Measure,
)
from agentperf.telemetry.report.summary import Operation
from agentperf.usage import Usage


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of an operation.

    Attributes:
        key: Its name for programs and options.
        label: Its name for people.
        head: The same, short enough to stand above a column.
        of: Takes it; nan or None where there is none.
        measure: What kind of figure it is.
    """

    key: str
    label: str
    head: str
    of: Callable[[Operation], float | None]
    measure: Measure

    def take(self, operation: Operation | None) -> float | None:
        """Return the figure of an operation; None where there is none."""
        value = None if operation is None else self.of(operation)
        return None if value is None or math.isnan(value) else value


TIMES = (
    Figure("calls", "calls", "calls", lambda o: o.stats.calls, COUNT),
    Figure("errors", "failed calls", "failed", lambda o: o.stats.failed, FAILURES),
    Figure("p50", "time, median", "p50", lambda o: o.stats.p50, SECONDS),
    Figure("p95", "time, p95", "p95", lambda o: o.stats.p95, SECONDS),
    Figure("p99", "time, p99", "p99", lambda o: o.stats.p99, SECONDS),
    Figure("first_item", "time to first item", "first", lambda o: o.stats.ttft_p50, SECONDS),
)
"""How often, how long, how well."""

SPENT = (
    Figure(
        "input_tokens", "input tokens", "input", lambda o: o.stats.own_usage.input_tokens, COUNT
    ),
    Figure(
        "output_tokens",
        "output tokens",
        "output",
        lambda o: o.stats.own_usage.output_tokens,
        COUNT,
    ),
    Figure("cost", "cost", "cost", lambda o: o.stats.own_usage.cost_usd, DOLLARS),
    Figure(
        "hit_rate", "cache hits", "hits", lambda o: o.cache.hit_rate if o.cache else None, HIT_RATE
    ),
)
"""What it took, and what the cache saved."""

RATES = (Figure("error_rate", "error rate", "rate", lambda o: o.stats.error_rate, ERROR_RATE),)
"""What is compared besides, on request."""

TOTALS: tuple[tuple[str, str, Callable[[Usage], float | None], Measure], ...] = (
    ("input_tokens", "input tokens", lambda usage: usage.input_tokens, COUNT),
    ("output_tokens", "output tokens", lambda usage: usage.output_tokens, COUNT),
    ("cost", "cost", lambda usage: usage.cost_usd, DOLLARS),
)
"""What is added up over operations, as (key, label, taken from, measure)."""
