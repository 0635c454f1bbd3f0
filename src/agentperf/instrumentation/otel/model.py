"""Span and metrics of a model call."""

from __future__ import annotations

import time
from typing import Any

from agentperf._base.endings import Ending
from agentperf.abc import Signals
from agentperf.instrumentation.model import ModelRequest, Told
from agentperf.instrumentation.otel import names
from agentperf.instrumentation.otel.attributes import facts
from agentperf.instrumentation.otel.errors import error_type
from agentperf.instrumentation.otel.metrics import ModelMetrics
from agentperf.instrumentation.otel.sources import meters, tracers
from agentperf.instrumentation.otel.spans import ClientSpan, catch_up, is_taken, later, suppressed

_OPENINFERENCE = ("openinference.span.kind", "LLM")


class ModelTelemetry:
    """Where the model calls of one instrumentor go in OpenTelemetry."""

    def __init__(self, signals: Signals) -> None:
        self.generations = generations = names.generations()
        self.chunks = signals.chunks
        self._tracer = tracers(signals.tracer_provider)
        self._metrics = meters(
            signals.meter_provider,
            lambda meter: ModelMetrics(meter, generations, chunks=signals.chunks),
        )

    def begin(self, request: ModelRequest) -> ModelTrace | None:
        """Begin the signals of a call; None where nobody wants them."""
        tracer, metrics = self._tracer.get(), self._metrics.get()
        if (tracer is None and metrics is None) or suppressed():
            return None
        catch_up()
        operation = (names.OPERATION, request.endpoint.operation)
        if tracer is not None and is_taken(operation, _OPENINFERENCE):
            tracer = None
        return ModelTrace(tracer, metrics, request, self.generations)


class ModelTrace:
    """The signals of one model call.

    All metric points are made at its end, with one set of attributes.
    """

    __slots__ = ("_attributes", "_generations", "_metrics", "_request", "_span")

    def __init__(
        self,
        tracer: Any,
        metrics: ModelMetrics | None,
        request: ModelRequest,
        generations: tuple[names.Generation, ...],
    ) -> None:
        self._request = request
        self._metrics = metrics
        self._generations = generations
        self._attributes = attributes = {
            names.OPERATION: request.endpoint.operation,
            names.PROVIDER: request.provider,
            names.ADDRESS: request.host,
            names.PORT: request.port,
        }
        if request.model is not None:
            attributes[names.REQUEST_MODEL] = request.model
        self._span = None if tracer is None else ClientSpan(tracer, request.name, attributes)

    def enter(self) -> None:
        """Make the span current while the SDK runs."""
        if self._span is not None:
            self._span.enter()

    def leave(self, error: BaseException | None) -> None:
        """Make the one before current again."""
        if self._span is not None:
            self._span.leave(error)

    def ended(self, told: Told) -> None:
        """Make the points and end the span; later, where that isn't safe now."""
        if told.ending is Ending.ABANDONED:
            at = time.time_ns()
            later(lambda: self._end(told, at))
        else:
            self._end(told, None)

    def _end(self, told: Told, at: int | None) -> None:
        attributes = self._attributes
        failed = told.ending in (Ending.FAILED, Ending.CANCELLED)
        news = {}
        if told.answer.model is not None:
            news[names.RESPONSE_MODEL] = told.answer.model
        if failed:
            news[names.ERROR] = error_type(told.error)
        attributes.update(news)
        if self._metrics is not None:
            self._metrics.ended(self._request, attributes, told)
        if self._span is not None:
            if self._span.recording:
                news.update(facts(self._request, told, self._generations))
            self._span.end(news, at, failed=failed)
