"""A timed call with exact figures, beside OpenTelemetry's SDK."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import agentperf
from tests.benchmarks.harness import Peer, Race
from tests.benchmarks.rows import Row, faster, within
from tests.benchmarks.work import awork, work

FACTS = {"operation": "work"}


def stopwatch(function: Callable[..., Any]) -> Callable[..., Any]:
    """Time calls by hand: two clock readings and one sum, no counts, no quantiles."""
    clock, total = time.perf_counter, 0.0

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal total
        start = clock()
        try:
            return function(*args, **kwargs)
        finally:
            total += clock() - start

    return wrapper


def _otel_record() -> Callable[..., None]:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    return provider.get_meter("bench").create_histogram("duration", "s").record


def _otel_histogram() -> Callable[[str], Any]:
    clock, record = time.perf_counter, _otel_record()

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        start = clock()
        try:
            return work(*args, **kwargs)
        finally:
            record(clock() - start, FACTS)

    return wrapper


def _otel_histogram_async() -> Callable[[str], Any]:
    clock, record = time.perf_counter, _otel_record()

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        start = clock()
        try:
            return await awork(*args, **kwargs)
        finally:
            record(clock() - start, FACTS)

    return wrapper


def _otel_span() -> Callable[[str], Any]:
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("bench")

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with tracer.start_as_current_span("work"):
            return work(*args, **kwargs)

    return wrapper


TIMED = Race(
    "timed, sync",
    lambda: agentperf.timed()(work),
    (
        Peer("OpenTelemetry SDK histogram", _otel_histogram, faster(floor=10, goal=25)),
        Peer("OpenTelemetry SDK span", _otel_span, faster()),
        Peer("two clock readings by hand", lambda: stopwatch(work), within()),
    ),
)
TIMED_ASYNC = Race(
    "timed, async",
    lambda: agentperf.timed()(awork),
    (
        Peer("OpenTelemetry SDK histogram", _otel_histogram_async, faster(floor=10, goal=25)),
        Peer("bare await", lambda: awork, within()),
    ),
)


def rows(rounds: int) -> Iterator[Row]:
    """Measure timed calls in both colours."""
    for race in (TIMED, TIMED_ASYNC):
        yield from race.rows(rounds)
