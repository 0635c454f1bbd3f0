"""Streams in a cache: recorded as they are read, replayed item for item."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from types import AsyncGeneratorType, GeneratorType
from typing import Any, cast

from agentperf._engine.streams import AnyLiveStream, AsyncLiveStream, LiveStream
from agentperf.policies.cached.state import Recording


def items_of(answer: Any) -> Any:
    """Return the items of a recorded stream; any other answer as it is."""
    return answer.items if type(answer) is Recording else answer


def replayed(
    recording: Recording, own: Callable[[Any], Any], now: Callable[[], float]
) -> AnyLiveStream:
    """Make a stream that gives a recording's items again, each reader its own."""
    kind = recording.kind
    items: Any
    if recording.is_async:
        items = _replay_async(recording, own)
        bare = kind is None or kind is AsyncGeneratorType
        return AsyncLiveStream(items if bare else AsyncReplay(kind, items), now)
    items = _replay(recording, own)
    bare = kind is None or kind is GeneratorType
    return LiveStream(items if bare else Replay(kind, items), now)


class Replay:
    """What the replay of a client's stream reads from: it looks like such a stream."""

    __slots__ = ("_items", "_kind")

    def __init__(self, kind: Any, items: Any) -> None:
        self._kind = kind
        self._items = items

    def __iter__(self) -> Any:
        return self._items

    def close(self) -> None:
        """Give nothing more."""
        self._items.close()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"this {self._kind.__name__} is replayed from a cache and has no {name!r}: nothing was "
            "asked of the upstream"
        )

    def __repr__(self) -> str:
        return f"<{self._kind.__qualname__}, replayed from a cache>"

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._kind  # type: ignore[no-any-return]


class AsyncReplay(Replay):
    """The same for an asynchronous stream."""

    __slots__ = ()

    def __aiter__(self) -> Any:
        return self._items

    async def aclose(self) -> None:
        """Give nothing more."""
        await self._items.aclose()


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
