"""One of a kind for each event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Keeps a thing for each event loop, and closes it when the loop shuts down.

    It begins anew in a forked process.

    asyncio has no hook for a loop's end, but ends the asynchronous generators that were begun on a
    loop before it closes it (`loop.shutdown_asyncgens`, which `asyncio.run` calls). So each thing
    is held by such a generator.

    Args:
        make: Makes a thing, on its loop.
        close: Closes it, on its loop.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[object]]) -> None:
        self._make = make
        self._close = close
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._process = os.getpid()
        self._things: dict[asyncio.AbstractEventLoop, T] = {}
        self._keepers: dict[asyncio.AbstractEventLoop, AsyncGenerator[T, None]] = {}

    async def get(self) -> T:
        """Return the thing of the running loop."""
        if self._process != os.getpid():
            self._begin_anew()
        loop = asyncio.get_running_loop()
        try:
            return self._things[loop]
        except KeyError:
            for other in [other for other in list(self._keepers) if other.is_closed()]:
                self._drop(other)  # closed without being shut down
            keeper = self._keepers[loop] = self._kept(loop)
            return await anext(keeper)

    async def close(self) -> None:
        """Close the thing of the running loop; the next `get` there makes another."""
        keeper = self._keepers.get(asyncio.get_running_loop())
        if keeper is not None:
            await keeper.aclose()

    async def _kept(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[T, None]:
        thing = self._things[loop] = self._make()
        try:
            yield thing
        finally:
            self._drop(loop)
            await self._close(thing)

    def _drop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._things.pop(loop, None)
        self._keepers.pop(loop, None)
