"""What answers in place of a call, in the shape that the call's function has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from agentperf._base.callables import Shape, may_take, name_of, shape_of
from agentperf._engine.layers import Proceed
from agentperf._engine.site import Site, Target
from agentperf._engine.streams import AsyncLiveStream, LiveStream, stream_of
from agentperf.errors import ConfigurationError

_ASYNC = "must not be asynchronous, as the function is not"
_ITEMS = "must give items one by one, such as a list"


def check_substitute(function: Callable[..., Any], target: Target, named: str) -> None:
    """Refuse a function that can't answer for another, as far as the two of them show it.

    Args:
        function: What is to answer.
        target: For which function.
        named: How the user calls it, for errors.

    Raises:
        ConfigurationError: It is asynchronous where the function isn't, or can't be called alike.
    """
    if target.shape is Shape.GENERATOR and shape_of(function).is_async:
        raise _unfit(target, named, _ASYNC)
    if not may_take(function, target.signature):
        name = name_of(function)
        raise _unfit(
            target,
            named,
            f"is called with the arguments of the call, which {name} has no parameters for; give "
            f"it those of the function: {target.signature}",
        )


def check_colour(site: Site, function: Callable[..., Any], named: str) -> Callable[[], None] | None:
    """Return what to call once a call of the function worked, where that shows a mistake.

    A plain function may turn out to be asynchronous: by what its first call gives.
    """
    if site.driver.is_async or not shape_of(function).is_async:
        return None

    def refuse() -> None:
        raise _unfit(site.target, named, _ASYNC)

    return refuse


def _unfit(target: Target, named: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"{target.operation}: {named} {why}")


class Substitute:
    """A function that answers instead of another, with the same arguments.

    Args:
        site: Where the call is made.
        function: What answers.
        named: How the user calls it, for errors.
    """

    def __init__(self, site: Site, function: Callable[..., Any], named: str) -> None:
        self._site = site
        self._function = function
        self._named = named

    def ask(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call it; in the asynchronous colour it may give something to await."""
        value = self._function(*args, **kwargs)
        if inspect.iscoroutine(value) and not self._site.driver.is_async:
            value.close()
            raise _unfit(self._site.target, self._named, _ASYNC)
        return value

    async def answer(self, proceed: Proceed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Give what it gives, as what the function would have given."""
        value = await proceed(args, kwargs)
        site, is_async = self._site, self._site.driver.is_async
        if is_async and inspect.isawaitable(value):
            value = await value
        fits = type(value) is (AsyncLiveStream if is_async else LiveStream)
        if fits or not site.target.shape.streams:
            return value
        stream = None
        if not isinstance(value, str | bytes):  # a text is one answer, not letters
            stream = stream_of(value, site.host.clock.now, is_async=is_async)
        if stream is None:
            raise _unfit(site.target, self._named, _ITEMS)
        return stream
