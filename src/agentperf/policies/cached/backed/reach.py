"""How a cache reaches its backend: in the colour of the call, and not while it is out of order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from agentperf._base.log import fault, warn
from agentperf._engine.guarded import Guarded
from agentperf._engine.hosting import Host
from agentperf._engine.reaching import Work, way_to
from agentperf.abc.backends import Backends
from agentperf.abc.waiting import Waiting
from agentperf.errors import BackendError, ConfigurationError, UncacheableValueError
from agentperf.events import CacheBackendDown, CacheBackendUp
from agentperf.policies.cached.backed.guard import Guard
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.policies.cached.tags.owed import owed_to


class Reach(Guarded):
    """A backend, as one cache reaches it from calls of one colour.

    What its methods raise is what the backend raised, or `BackendError` while it is left alone
    because it failed. All caches of a host that share a backend share what is known of it; each
    change between working and failing is told once, in the log and as an event, by the cache that
    finds it out.

    Args:
        host: Where the change is told.
        operation: Whose cache it is.
        backends: The backend.
        waiting: How the calls wait; None for calls that block.
        local: Whether a memory stands in for the backend while it is out of order.

    Raises:
        ConfigurationError: Calls that block can't use the backend.
    """

    _guard: Guard
    spares = UncacheableValueError

    def __init__(
        self,
        host: Host,
        operation: str,
        backends: Backends,
        waiting: Waiting | None,
        *,
        local: bool = False,
    ) -> None:
        check_colour(operation, backends, is_async=waiting is not None)
        super().__init__(guard_of(host, backends), host.clock.now)
        self.backends = backends
        self._operation = operation
        self._clock = host.clock
        self._local = local
        self._tell_down = host.bus.emitter(CacheBackendDown)
        self._tell_up = host.bus.emitter(CacheBackendUp)
        self._owed = owed_to(host, backends)
        self._ask = way_to(backends, waiting)
        asked = backends.sync if waiting is None else backends.asynchronous or backends.sync
        self._at_hand: Callable[[str], bytes | None] = asked.at_hand  # type: ignore[union-attr]

    @property
    def works(self) -> bool:
        """Whether to ask: it is in order, as far as anybody knows, or a memory stands in."""
        return self._local or self._guard.works

    async def get(self, key: str) -> bytes | None:
        """Return what is stored under a key."""
        if (value := self._at_hand(key)) is not None:
            return value
        return await self._asked(lambda backend: backend.get(key))  # type: ignore[no-any-return]

    async def get_many(self, keys: list[str]) -> dict[str, bytes]:
        """Return what is stored under those of several keys that are there."""
        found = {key: value for key in keys if (value := self._at_hand(key)) is not None}
        if absent := [key for key in keys if key not in found]:
            found |= await self._asked(lambda backend: backend.get_many(absent))
        return found

    async def latest(self, key: str) -> bytes | None:
        """Return what is stored under a key, whatever is at hand."""
        return await self._next(lambda backend: backend.latest(key))  # type: ignore[no-any-return]

    async def add(self, key: str, value: bytes, ttl: float | None) -> bool:
        """Store under a key where nothing is; tell whether it was stored."""
        return await self._next(lambda backend: backend.add(key, value, ttl))  # type: ignore[no-any-return]

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        """Store under a key."""
        await self._next(lambda backend: backend.set(key, value, ttl))

    async def set_many(self, values: dict[str, bytes], ttl: float | None) -> None:
        """Store under several keys."""
        await self._next(lambda backend: backend.set_many(values, ttl))

    async def delete(self, key: str) -> bool:
        """Remove a key; tell whether it was there."""
        return await self._removed(lambda backend: backend.delete(key))  # type: ignore[no-any-return]

    async def replace(self, key: str, old: bytes, new: bytes, ttl: float | None) -> bool:
        """Store under a key where `old` is; tell whether it was stored."""
        return await self._next(lambda backend: backend.replace(key, old, new, ttl))  # type: ignore[no-any-return]

    async def delete_if(self, key: str, value: bytes) -> bool:
        """Remove a key where `value` is; tell whether it was removed."""
        return await self._next(lambda backend: backend.delete_if(key, value))  # type: ignore[no-any-return]

    async def set_if(self, key: str, value: bytes, ttl: float | None, **fence: Any) -> bool:
        """Store under a key while its guard has a token; tell whether that was so."""
        if (local := self._stand_in()) is not None:
            local.set(key, value, ttl)  # the guard is out of reach, and nobody else looks here
            return True
        return await self._asked(lambda backend: backend.set_if(key, value, ttl, **fence))  # type: ignore[no-any-return]

    async def drop(self, key: str) -> bool:
        """Remove a key on the way to something else; tell whether it was there."""
        return await self._next(lambda backend: backend.delete(key))  # type: ignore[no-any-return]

    async def clear(self, prefix: str) -> None:
        """Remove the keys that begin with `prefix`."""
        await self._removed(lambda backend: backend.clear(prefix))

    async def _removed(self, work: Work) -> Any:
        """Have something removed, also from what stands in: whoever removes asks for both."""
        if (local := self._guard.local) is not None:
            work(local)
        return await self._by_the_backend(work)

    def _stand_in(self) -> MemoryBackend | None:
        return self._guard.stand_in(self._clock) if self._local else None

    async def _next(self, work: Work) -> Any:
        """Ask for what comes after a look, which alone tries a backend that is out of order.

        So no call waits for it twice.
        """
        return await self._asked(work) if (local := self._stand_in()) is None else work(local)

    async def _asked(self, work: Work) -> Any:
        try:
            return await self._by_the_backend(work)
        except UncacheableValueError:
            raise  # that says something of the value, nothing of the backend
        except Exception:
            if (local := self._stand_in()) is None:
                raise
            return work(local)

    def _by_the_backend(self, work: Work) -> Awaitable[Any]:
        return self._guarded(self._ask_after_paying if self._owed else self._ask, work)

    async def _ask_after_paying(self, work: Work) -> Any:
        await self._owed.deliver(self._ask)  # what it has may be void
        return await self._ask(work)

    def _left_alone(self, trouble: str) -> BackendError:
        return BackendError(f"the cache backend failed: {trouble}; it is left alone for a moment")

    def _failed(self, error: Exception) -> None:
        fault("cache.backend_failed", error, operation=self._operation)
        if self._tell_down is not None:
            self._tell_down(CacheBackendDown(operation=self._operation, error=type(error).__name__))

    def _works_again(self) -> None:
        warn("cache.backend_works_again", operation=self._operation)
        if self._tell_up is not None:
            self._tell_up(CacheBackendUp(operation=self._operation))


def guard_of(host: Host, backends: Backends) -> Guard:
    """Return what all caches of a host know of a backend."""
    one = backends.asynchronous if backends.sync is None else backends.sync
    return host.state(Guard, Guard, owners=(one, Guard))


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
