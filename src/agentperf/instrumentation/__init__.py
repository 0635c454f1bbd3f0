"""Measures other libraries from the inside: model calls and HTTP requests, without decorators."""

from __future__ import annotations

from agentperf.instrumentation.registry import extend, instrument, uninstrument

__all__ = ["extend", "instrument", "uninstrument"]
