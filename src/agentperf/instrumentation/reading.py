"""Iterators that watch the reading of an answer, item by item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentperf.instrumentation.lifecycle import ModelCall


class _Reading:
    """What both colours share.

    No generators: those would be further objects for the garbage collection, and for an event loop
    that shuts down, to close in an order of their own. What is asked of them beyond iteration goes
    to the iterator itself.

    Args:
        inner: The iterator.
        claim: Called at the first item; gives the call that reading belongs to, or None.
        note: Tells a call of an item.
    """

    __slots__ = ("_call", "_claim", "_inner", "_note")

    def __init__(
        self,
        inner: Any,
        claim: Callable[[Any], ModelCall | None],
        note: Callable[[ModelCall, Any], None],
    ) -> None:
        self._inner = inner
        self._claim: Any = claim
        self._note = note
        self._call: ModelCall | None = None

    def _begun(self) -> ModelCall | None:
        """Begin at the first item; None where nobody observes."""
        if self._claim is not None:
            claim, self._claim = self._claim, None
            self._call = claim(self._inner)
        return self._call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class SyncReading(_Reading):
    """Reads a synchronous iterator."""

    __slots__ = ()

    def __iter__(self) -> SyncReading:
        return self

    def __next__(self) -> Any:
        if (call := self._call or self._begun()) is None:
            return next(self._inner)
        call.begin_step()
        try:
            item = next(self._inner)
        except BaseException as error:
            call.stopped(error)
            raise
        self._note(call, item)
        return item


class AsyncReading(_Reading):
    """Reads an asynchronous iterator."""

    __slots__ = ()

    def __aiter__(self) -> AsyncReading:
        return self

    async def __anext__(self) -> Any:
        if (call := self._call or self._begun()) is None:
            return await anext(self._inner)
        call.begin_step()
        try:
            item = await anext(self._inner)
        except BaseException as error:
            call.stopped(error)
            raise
        self._note(call, item)
        return item
