"""Faults on purpose: calls that fail, take long, hang, or break off in the middle of a stream."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from agentperf._base.callables import Shape, shape_of
from agentperf._base.durations import Duration, seconds
from agentperf._engine.current import current_host
from agentperf._engine.waiting import waiting_for
from agentperf.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Fault:
    """What happens to one call.

    Attributes:
        error: Raised instead of calling, or after `after` items.
        wait: Seconds to let pass before calling; infinite for a call that hangs.
        after: How many items of a stream to let through before `error`.
    """

    error: BaseException | type[BaseException] | None = None
    wait: float = 0.0
    after: int | None = None


def succeed() -> Fault:
    """Let the call be."""
    return Fault()


def fail(error: BaseException | type[BaseException] = ConnectionError) -> Fault:
    """Raise instead of calling."""
    return Fault(error=error)


def delay(duration: Duration) -> Fault:
    """Let time pass on the host's clock before calling."""
    return Fault(wait=seconds(duration, "duration"))


def hang() -> Fault:
    """Never come back; only a cancellation or a timeout ends the call."""
    return Fault(wait=float("inf"))


def cut(after: int, error: BaseException | type[BaseException] = ConnectionError) -> Fault:
    """Break a stream off after so many items.

    Raises:
        ConfigurationError: `after` is negative.
    """
    if after < 0:
        raise ConfigurationError(f"after={after!r}: how many items to let through, such as after=3")
    return Fault(error=error, after=after)


def faulty(function: F, *script: Fault, repeat: bool = False) -> F:
    """Return the function with faults: the first call meets the first of `script`, and so on.

    When the script is over, calls go through untouched, or it begins again with `repeat`.

    Example:
        search = faulty(search, fail(TimeoutError), delay("2s"), succeed())

    Raises:
        ConfigurationError: The script is empty, or cuts the stream of a function that gives none.
    """
    shape = shape_of(function)
    if not script:
        raise ConfigurationError(
            "faulty() needs a script, such as faulty(search, fail(TimeoutError))"
        )
    if not shape.streams and any(fault.after is not None for fault in script):
        raise ConfigurationError("cut() is for generators; this function gives no stream")
    endless = (
        itertools.cycle(script) if repeat else itertools.chain(script, itertools.repeat(Fault()))
    )
    return _WRAPPERS[shape](function, endless)  # type: ignore[return-value]  # same signature


async def _meet(fault: Fault, *, is_async: bool) -> None:
    waiting = waiting_for(is_async=is_async, clock=current_host().clock)
    if fault.wait == float("inf"):
        await waiting.parker().park()
    elif fault.wait:
        await waiting.sleep(fault.wait)
    if fault.error is not None and fault.after is None:
        raise fault.error


def _meet_now(fault: Fault) -> None:
    with contextlib.suppress(StopIteration):
        _meet(fault, is_async=False).send(None)


def _function(function: Callable[..., Any], script: Iterator[Fault]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        _meet_now(next(script))
        return function(*args, **kwargs)

    return call


def _coroutine(function: Callable[..., Any], script: Iterator[Fault]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        await _meet(next(script), is_async=True)
        return await function(*args, **kwargs)

    return call


def _generator(function: Callable[..., Any], script: Iterator[Fault]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, None, None]:
        fault = next(script)
        _meet_now(fault)
        for given, item in enumerate(function(*args, **kwargs)):
            if given == fault.after and fault.error is not None:
                raise fault.error
            yield item

    return call


def _async_generator(function: Callable[..., Any], script: Iterator[Fault]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        fault = next(script)
        await _meet(fault, is_async=True)
        given = 0
        async for item in function(*args, **kwargs):
            if given == fault.after and fault.error is not None:
                raise fault.error
            given += 1
            yield item

    return call


_WRAPPERS: dict[Shape, Callable[..., Callable[..., Any]]] = {
    Shape.FUNCTION: _function,
    Shape.COROUTINE: _coroutine,
    Shape.GENERATOR: _generator,
    Shape.ASYNC_GENERATOR: _async_generator,
}
