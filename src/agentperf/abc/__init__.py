"""Contracts: what agentperf asks of the parts that can be exchanged."""

from __future__ import annotations

from agentperf.abc.backends import AnyBackend, AsyncCacheBackend, Backends, CacheBackend
from agentperf.abc.exporters import Exporter, Noted
from agentperf.abc.extensions import Compressor, Embedder, PriceRow, Subscriber
from agentperf.abc.stores import AsyncStore, Decision, Record, Store
from agentperf.abc.telemetry import Recorder, Tap
from agentperf.abc.tokenizers import Tokenizer
from agentperf.abc.waiting import Parker, Waiting

__all__ = [
    "AnyBackend",
    "AsyncCacheBackend",
    "AsyncStore",
    "Backends",
    "CacheBackend",
    "Compressor",
    "Decision",
    "Embedder",
    "Exporter",
    "Noted",
    "Parker",
    "PriceRow",
    "Record",
    "Recorder",
    "Store",
    "Subscriber",
    "Tap",
    "Tokenizer",
    "Waiting",
]
