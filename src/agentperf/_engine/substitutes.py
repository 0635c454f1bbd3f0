"""What answers in place of a call, in the shape that the call's function has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from agentperf._engine.layers import Proceed
from agentperf._engine.site import Site
from agentperf._engine.streams import AsyncLiveStream, LiveStream, stream_of
from agentperf.errors import ConfigurationError


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
            raise self._unfit("must not be asynchronous, as the function is not")
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
        stream = stream_of(value, site.host.clock.now, is_async=is_async)
        if stream is None:
            raise self._unfit("must give items one by one, such as a list")
        return stream

    def _unfit(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"{self._site.operation}: {self._named} {why}")
