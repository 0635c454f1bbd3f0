"""Streams in a cache: recorded as they are read, replayed item for item."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, cast

from agentperf._engine.streams import AnyLiveStream, AsyncLiveStream, LiveStream
from agentperf.policies.cached.state import Recording


class Recorder:
    """Takes down the items of a stream while somebody reads it."""

    def __init__(self, own: Callable[[Any], Any]) -> None:
        self._own = own
        self._items: list[Any] = []
        self._error: Exception | None = None

    def item(self, item: Any, _: float) -> None:
        """Keep an item, as a copy where its reader could change it."""
        if self._error is not None:
            return
        try:
            self._items.append(self._own(item))
        except Exception as error:  # noqa: BLE001 - copying runs the item's own code
            self._error = error
            self._items.clear()

    def recording(self, stream: AnyLiveStream) -> Recording:
        """Return the whole stream.

        Raises:
            Exception: What it gave can't be copied.
        """
        if self._error is not None:
            raise self._error
        is_async = type(stream) is AsyncLiveStream
        return Recording(tuple(self._items), self._own(stream.returned), is_async)


def items_of(answer: Any) -> Any:
    """Return the items of a recorded stream; any other answer as it is."""
    return answer.items if type(answer) is Recording else answer


def replayed(
    recording: Recording, own: Callable[[Any], Any], now: Callable[[], float]
) -> AnyLiveStream:
    """Make a stream that gives a recording's items again, each reader its own."""
    if recording.is_async:
        return AsyncLiveStream(_replay_async(recording, own), now)
    return LiveStream(_replay(recording, own), now)


async def drained(stream: AnyLiveStream) -> None:
    """Read a stream to its end, for nobody."""
    if type(stream) is AsyncLiveStream:
        async for _ in stream:
            pass
    else:
        for _ in cast(LiveStream, stream):
            pass


def _replay(recording: Recording, own: Callable[[Any], Any]) -> Generator[Any, None, Any]:
    for item in recording.items:
        yield own(item)
    return own(recording.returned)


async def _replay_async(recording: Recording, own: Callable[[Any], Any]) -> AsyncIterator[Any]:
    for item in recording.items:
        yield own(item)
