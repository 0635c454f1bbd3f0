"""Span and metrics of a model call."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from agentperf._base.endings import Ending
from agentperf.abc import Signals
from agentperf.instrumentation.model import Answer, ModelRequest, Told
from agentperf.instrumentation.otel import names
from agentperf.instrumentation.otel.errors import error_type
from agentperf.instrumentation.otel.sources import meters, tracers
from agentperf.instrumentation.otel.spans import (
    ClientSpan,
    catch_up,
    is_taken,
    later,
    suppressed,
)

_OPENINFERENCE = ("openinference.span.kind", "LLM")


class ModelTelemetry:
    """Where the model calls of one instrumentor go in OpenTelemetry."""

    def __init__(self, signals: Signals) -> None:
        self._tracer = tracers(signals.tracer_provider)
        self._metrics = meters(signals.meter_provider, lambda m: _Metrics(m, chunks=signals.chunks))
        self.chunks = signals.chunks

    def begin(self, request: ModelRequest) -> ModelTrace | None:
        """Begin the signals of a call; None where nobody wants them."""
        tracer, metrics = self._tracer.get(), self._metrics.get()
        if (tracer is None and metrics is None) or suppressed():
            return None
        catch_up()
        if tracer is not None and is_taken(
            (names.OPERATION, request.endpoint.operation), _OPENINFERENCE
        ):
            tracer = None
        return ModelTrace(tracer, metrics, request)


class ModelTrace:
    """The signals of one model call.

    All metric points are made at its end, with one set of attributes.
    """

    __slots__ = ("_attributes", "_chunks", "_metrics", "_request", "_span")

    def __init__(self, tracer: Any, metrics: _Metrics | None, request: ModelRequest) -> None:
        self._request = request
        self._metrics = metrics
        self._chunks: list[float] | None = None
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
        at = time.time_ns()
        if told.ending is Ending.ABANDONED:
            later(lambda: self._end(told, at))
        else:
            self._end(told, None)

    def _end(self, told: Told, at: int | None) -> None:
        failed = told.ending in (Ending.FAILED, Ending.CANCELLED)
        if told.answer.model is not None:
            self._attributes[names.RESPONSE_MODEL] = told.answer.model
        if failed:
            self._attributes[names.ERROR] = error_type(told.error)
        if self._metrics is not None:
            self._metrics.ended(self._request, self._attributes, told)
        if self._span is not None:
            facts = dict(_facts(self._request, told)) if self._span.recording else {}
            for name in (names.RESPONSE_MODEL, names.ERROR):
                if name in self._attributes:
                    facts[name] = self._attributes[name]
            self._span.end(facts, at, failed=failed)


class _Metrics:
    """The instruments, for each generation of names."""

    def __init__(self, meter: Any, *, chunks: bool) -> None:
        generations = names.generations()
        histogram = _histograms(meter)
        self._chunks = chunks
        self._durations = [histogram(g.duration, "s", names.SECONDS) for g in generations]
        self._embeddings = histogram(names.EMBEDDINGS_DURATION, "s", names.SECONDS)
        self._first = [histogram(g.first_chunk, "s", names.SECONDS) for g in generations]
        self._each = [histogram(g.per_chunk, "s", names.SECONDS) for g in generations if chunks]
        self._tokens = None
        self._counters: dict[str, Any] = {}
        self._per_operation: dict[str, Any] = {}
        for generation in generations:
            if not generation.counts_tokens:
                self._tokens = histogram(names.TOKEN_USAGE, "{token}", names.TOKENS)
                continue
            self._counters = {
                name: meter.create_counter(names.COUNTER + name, unit="{token}")
                for name in names.COUNTERS
            }
            self._per_operation = {
                name: histogram(names.PER_OPERATION + name, "{token}", names.TOKENS)
                for name in ("input_tokens", "output_tokens")
            }

    def ended(self, request: ModelRequest, attributes: Mapping[str, Any], told: Told) -> None:
        """Make the points of a call."""
        embeds = request.endpoint.operation == "embeddings"
        for duration in (self._embeddings,) if embeds else self._durations:
            duration.record(told.elapsed, attributes)
        if told.first_item is not None:
            for first in self._first:
                first.record(told.first_item, attributes)
        for each in self._each:
            for seconds in told.gaps:
                each.record(seconds, attributes)
        usage = told.usage
        if usage is None:
            return
        spent = {"input_tokens": usage.input_tokens}
        if not embeds:
            spent["output_tokens"] = usage.output_tokens
        if self._tokens is not None:
            for name, tokens in spent.items():
                kind = {**attributes, names.TOKEN_TYPE: name.partition("_")[0]}
                self._tokens.record(tokens, kind)
        if self._counters:
            self._count(attributes, spent, told)

    def _count(self, attributes: Mapping[str, Any], spent: dict[str, int], told: Told) -> None:
        counted = {**attributes, names.MODALITY: "unknown"}
        for name, tokens in spent.items():
            self._counters[name].add(tokens, counted)
            self._per_operation[name].record(tokens, attributes)
        for name, extra in (
            ("cache_read.input_tokens", told.usage.cached_tokens if told.usage else 0),
            ("reasoning.output_tokens", told.answer.reasoning_tokens()),
        ):
            if extra:
                self._counters[name].add(extra, counted)


def _histograms(meter: Any) -> Any:
    def make(name: str, unit: str, boundaries: tuple[float, ...]) -> Any:
        return meter.create_histogram(
            name, unit=unit, explicit_bucket_boundaries_advisory=boundaries
        )

    return make


def _facts(request: ModelRequest, told: Told) -> Iterator[tuple[str, Any]]:
    """Give the attributes of a span that were not known, or not needed, at its beginning."""
    yield from _asked(request)
    answer, usage = told.answer, told.usage
    if answer.id is not None:
        yield names.RESPONSE_ID, answer.id
    if reasons := _reasons(request, told):
        yield names.FINISH_REASONS, reasons
    if told.first_item is not None:
        yield names.FIRST_CHUNK, told.first_item
    if usage is not None:
        yield names.INPUT_TOKENS, usage.input_tokens
        if request.endpoint.operation != "embeddings":
            yield names.OUTPUT_TOKENS, usage.output_tokens
        if usage.cached_tokens:
            yield names.CACHE_READ, usage.cached_tokens
        if usage.cost_usd is not None:
            yield names.COST, usage.cost_usd
        if written := answer.cache_write_tokens():
            for generation in names.generations():
                yield generation.cache_write, written
        if reasoning := answer.reasoning_tokens():
            yield names.REASONING_TOKENS, reasoning
    for name, value in (
        (names.RESPONSE_TIER, answer.said("service_tier")),
        (names.FINGERPRINT, answer.said("system_fingerprint")),
    ):
        if isinstance(value, str):
            yield name, value
    if told.ending in (Ending.CLOSED, Ending.ABANDONED, Ending.CANCELLED):
        yield names.ENDING, told.ending.value


def _reasons(request: ModelRequest, told: Told) -> list[str]:
    reasons = told.answer.finish_reasons
    cut_short = request.streaming and told.ending is not Ending.COMPLETED
    return reasons or (["error"] if cut_short else [])


def _asked(request: ModelRequest) -> Iterator[tuple[str, Any]]:
    """Give what the request asked for, as far as it is no content."""
    body = request.body
    if request.endpoint.api is not None:
        yield names.API_TYPE, request.endpoint.api
    if request.streaming:
        yield names.STREAM, True
    for name, keys, kind in names.SETTINGS:
        for key in keys:
            value = body.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield name, kind(value)
                break
    count = body.get("n")
    if isinstance(count, int) and count != 1:
        yield names.CHOICES, count
    stop = body.get("stop")
    if isinstance(stop, str | list) and stop:
        yield names.STOP, [stop] if isinstance(stop, str) else [str(each) for each in stop]
    tier = body.get("service_tier")
    if isinstance(tier, str) and tier != "auto":
        yield names.REQUEST_TIER, tier
    yield from _asked_of_one_kind(body)


def _asked_of_one_kind(body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give what only some endpoints take."""
    form = body.get("response_format") or (_inner(body, "text").get("format"))
    if isinstance(form, Mapping) and isinstance(form.get("type"), str):
        yield names.OUTPUT_TYPE, "json" if "json" in form["type"] else "text"
    if isinstance(dimensions := body.get("dimensions"), int):
        yield names.DIMENSIONS, dimensions
    if isinstance(encoding := body.get("encoding_format"), str):
        yield names.ENCODINGS, [encoding]
    conversation = body.get("conversation")
    if isinstance(conversation, Mapping):
        conversation = conversation.get("id")
    if isinstance(conversation, str):
        yield names.CONVERSATION, conversation
    if names.LATEST in names.generations():
        effort = body.get("reasoning_effort") or _inner(body, "reasoning").get("effort")
        if isinstance(effort, str):
            yield names.REASONING_LEVEL, effort
        if isinstance(previous := body.get("previous_response_id"), str):
            yield names.PREVIOUS_RESPONSE, previous


def _inner(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    inner = body.get(key)
    return inner if isinstance(inner, Mapping) else {}


__all__ = ["Answer", "ModelTelemetry", "ModelTrace"]
