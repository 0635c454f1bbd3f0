"""How a cache reaches its backend: in the colour of the call, and when it is out of order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from agentperf._base.log import fault, warn
from agentperf._engine.hosting import Host
from agentperf.abc.backends import AsyncCacheBackend, Backends, CacheBackend
from agentperf.abc.waiting import Waiting
from agentperf.errors import ConfigurationError
from agentperf.events import CacheBackendChanged
from agentperf.policies.cached.state import CacheState

Run = Callable[[Callable[[], Any]], Awaitable[Any]]


class Reach:
    """A backend, as one cache reaches it from calls of one colour.

    What its methods raise is what the backend raised; each change between working and failing is
    told once, in the log and as an event.

    Args:
        host: Where the change is told.
        operation: Whose cache it is.
        state: Remembers whether the backend works.
        backends: The backend.
        waiting: How the calls wait; None for calls that block.

    Raises:
        ConfigurationError: Calls that block can't use the backend.
    """

    def __init__(
        self,
        host: Host,
        operation: str,
        state: CacheState,
        backends: Backends,
        waiting: Waiting | None,
    ) -> None:
        self._operation = operation
        self._state = state
        self._tell = host.bus.emitter(CacheBackendChanged)
        self._backend, self._run = way_to(operation, backends, waiting)

    async def get(self, key: str) -> bytes | None:
        """Return what is stored under a key."""
        return await self._asked(partial(self._backend.get, key))  # type: ignore[no-any-return]

    async def get_many(self, keys: list[str]) -> dict[str, bytes]:
        """Return what is stored under those of several keys that are there."""
        return await self._asked(partial(self._backend.get_many, keys))  # type: ignore[no-any-return]

    async def add(self, key: str, value: bytes, ttl: float | None) -> bool:
        """Store under a key where nothing is; tell whether it was stored."""
        return await self._asked(partial(self._backend.add, key, value, ttl))  # type: ignore[no-any-return]

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Store under a key."""
        await self._asked(partial(self._backend.set, key, value, ttl))

    async def delete(self, key: str) -> bool:
        """Remove a key; tell whether it was there."""
        return await self._asked(partial(self._backend.delete, key))  # type: ignore[no-any-return]

    async def clear(self, prefix: str) -> None:
        """Remove the keys that begin with `prefix`."""
        await self._asked(partial(self._backend.clear, prefix))

    async def _asked(self, work: Callable[[], Any]) -> Any:
        try:
            answer = await self._run(work)
        except Exception as error:
            self._changed(error)
            raise
        if not self._state.backend_works:
            self._changed(None)
        return answer

    def _changed(self, error: Exception | None) -> None:
        if self._state.backend_works is (error is None):
            return
        self._state.backend_works = error is None
        if error is None:
            warn("cache.backend_works_again", operation=self._operation)
        else:
            fault("cache.backend_failed", error, operation=self._operation)
        if self._tell is not None:
            kind = None if error is None else type(error).__name__
            works = error is None
            self._tell(CacheBackendChanged(operation=self._operation, works=works, error=kind))


def check_colour(operation: str, backends: Backends, *, is_async: bool) -> None:
    """Refuse calls that block in front of a backend that has to be awaited.

    Raises:
        ConfigurationError: That is so.
    """
    if backends.sync is None and not is_async:
        raise ConfigurationError(
            f"{operation}: its backend has to be awaited, and this call can't wait so: make the "
            "function async def, use the handle's methods that begin with a, or give a backend "
            "of both colours, backend=Backends(sync=..., asynchronous=...)"
        )


def way_to(
    operation: str, backends: Backends, waiting: Waiting | None
) -> tuple[CacheBackend | AsyncCacheBackend, Run]:
    """Return the half of a backend that calls use, and what runs a request to it.

    Raises:
        ConfigurationError: Calls that block can't use the backend.
    """
    check_colour(operation, backends, is_async=waiting is not None)
    if backends.sync is None or (waiting is not None and backends.asynchronous is not None):
        return cast(AsyncCacheBackend, backends.asynchronous), _awaited
    in_thread = waiting is not None and backends.sync.blocking
    return backends.sync, waiting.in_thread if waiting and in_thread else _inline


async def _inline(work: Callable[[], Any]) -> Any:
    return work()


async def _awaited(work: Callable[[], Any]) -> Any:
    return await work()
