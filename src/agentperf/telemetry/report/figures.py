"""The figures that reports tell of an operation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from agentperf.telemetry.report.measures import (
    COUNT,
    DOLLARS,
    ERROR_RATE,
    FAILURES,
    HIT_RATE,
    SECONDS,
    Measure,
)
from agentperf.telemetry.report.summary import Operation, Summary
from agentperf.telemetry.report.unknown import Unknown


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of an operation.

    Attributes:
        key: Its name for programs and options.
        label: Its name for people.
        head: The same, short enough to stand above a column.
        of: Takes it; nan or None where there is none.
        measure: What kind of figure it is.
        silent: Counts the calls that it doesn't hold.
    """

    key: str
    label: str
    head: str
    of: Callable[[Operation], float | None]
    measure: Measure
    silent: Callable[[Unknown], int] = lambda _: 0

    def take(self, operation: Operation | None) -> float | None:
        """Return the figure of an operation; None where there is none."""
        value = None if operation is None else self.of(operation)
        return None if value is None or math.isnan(value) else value


def _without_tokens(unknown: Unknown) -> int:
    return unknown.tokens


def _without_cost(unknown: Unknown) -> int:
    return unknown.tokens + unknown.cost


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
        "input_tokens",
        "input tokens",
        "input",
        lambda o: o.stats.own_usage.input_tokens,
        COUNT,
        _without_tokens,
    ),
    Figure(
        "output_tokens",
        "output tokens",
        "output",
        lambda o: o.stats.own_usage.output_tokens,
        COUNT,
        _without_tokens,
    ),
    Figure("cost", "cost", "cost", lambda o: o.cost, DOLLARS, _without_cost),
    Figure("hit_rate", "cache hits", "hits", lambda o: o.hit_rate, HIT_RATE),
)
"""What it took, and what the cache saved."""

_CALLS, _ERRORS, *_SECONDS = TIMES

COMPARED = (
    _CALLS,
    _ERRORS,
    Figure("error_rate", "error rate", "rate", lambda o: o.stats.error_rate, ERROR_RATE),
    *_SECONDS,
    *SPENT,
)
"""What is compared, and can be limited."""


class Total(NamedTuple):
    """A figure of a whole run; its fields are those of `Figure`."""

    key: str
    label: str
    of: Callable[[Summary], float | None]
    measure: Measure
    silent: Callable[[Unknown], int]


TOTALS = (
    Total("input_tokens", "input tokens", lambda s: s.usage.input_tokens, COUNT, _without_tokens),
    Total(
        "output_tokens", "output tokens", lambda s: s.usage.output_tokens, COUNT, _without_tokens
    ),
    Total("cost", "cost", lambda s: s.cost, DOLLARS, _without_cost),
)
"""What is added up over operations."""
