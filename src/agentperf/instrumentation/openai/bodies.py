"""Watches the body of an answer: closed, dropped, or read by the program itself."""

from __future__ import annotations

import functools
import sys
from typing import Any

from agentperf.instrumentation.lifecycle import ModelCall
from agentperf.instrumentation.reading import AsyncReading, SyncReading


class _Body:
    """A body of the HTTP library's own kind; everything else about it is the original's."""

    def __init__(self, inner: Any, call: ModelCall) -> None:
        self._inner = inner
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _SyncBody(_Body):
    def __iter__(self) -> Any:
        call, inner = self._call, iter(self._inner)
        return inner if call.claimed else SyncReading(inner, lambda _: call, ModelCall.piece)

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._call.closed()


class _AsyncBody(_Body):
    def __aiter__(self) -> Any:
        call, inner = self._call, aiter(self._inner)
        return inner if call.claimed else AsyncReading(inner, lambda _: call, ModelCall.piece)

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._call.closed()


@functools.cache
def _kinds(library: str) -> tuple[tuple[type, type], ...]:
    """Make the two classes for an HTTP library, whose own kinds of body they must be."""
    module = sys.modules[library]
    return tuple(
        (kind, type(watching.__name__, (watching, kind), {}))
        for kind, watching in (
            (module.AsyncByteStream, _AsyncBody),
            (module.SyncByteStream, _SyncBody),
        )
    )


def observe_body(response: Any, call: ModelCall) -> None:
    """Watch a body that is still to come; the library's own kind decides how."""
    if response.is_closed:
        return
    library = type(response).__module__.partition(".")[0]
    for kind, watching in _kinds(library):
        if isinstance(response.stream, kind):
            response.stream = watching(response.stream, call)
            return
