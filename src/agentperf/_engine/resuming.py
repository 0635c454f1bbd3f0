"""Streams that broke and go on: with which arguments, and as one stream to their reader."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping
from inspect import iscoroutinefunction
from typing import Any

from agentperf._base.log import fault
from agentperf._engine.site import Target
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
    if resume is not None and (not callable(resume) or iscoroutinefunction(resume)):
        raise ConfigurationError(
            f"resume={resume!r}: a plain function of the items given so far and the call's "
            "arguments that returns the arguments to change, such as "
            'resume=lambda items, prompt: {"prompt": prompt + "".join(items)}'
        )
    return resume


def resumed(
    resume: Resume, given: list[Any], target: Target, args: Args, kwargs: Kwargs
) -> tuple[Args, Kwargs] | None:
    """Return the arguments of a call that gives the items after those; None where none can.

    Args:
        resume: What the user wrote.
        given: The items that were handed over; what the user gets is a list of its own.
        target: The function.
        args: The arguments of the first call.
        kwargs: The same.
    """
    try:
        changes = resume(list(given), *args, **kwargs)
        return None if changes is None else changed(target.signature, changes, args, kwargs)
    except Exception as error:  # noqa: BLE001 - the error at hand is what the reader must see
        fault("stream.resume_failed", error)
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
        return AsyncLiveStream(_read_async(stream, mend), now)
    return LiveStream(_read(stream, mend), now)  # type: ignore[arg-type]


def _read(stream: LiveStream, mend: Mend) -> Generator[Any, Any, Any]:
    while True:
        try:
            return (yield from stream)
        except Exception as error:
            if stream.left:
                raise
            stream, between = mend(stream, error)
        yield from between


async def _read_async(stream: AsyncLiveStream, mend: Mend) -> AsyncIterator[Any]:
    between: Iterable[Any]
    sent = None
    try:
        while True:
            try:
                item = await stream.asend(sent)
            except StopAsyncIteration:
                return
            except Exception as error:  # noqa: BLE001 - judged by who mends
                stream, between = await mend(stream, error)
            else:
                sent = yield item
                continue
            sent = None
            for item in between:
                yield item
    finally:
        await stream.aclose()
