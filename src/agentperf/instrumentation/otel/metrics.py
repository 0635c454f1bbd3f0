"""The metrics of model calls, in each generation of names that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agentperf.instrumentation.model import ModelRequest, Told
from agentperf.instrumentation.otel import names

Attributes = Mapping[str, Any]


class ModelMetrics:
    """The instruments for model calls.

    Args:
        meter: What makes them.
        generations: The names to use.
        chunks: Whether every chunk of a stream is a point.
    """

    def __init__(
        self, meter: Any, generations: tuple[names.Generation, ...], *, chunks: bool
    ) -> None:
        def histogram(name: str, unit: str = "s") -> Any:
            bounds = names.SECONDS if unit == "s" else names.TOKENS
            return meter.create_histogram(
                name, unit=unit, explicit_bucket_boundaries_advisory=bounds
            )

        self._durations = [histogram(generation.duration) for generation in generations]
        self._embeddings = [histogram(names.EMBEDDINGS_DURATION)]
        self._first = [histogram(generation.first_chunk) for generation in generations]
        self._each = [histogram(g.per_chunk) for g in generations if chunks]
        self._usage: list[_TokenHistogram | _TokenCounters] = [
            (_TokenCounters if generation.counts_tokens else _TokenHistogram)(meter, histogram)
            for generation in generations
        ]

    def ended(self, request: ModelRequest, attributes: Attributes, told: Told) -> None:
        """Make the points of a call; the attributes must not change afterwards."""
        embeds = request.endpoint.operation == "embeddings"
        for duration in self._embeddings if embeds else self._durations:
            duration.record(told.elapsed, attributes)
        if told.first_item is not None:
            for first in self._first:
                first.record(told.first_item, attributes)
        for each in self._each:
            for seconds in told.gaps:
                each.record(seconds, attributes)
        if told.usage is not None:
            for usage in self._usage:
                usage.count(attributes, told, embeds=embeds)


class _TokenHistogram:
    """Tokens as one histogram, told apart by their type."""

    def __init__(self, meter: Any, histogram: Any) -> None:
        self._record = histogram(names.TOKEN_USAGE, "{token}").record

    def count(self, attributes: Attributes, told: Told, *, embeds: bool) -> None:
        for name, tokens in _spent(told, embeds=embeds):
            kind = "input" if name == "input_tokens" else "output"
            self._record(tokens, {**attributes, names.TOKEN_TYPE: kind})


class _TokenCounters:
    """Tokens as a counter for each type, and a histogram of tokens per operation."""

    def __init__(self, meter: Any, histogram: Any) -> None:
        self._counters = {
            name: meter.create_counter(names.COUNTER + name, unit="{token}")
            for name in names.COUNTERS
        }
        self._histograms = {
            name: histogram(names.PER_OPERATION + name, "{token}")
            for name in ("input_tokens", "output_tokens")
        }

    def count(self, attributes: Attributes, told: Told, *, embeds: bool) -> None:
        # The providers don't say for all tokens what they stand for.
        counted = {**attributes, names.MODALITY: "unknown"}
        for name, tokens in _spent(told, embeds=embeds):
            self._counters[name].add(tokens, counted)
            self._histograms[name].record(tokens, attributes)
        for name, part in (
            ("cache_read.input_tokens", told.usage.cached_tokens if told.usage else 0),
            ("cache_write.input_tokens", told.answer.cache_write_tokens()),
            ("reasoning.output_tokens", told.answer.reasoning_tokens()),
        ):
            if part:
                self._counters[name].add(part, counted)


def _spent(told: Told, *, embeds: bool) -> Iterator[tuple[str, int]]:
    """Give the tokens spent; embeddings have no output."""
    if told.usage is not None:
        yield "input_tokens", told.usage.input_tokens
        if not embeds:
            yield "output_tokens", told.usage.output_tokens
