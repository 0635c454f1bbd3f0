"""Streams that broke and go on: with which arguments, and as one stream to their reader."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from agentperf._base.callables import may_take, name_of, refuse_async
from agentperf._base.log import fault
from agentperf._engine.site import Site, Target
from agentperf._engine.streams import AnyLiveStream, AsyncLiveStream, LiveStream
from agentperf.errors import ConfigurationError

Args = tuple[Any, ...]
Kwargs = dict[str, Any]

Resume = Callable[..., Mapping[str, Any] | None]
"""Given a stream's items so far and the call's arguments, says which arguments to go on with."""

Mend = Callable[[AnyLiveStream, Exception], Any]
"""Made by `flow`: from a stream that broke and its error to the stream that goes on in its place,
and items that come before it; raises where nothing goes on."""


def checked_resume(resume: Resume | None) -> Resume | None:
    """Check what the user wrote.

    Raises:
        ConfigurationError: It is no plain function.
    """
    if resume is not None and not callable(resume):
        raise ConfigurationError(
            f"resume={resume!r}: a plain function of the items given so far and the call's "
            f"arguments that returns the arguments to change, such as {_EXAMPLE}"
        )
    if resume is not None:
        refuse_async("resume", resume, _EXAMPLE)
    return resume


_EXAMPLE = 'resume=lambda items, prompt: {"prompt": prompt + "".join(items)}'


def check_resume(resume: Resume | None, target: Target) -> None:
    """Refuse a `resume=` that can't be called with the items and a call's arguments.

    Raises:
        ConfigurationError: It has other parameters.
    """
    if resume is not None and not may_take(resume, target.signature, more=1):
        raise ConfigurationError(
            f"{target.operation}: resume={name_of(resume)} is called with the items given so far "
            f"and then the call's arguments, so as in {_EXAMPLE}"
        )


def resumed(
    resume: Resume, given: list[Any], site: Site, call: tuple[Args, Kwargs], broke: Exception
) -> tuple[Args, Kwargs] | None:
    """Return the arguments of a call that gives the items after those; None where none can.

    Args:
        resume: What the user wrote.
        given: The items that were handed over; what the user gets is a list of its own.
        site: Where the call was made.
        call: The arguments of the first call.
        broke: What ended the stream; it gets a note where the user's function is what fails.
    """
    args, kwargs = call
    try:
        changes = resume(list(given), *args, **kwargs)
        return None if changes is None else changed(site.target.signature, changes, args, kwargs)
    except Exception as error:  # noqa: BLE001 - the error at hand is what the reader must see
        fault("stream.resume_failed", error, operation=site.operation)
        broke.add_note(f"resume= failed, so the stream ends here: {type(error).__name__}: {error}")
        return None


def changed(
    signature: inspect.Signature, changes: Mapping[str, Any], args: Args, kwargs: Kwargs
) -> tuple[Args, Kwargs]:
    """Return a call's arguments with some of them changed, by the names of the parameters.

    Raises:
        TypeError: The call doesn't fit the signature, or there is no such parameter.
    """
    bound, rest = signature.bind(*args, **kwargs), takes_any(signature)
    for name, value in dict(changes).items():
        if name in signature.parameters:
            bound.arguments[name] = value
        elif rest is not None:
            bound.arguments[rest] = {**bound.arguments.get(rest, {}), name: value}
        else:
            raise TypeError(f"{name!r} is no parameter")
    return bound.args, bound.kwargs


def arguments_of(signature: inspect.Signature, args: Args, kwargs: Kwargs) -> Kwargs:
    """Return the arguments that a call has by name, defaults too; none where it doesn't fit."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return {}
    bound.apply_defaults()
    return {**bound.arguments, **bound.arguments.get(takes_any(signature) or "", {})}


def takes_any(signature: inspect.Signature) -> str | None:
    """Return the name of the parameter that takes any other keyword; None where there is none."""
    kinds = signature.parameters.values()
    return next((each.name for each in kinds if each.kind is each.VAR_KEYWORD), None)


def noted(stream: AnyLiveStream, given: list[Any]) -> AnyLiveStream:
    """Have the items of a stream noted as they are handed over."""
    stream.watch(item=lambda item, _: given.append(item))
    return stream


def mended(stream: AnyLiveStream, mend: Mend, now: Callable[[], float]) -> AnyLiveStream:
    """Make one stream of one that may break and those that go on in its place."""
    if type(stream) is AsyncLiveStream:
        return AsyncLiveStream(_AsyncMending(stream, mend).source(), now)
    return LiveStream(_Mending(stream, mend).source(), now)


class _Mending:
    """What a mended stream reads from: it looks like the stream that gives the items now."""

    __slots__ = ("_items", "_mend", "_stream")

    def __init__(self, stream: Any, mend: Mend) -> None:
        self._stream = stream
        self._mend = mend
        self._items: Any = self._read()

    def source(self) -> Any:
        """Return a generator where the stream was one, else something of its class."""
        bare = isinstance(self._stream, GeneratorType | AsyncGeneratorType)
        return self._items if bare else self

    def _read(self) -> Any:
        while True:
            try:
                return (yield from self._stream)
            except Exception as error:
                if self._stream.left:
                    raise
                self._stream, between = self._mend(self._stream, error)
            yield from between

    def __iter__(self) -> Any:
        return self._items

    def close(self) -> None:
        """Close the stream that gives the items now, also where none was asked for yet."""
        try:
            self._items.close()
        finally:
            self._stream.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # how it is read and left is said here
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __repr__(self) -> str:
        return repr(self._stream)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._stream.__class__  # type: ignore[no-any-return]


class _AsyncMending(_Mending):
    """The same for an asynchronous stream."""

    __slots__ = ()

    async def _read(self) -> Any:
        between: Iterable[Any]
        sent = None
        try:
            while True:
                try:
                    item = await self._stream.asend(sent)
                except StopAsyncIteration:
                    return
                except Exception as error:  # noqa: BLE001 - judged by who mends
                    self._stream, between = await self._mend(self._stream, error)
                else:
                    sent = yield item
                    continue
                sent = None
                for item in between:
                    yield item
        finally:
            await self._stream.aclose()

    def __aiter__(self) -> Any:
        return self._items

    async def aclose(self) -> None:
        """Close the stream that gives the items now, also where none was asked for yet."""
        try:
            await self._items.aclose()
        finally:
            await self._stream.aclose()
