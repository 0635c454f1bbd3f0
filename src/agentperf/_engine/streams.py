"""Streams as values: a transparent stand-in that tells its items and, exactly once, its end."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Self

from agentperf._base.endings import Ending
from agentperf._base.log import fault
from agentperf._engine.frames import Frame, current_frame, leave

ItemWatcher = Callable[[Any, float], object]
"""Called with each item and the seconds the producer took for it, as the item is handed over."""
EndWatcher = Callable[[Any, Ending, BaseException | None], object]
"""Called once with the stream, the way it ended, and the error where it failed.

What it returns for an asynchronous stream that was read to its end is awaited, if it can be, before
the reader learns of the end.

The stream is handed in because a watcher that held on to it would keep an abandoned stream alive.
"""

_NOTHING: Any = object()


class _Life:
    """What both colours share: the watchers, the first item held back, the one end."""

    __slots__ = (
        "__weakref__",
        "_ended",
        "_handed",
        "_held",
        "_iterator",
        "_now",
        "_on_end",
        "_on_item",
        "_settling",
        "_source",
        "_thrown",
        "frame",
        "left",
        "paused",
        "replayable",
        "returned",
    )

    def __init__(self, source: Any, iterator: Any, now: Callable[[], float]) -> None:
        self._source = source
        # A source that can give its items itself does: an iterator over it would have to be closed.
        self._iterator = iterator
        self._now = now
        self._held: Any = _NOTHING
        self._ended = False
        self._handed = now()  # the first item is not asked for yet
        self._on_item: list[ItemWatcher] = []
        self._on_end: list[EndWatcher] = []
        self._settling: list[Awaitable[object]] = []
        self._thrown: object = None
        self.left = False
        """Whether the reader ended it by an error of its own, thrown in and not caught there."""
        self.frame: Frame | None = None
        """The operation that is current while the producer works."""
        self.paused = 0.0
        """Seconds that the reader took between items; counted where items are watched."""
        self.replayable = True
        """False once the consumer sent something in: the items then belong to that exchange."""
        self.returned: Any = None
        """What a generator returned, once it is exhausted."""

    def watch(
        self, *, item: ItemWatcher | None = None, end: EndWatcher | None = None, first: bool = False
    ) -> None:
        """Be told of every item and of the end; `first` puts this before the watchers there are."""
        if item is not None:
            self._on_item.append(item)
        if end is not None:
            self._on_end.insert(0 if first else len(self._on_end), end)

    def through(self, wrap: Callable[[Any], Any]) -> None:
        """Read the items through what `wrap` makes of the iterator they come from."""
        self._iterator = wrap(self._iterator)

    @property
    def primed(self) -> bool:
        """Whether the first item is here already, held back for the consumer."""
        return self._held is not _NOTHING

    def _hold(self, item: Any, start: float, end: BaseException | None) -> None:
        """Keep the first item, asked for at `start`, or the news that there is none."""
        self._handed = self._now()
        self._held = (item, self._handed - start, end)

    def _release(self) -> Any:
        """Hand over what priming fetched: the first item, or the news that there is none."""
        (item, seconds, stop), self._held = self._held, _NOTHING
        if self._on_item:
            self._handed = self._asked()
        if stop is not None:
            self._exhausted(stop)
            raise stop
        return self._given(item, seconds)

    def _asked(self) -> float:
        """Note that the reader wants an item; return when."""
        now = self._now()
        self.paused += now - self._handed
        return now

    def _given(self, item: Any, seconds: float) -> Any:
        for watcher in self._on_item:
            try:
                watcher(item, seconds)
            except Exception as error:  # noqa: BLE001 - an observer must not change the observed
                fault("stream.watcher_failed", error)
        return item

    def _exhausted(self, stop: BaseException) -> None:
        self.returned = getattr(stop, "value", None)
        self._end(Ending.COMPLETED)

    def _throwing(self, error: tuple[Any, ...]) -> tuple[Any, ...]:
        """Note what the reader throws in, so that it is known if it comes out; return that."""
        self.replayable = False
        if len(error) == 1 and isinstance(error[0], type):
            error = (error[0](),)
        self._thrown = next((one for one in error if isinstance(one, Exception)), None)
        return error

    def _broke(self, error: BaseException) -> None:
        if error is self._thrown:
            self.left = True
            self._end(Ending.CLOSED)
        elif isinstance(error, Exception):
            self._end(Ending.FAILED, error)
        else:
            self._end(Ending.CANCELLED, error)

    def _end(self, ending: Ending, error: BaseException | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        # Let go, since they may hold whoever holds this stream.
        watchers, self._on_end, self._on_item = self._on_end, [], []
        for watcher in watchers:
            try:
                left = watcher(self, ending, error)
            except Exception as problem:  # noqa: BLE001 - settling must reach every layer
                fault("stream.settling_failed", problem)
            else:
                if inspect.isawaitable(left):
                    self._settling.append(left)

    def __del__(self) -> None:
        if getattr(self, "_ended", True) is False:
            self._end(Ending.ABANDONED)

    def __getattr__(self, name: str) -> Any:
        if name in _Life.__slots__:  # not set yet: the source refused to be iterated
            raise AttributeError(name)
        return getattr(self._source, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._source.__reduce_ex__(protocol)  # a twin of ours would settle a second time

    def __repr__(self) -> str:
        return repr(self._source)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The type of the source, so that `isinstance` sees through the stand-in."""
        source: type = self._source.__class__
        return source


class LiveStream(_Life):
    """A synchronous stream on its way from producer to consumer."""

    __slots__ = ()

    def __init__(self, source: Any, now: Callable[[], float]) -> None:
        super().__init__(source, source if hasattr(source, "__next__") else iter(source), now)

    def prime(self) -> None:
        """Fetch the first item and hold it back; an error before it is the call's own error."""
        start, end = self._now(), None
        try:
            item = next(self._iterator)
        except StopIteration as stop:
            item, end = None, stop
        except BaseException as error:
            self._broke(error)
            raise
        self._hold(item, start, end)

    def _advance(self, move: Callable[..., Any], *sent: Any) -> Any:
        token = None if self.frame is None else current_frame.set(self.frame)
        watched = self._on_item
        start = self._asked() if watched else 0.0
        try:
            item = move(*sent)
        except StopIteration as stop:
            self._exhausted(stop)
            raise
        except BaseException as error:
            self._broke(error)
            raise
        finally:
            if token is not None:
                leave(token)
        if not watched:
            return item
        self._handed = self._now()
        return self._given(item, self._handed - start)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._held is not _NOTHING:
            return self._release()
        return self._advance(self._iterator.__next__)

    def send(self, value: Any) -> Any:
        """Send into the generator, as its own `send` does."""
        if value is None:
            return self.__next__()
        self.replayable = False
        return self._advance(self._iterator.send, value)

    def throw(self, *error: Any) -> Any:
        """Throw into the generator, as its own `throw` does."""
        error = self._throwing(error)
        try:
            return self._advance(getattr(self._iterator, "throw", _raise), *error)
        finally:
            self._thrown = None

    def close(self) -> None:
        """Close the source; the stream ends here unless it has ended before."""
        try:
            if (close := getattr(self._source, "close", None)) is not None:
                close()
        finally:
            self._end(Ending.CLOSED)

    def __enter__(self) -> Self:
        if (enter := getattr(self._source, "__enter__", None)) is not None:
            enter()
        return self

    def __exit__(self, *error: object) -> Any:
        if (leave_source := getattr(self._source, "__exit__", None)) is None:
            return self.close()
        try:
            return leave_source(*error)
        finally:
            self._end(Ending.CLOSED)


class AsyncLiveStream(_Life):
    """An asynchronous stream on its way from producer to consumer."""

    __slots__ = ()

    def __init__(self, source: Any, now: Callable[[], float]) -> None:
        super().__init__(source, source if hasattr(source, "__anext__") else aiter(source), now)

    async def prime(self) -> None:
        """Fetch the first item and hold it back; an error before it is the call's own error."""
        start, end = self._now(), None
        try:
            item = await anext(self._iterator)
        except StopAsyncIteration as stop:
            item, end = None, stop
        except BaseException as error:
            self._broke(error)
            raise
        self._hold(item, start, end)

    async def _advance(self, move: Callable[..., Awaitable[Any]], *sent: Any) -> Any:
        token = None if self.frame is None else current_frame.set(self.frame)
        watched = self._on_item
        start = self._asked() if watched else 0.0
        try:
            item = await move(*sent)
        except StopAsyncIteration as stop:
            self._exhausted(stop)
            await self._settled()
            raise
        except BaseException as error:
            self._broke(error)
            raise
        finally:
            if token is not None:
                leave(token)
        if not watched:
            return item
        self._handed = self._now()
        return self._given(item, self._handed - start)

    async def _settled(self) -> None:
        """Let the watchers finish what they began at the end."""
        while self._settling:
            try:
                await self._settling.pop()
            except Exception as problem:  # noqa: BLE001 - an observer must not change the observed
                fault("stream.settling_failed", problem)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if self._held is not _NOTHING:
            try:
                return self._release()
            except StopAsyncIteration:
                await self._settled()
                raise
        return await self._advance(self._iterator.__anext__)

    async def asend(self, value: Any) -> Any:
        """Send into the generator, as its own `asend` does."""
        if value is None:
            return await self.__anext__()
        self.replayable = False
        return await self._advance(self._iterator.asend, value)

    async def athrow(self, *error: Any) -> Any:
        """Throw into the generator, as its own `athrow` does."""
        error = self._throwing(error)
        try:
            return await self._advance(self._iterator.athrow, *error)
        finally:
            self._thrown = None

    async def aclose(self) -> None:
        """Close the source; the stream ends here unless it has ended before."""
        try:
            close = getattr(self._source, "aclose", None) or getattr(self._source, "close", None)
            if close is not None and inspect.isawaitable(closing := close()):
                await closing
        finally:
            self._end(Ending.CLOSED)

    close = aclose

    async def __aenter__(self) -> Self:
        if (enter := getattr(self._source, "__aenter__", None)) is not None:
            await enter()
        return self

    async def __aexit__(self, *error: object) -> Any:
        if (leave_source := getattr(self._source, "__aexit__", None)) is None:
            return await self.aclose()
        try:
            return await leave_source(*error)
        finally:
            self._end(Ending.CLOSED)


def _raise(error: BaseException, *_: object) -> Any:
    """Do as `yield from` does with an iterator that has no `throw`."""
    raise error


AnyLiveStream = LiveStream | AsyncLiveStream
LIVE = frozenset({LiveStream, AsyncLiveStream})


def producing(value: Any, seconds: float) -> float:
    """Return how much of the seconds of a call was work: of a watched stream without the pauses."""
    return seconds - value.paused if type(value) in LIVE else seconds


_SDK_STREAMS: dict[str, Callable[..., AnyLiveStream]] = {
    "openai.Stream": LiveStream,
    "openai._streaming.Stream": LiveStream,
    "openai.AsyncStream": AsyncLiveStream,
    "openai._streaming.AsyncStream": AsyncLiveStream,
    "anthropic._streaming.Stream": LiveStream,
    "anthropic._streaming.AsyncStream": AsyncLiveStream,
    "anthropic.Stream": LiveStream,
    "anthropic.AsyncStream": AsyncLiveStream,
}
"""Streams of client libraries, known by name so that none of them has to be imported."""


def sdk_name(kind: type | None) -> str | None:
    """Return the name under which a class of streams is known; None for any other class."""
    for base in () if kind is None else kind.__mro__:
        if (name := f"{base.__module__}.{base.__qualname__}") in _SDK_STREAMS:
            return name
    return None


def sdk_class(name: object) -> type | None:
    """Return the class of that name, where this process has loaded it."""
    if not isinstance(name, str) or name not in _SDK_STREAMS:
        return None
    module, _, attribute = name.rpartition(".")
    return getattr(sys.modules.get(module), attribute, None)


def stream_of(items: Any, now: Callable[[], float], *, is_async: bool) -> AnyLiveStream | None:
    """Make a stream, for a function that has to give one, of what else can be iterated.

    Returns:
        None where it can't be iterated in this colour.
    """
    if is_async:
        source = _one_by_one(items) if hasattr(type(items), "__iter__") else items
        return AsyncLiveStream(source, now) if hasattr(type(source), "__aiter__") else None
    return LiveStream(iter(items), now) if hasattr(type(items), "__iter__") else None


async def _one_by_one(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


class TurnedAsync(BaseException):
    """A plain function gave back an awaitable: the call has to be driven as asynchronous.

    Not an `Exception`, so that every layer lets it through as it lets a cancellation through.
    """

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        super().__init__()
        self.awaitable = awaitable


class Recogniser:
    """Tells plain results from streams and awaitables, remembering the types that are plain.

    Attributes:
        plain: Types known to be plain; a layer that finds its result's type here need not ask.
    """

    _REMEMBERED = 1024

    def __init__(self, now: Callable[[], float], *, is_async: bool) -> None:
        self.now = now
        self.plain: set[type] = {type(None), bool, int, float, str, bytes, list, dict, tuple}
        self._is_async = is_async

    def __call__(self, value: Any, kwargs: dict[str, Any]) -> Any:
        """Return a live stream for a stream, the value itself for anything else.

        Raises:
            TurnedAsync: A call that was taken for synchronous gave an awaitable.
        """
        kind = type(value)
        if kind in LIVE:
            return value
        if inspect.isawaitable(value):
            if self._is_async or hasattr(kind, "__aenter__"):
                return value  # it can be more than awaited: `async with session.get(url)`
            raise TurnedAsync(value)
        if (stand_in := _stand_in(kind, kwargs, is_async=self._is_async)) is not None:
            return stand_in(value, self.now)
        if not _iterates(kind) and len(self.plain) < self._REMEMBERED:
            self.plain.add(kind)
        return value


def _stand_in(
    kind: type, kwargs: dict[str, Any], *, is_async: bool
) -> Callable[..., AnyLiveStream] | None:
    if kind is GeneratorType:
        return LiveStream
    if kind is AsyncGeneratorType:
        return AsyncLiveStream
    if (known := sdk_name(kind)) is not None:
        return _SDK_STREAMS[known]
    if kwargs.get("stream") is True:
        # The caller asked for a stream; any other iterator (a file, a cursor) is a plain value.
        # One that can be read in both ways is read in that of the call.
        methods = ["__next__", "__anext__"]
        for method in reversed(methods) if is_async else methods:
            if hasattr(kind, method):
                return LiveStream if method == "__next__" else AsyncLiveStream
    return None


def _iterates(kind: type) -> bool:
    return hasattr(kind, "__next__") or hasattr(kind, "__anext__")
