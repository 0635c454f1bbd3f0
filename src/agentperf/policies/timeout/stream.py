"""Streams whose every item has only so much time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from agentperf._engine.streams import AsyncLiveStream, LiveStream
from agentperf._engine.waiting import in_one_go
from agentperf.abc.waiting import Lane
from agentperf.errors import CallTimeout

Fetched = tuple[Any, BaseException | None]
"""An item, or what says that there is none."""
Pace = Callable[[Callable[[], Awaitable[Fetched]]], Awaitable[Fetched]]
"""Fetches an item within its time."""


class _Paced:
    """A stream as the source of another: all that isn't an item comes from it as it is."""

    def __init__(self, stream: Any, pace: Pace) -> None:
        self._stream = stream
        self._pace = pace

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._stream.__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return repr(self._stream)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The type of the stream, so that `isinstance` sees through this."""
        kind: type = self._stream.__class__
        return kind


class PacedStream(_Paced):
    """A synchronous one: its producer works in a lane."""

    def __init__(self, stream: LiveStream, pace: Pace, lane: Lane) -> None:
        super().__init__(stream, pace)
        self._lane = lane
        self._given_up = False

    def _move(self, move: Callable[..., Any], *sent: Any) -> Any:
        try:
            item, stop = in_one_go(self._pace(partial(_fetch, move, sent)))
        except CallTimeout:
            # The producer may be at work still: it is closed when it comes back.
            self._given_up = True
            self._lane.leave(self._stream.close)
            raise
        if stop is not None:
            raise stop
        return item

    def __next__(self) -> Any:
        return self._move(self._stream.__next__)

    def send(self, value: Any) -> Any:
        """Send into the generator, within the time of an item."""
        return self._move(self._stream.send, value)

    def throw(self, *error: Any) -> Any:
        """Throw into the generator, within the time of an item."""
        return self._move(self._stream.throw, *error)

    def close(self) -> None:
        """Close the stream where it was made; one that was given up is closed there anyway."""
        if not self._given_up:
            in_one_go(self._lane.within(None, partial(_close, self._stream), CallTimeout))

    def __exit__(self, *error: object) -> Any:
        return None if self._given_up else self._stream.__exit__(*error)


class AsyncPacedStream(_Paced):
    """An asynchronous one."""

    async def _move(self, move: Callable[..., Awaitable[Any]], *sent: Any) -> Any:
        item, stop = await self._pace(partial(_await, move, sent))
        if stop is not None:
            raise stop
        return item

    async def __anext__(self) -> Any:
        return await self._move(self._stream.__anext__)

    async def asend(self, value: Any) -> Any:
        """Send into the generator, within the time of an item."""
        return await self._move(self._stream.asend, value)

    async def athrow(self, *error: Any) -> Any:
        """Throw into the generator, within the time of an item."""
        return await self._move(self._stream.athrow, *error)


def paced(stream: Any, pace: Pace, lane: Lane, now: Callable[[], float]) -> Any:
    """Make a stream whose items have only so much time."""
    if type(stream) is AsyncLiveStream:
        return AsyncLiveStream(AsyncPacedStream(stream, pace), now)
    return LiveStream(PacedStream(stream, pace, lane), now)


async def _fetch(move: Callable[..., Any], sent: tuple[Any, ...]) -> Fetched:
    try:
        return move(*sent), None
    except StopIteration as stop:  # Python lets none out of a coroutine
        return None, stop


async def _await(move: Callable[..., Awaitable[Any]], sent: tuple[Any, ...]) -> Fetched:
    try:
        return await move(*sent), None
    except StopAsyncIteration as stop:
        return None, stop


async def _close(stream: LiveStream) -> None:
    stream.close()
