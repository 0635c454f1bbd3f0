"""A template for plugins of agentperf: one backend, one tokenizer, one exporter."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from agentperf import hookimpl
from agentperf.abc import CacheBackend, Exporter, Tokenizer
from agentperf_example.backend import ExampleBackend
from agentperf_example.exporter import LinesExporter
from agentperf_example.tokenizer import WordTokenizer

AGENTPERF_HOOKSPECS = "1.0"
"""The version of the hooks that this plugin was written for."""


@hookimpl
def agentperf_cache_backends() -> Mapping[str, Callable[[str], CacheBackend]]:
    """Offer `backend="example"`; what is written after a colon only tells places apart."""
    return {"example": lambda _: ExampleBackend()}


@hookimpl
def agentperf_tokenizers() -> Mapping[str, Callable[[], Tokenizer]]:
    """Offer a tokenizer for every model whose name begins with `example/`."""
    return {"example/*": WordTokenizer}


@hookimpl
def agentperf_exporters() -> Mapping[str, Callable[[], Exporter]]:
    """Offer lines of JSON: `exporters = ["example"]`."""
    return {"example": lambda: LinesExporter(os.environ.get("EXAMPLE_EVENTS", "events.jsonl"))}
