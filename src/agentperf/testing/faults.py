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
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.waiting import ThreadWaiting, in_one_go
from agentperf.abc.waiting import Waiting
from agentperf.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])
Error = BaseException | type[BaseException]


@dataclass(frozen=True)
class Fault:
    """What happens to one call.

    Attributes:
        error: Raised instead of calling, or after `after` items.
        wait: Seconds to let pass before calling; infinite for a call that hangs.
        after: How many items of a stream to let through before `error`.
    """

    error: Error | None = None
    wait: float = 0.0
    after: int | None = None

    def strike(self) -> None:
        """Raise the error, where there is one."""
        if self.error is not None:
            raise self.error


def succeed() -> Fault:
    """Let the call be."""
    return Fault()


def fail(error: Error = ConnectionError) -> Fault:
    """Raise instead of calling.

    Raises:
        ConfigurationError: `error` can't be raised.
    """
    return Fault(error=_raisable(error))


def delay(duration: Duration) -> Fault:
    """Let time pass on the host's clock before calling."""
    return Fault(wait=seconds(duration, "duration"))


def hang() -> Fault:
    """Never come back; only a cancellation or a timeout ends the call."""
    return Fault(wait=float("inf"))


def cut(after: int, error: Error = ConnectionError) -> Fault:
    """Break a stream off after so many items; one that has fewer ends as it would.

    Raises:
        ConfigurationError: `after` is no number of items, or `error` can't be raised.
    """
    if not isinstance(after, int) or after < 0:
        raise ConfigurationError(f"after={after!r}: how many items to let through, such as after=3")
    return Fault(error=_raisable(error), after=after)


def faulty(function: F, *script: Fault, repeat: bool = False) -> F:
    """Return the function with faults: the first call meets the first of `script`, and so on.

    When the script is over, calls go through untouched, or it begins again with `repeat`.

    Example:
        search = faulty(search, fail(TimeoutError), delay("2s"), succeed())

    Raises:
        ConfigurationError: The script is empty, holds something else than faults, or cuts the
            stream of a function that gives none.
    """
    shape = shape_of(function)
    if not script or not all(isinstance(fault, Fault) for fault in script):
        raise ConfigurationError(
            "faulty() needs a script of faults, such as faulty(search, fail(TimeoutError))"
        )
    if not shape.streams and any(fault.after is not None for fault in script):
        raise ConfigurationError("cut() is for generators; this function gives no stream")
    endless = (
        itertools.cycle(script) if repeat else itertools.chain(script, itertools.repeat(Fault()))
    )
    return _WRAPPERS[shape](function, endless)  # type: ignore[return-value]  # same signature


def _raisable(error: object) -> Any:
    if isinstance(error, BaseException):
        return error
    if isinstance(error, type) and issubclass(error, BaseException):
        return error
    raise ConfigurationError(f"error={error!r}: an exception is needed, such as error=TimeoutError")


async def _wait(fault: Fault, *, is_async: bool) -> None:
    clock = current_host().clock
    waiting: Waiting = LoopWaiting(clock) if is_async else ThreadWaiting(clock)
    if fault.wait == float("inf"):
        await waiting.parker().park()
    elif fault.wait:
        await waiting.sleep(fault.wait)


def _meet_now(fault: Fault) -> None:
    in_one_go(_wait(fault, is_async=False))
    if fault.after is None:
        fault.strike()


async def _meet(fault: Fault) -> None:
    await _wait(fault, is_async=True)
    if fault.after is None:
        fault.strike()


def _function(function: Callable[..., Any], script: Iterator[Fault]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        _meet_now(next(script))
        return function(*args, **kwargs)

    return call


def _coroutine(function: Callable[..., Any], script: Iterator[Fault]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        await _meet(next(script))
        return await function(*args, **kwargs)

    return call


def _generator(function: Callable[..., Any], script: Iterator[Fault]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        fault = next(script)
        _meet_now(fault)
        if fault.after is None:
            return (yield from function(*args, **kwargs))
        given = 0
        with contextlib.closing(function(*args, **kwargs)) as stream:
            for item in itertools.islice(stream, fault.after):
                given += 1
                yield item
        if given == fault.after:
            fault.strike()

    return call


def _async_generator(function: Callable[..., Any], script: Iterator[Fault]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        fault = next(script)
        await _meet(fault)
        given = 0
        async with contextlib.aclosing(function(*args, **kwargs)) as stream:
            while given != fault.after:
                try:
                    item = await anext(stream)
                except StopAsyncIteration:
                    return
                given += 1
                yield item
        fault.strike()

    return call


_WRAPPERS: dict[Shape, Callable[..., Callable[..., Any]]] = {
    Shape.FUNCTION: _function,
    Shape.COROUTINE: _coroutine,
    Shape.GENERATOR: _generator,
    Shape.ASYNC_GENERATOR: _async_generator,
}
