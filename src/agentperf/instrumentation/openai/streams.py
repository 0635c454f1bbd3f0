"""Watches the SDK's own streams while they read; what the program holds stays the SDK's object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentperf.instrumentation.lifecycle import ModelCall
from agentperf.instrumentation.openai.answers import claim
from agentperf.instrumentation.patches import Patch
from agentperf.instrumentation.reading import AsyncReading, SyncReading


def watched_sync(original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
    """Make the wrapper of `Stream.__stream__`."""
    return _watched(original, patch, SyncReading)


def watched_async(original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
    """Make the wrapper of `AsyncStream.__stream__`."""
    return _watched(original, patch, AsyncReading)


def _watched(
    original: Callable[..., Any], patch: Patch, reading: type[SyncReading | AsyncReading]
) -> Callable[..., Any]:
    def __stream__(self: Any) -> Any:  # noqa: N807 - the SDK's name
        inner = original(self)
        if not patch.active:
            return inner
        response = self.response
        return reading(inner, lambda reader: claim(response, reader), ModelCall.item)

    return __stream__
