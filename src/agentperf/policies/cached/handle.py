"""What can be done to the cache of a decorated function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from agentperf._engine.current import use
from agentperf._engine.hosting import Host
from agentperf._engine.site import Target
from agentperf.errors import ConfigurationError
from agentperf.events import CacheCleared, CacheInvalidated, CacheWarmed, Event
from agentperf.policies.cached.decorator import Cached
from agentperf.policies.cached.state import CacheStats, Recording

_MISSING: Any = object()


class CacheHandle:
    """The cache of one decorated function, on the host that is current when the handle is made."""

    def __init__(
        self,
        host: Host,
        target: Target,
        policy: Cached,
        call: Callable[..., Any],
        leading: tuple[Any, ...] = (),
    ) -> None:
        self._host = host
        self._operation = target.operation
        self._shape = target.shape
        self._state = policy.state(host, target)
        self._policy = policy
        self._target = target
        self._call = call
        self._leading = leading

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._policy.key_of(self._host, self._target)((*self._leading, *args), kwargs)

    def _tell(self, event: Event) -> None:
        if (emit := self._host.bus.emitter(type(event))) is not None:
            emit(event)

    def peek(self, *args: Any, default: Any = None, **kwargs: Any) -> Any:
        """Return the fresh answer to a call with these arguments, without computing or counting.

        A cached stream comes as the tuple of its items. `default` where there is none.
        """
        entry = self._state.store.entries.get(self._key(args, kwargs))
        if entry is None or not self._host.clock.now() < entry.fresh_until:
            return default
        if isinstance(entry.value, Recording):
            return tuple(map(self._state.handed_out, entry.value.items))
        return self._state.handed_out(entry.value)

    def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Remove the answer to a call with these arguments; True if there was one.

        A computation that is under way still serves those who wait for it, but is not kept.
        """
        key = self._key(args, kwargs)
        self._state.flights.invalidate(key)
        removed = self._state.store.remove(key)
        if removed:
            self._tell(CacheInvalidated(operation=self._operation))
        return removed

    def clear(self) -> int:
        """Remove all answers, and keep out those being computed; return how many there were."""
        self._state.flights.invalidate_all()
        entries = self._state.store.clear()
        self._tell(CacheCleared(operation=self._operation, entries=entries))
        return entries

    def stats(self) -> CacheStats:
        """Return hits, misses, shared, evictions, size and hit rate of now."""
        return self._state.stats()

    def warm(self, *calls: Any) -> int:
        """Compute the answers to `calls` ahead of need, one after the other.

        Args:
            calls: One entry a call: a tuple of positional arguments, a dict of keyword arguments,
                or a single argument.

        Returns:
            How many were computed or found fresh.

        Raises:
            ConfigurationError: The function is asynchronous; use `await awarm(...)`.
        """
        if self._shape.is_async:
            raise ConfigurationError(
                f"{self._operation} is asynchronous: await handle(f).cache.awarm(...)"
            )
        with use(self._host):
            for call in calls:
                args, kwargs = _arguments(call)
                result = self._call(*args, **kwargs)
                if hasattr(type(result), "__next__"):
                    _drain(result)
        return self._warmed(len(calls))

    async def awarm(self, *calls: Any) -> int:
        """The same as `warm` for asynchronous functions."""
        with use(self._host):
            for call in calls:
                args, kwargs = _arguments(call)
                result = self._call(*args, **kwargs)
                if inspect.isawaitable(result):
                    result = await result
                if hasattr(type(result), "__anext__"):
                    async for _ in result:
                        pass
        return self._warmed(len(calls))

    def _warmed(self, entries: int) -> int:
        self._tell(CacheWarmed(operation=self._operation, entries=entries))
        return entries

    def __repr__(self) -> str:
        return f"<cache of {self._operation}: {self.stats()}>"


def _arguments(call: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(call, tuple):
        return call, {}
    if isinstance(call, dict):
        return (), call
    return (call,), {}


def _drain(stream: Iterable[Any]) -> None:
    for _ in stream:
        pass
