"""What can be done to the cache of a decorated function."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from agentperf._engine.current import use
from agentperf._engine.hosting import Host
from agentperf._engine.site import Target
from agentperf._engine.waiting import in_one_go
from agentperf.errors import ConfigurationError
from agentperf.events import CacheCleared, CacheInvalidated, CacheWarmed, Event
from agentperf.policies.cached.decorator import Cached, Contents
from agentperf.policies.cached.stats import CacheStats

if TYPE_CHECKING:
    from agentperf.policies.cached.explaining import CacheExplanation
    from agentperf.policies.cached.exporting import Exporting
    from agentperf.policies.cached.tiered import NearStats


class CacheHandle:
    """The cache of one decorated function, on the host that is current when the handle is made."""

    def __init__(
        self,
        host: Host,
        target: Target,
        policy: Cached,
        call: Callable[..., Any],
        leading: tuple[Any, ...] = (),
        *,
        operation: str | None = None,
    ) -> None:
        self._host = host
        self._operation = operation or target.operation
        self._shape = target.shape
        self._state = policy.state(host, target)
        self._policy = policy
        self._target = target
        self._call = call
        self._leading = leading

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return self._policy.key_of(self._host, self._target)((*self._leading, *args), kwargs)

    def _keys(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """Return the keys that a call asks for: one, or one for each of its items."""
        if self._policy.options.per_item is None:
            return [self._key(args, kwargs)]
        key_of = self._policy.key_of(self._host, self._target)
        calls = self._policy.calls_of_items(self._target)
        return [key_of(*call) for call in calls.each((*self._leading, *args), kwargs)]

    def _contents(self, *, is_async: bool) -> Contents:
        return self._policy.contents(self._host, self._target, is_async=is_async)

    def _tell(self, event: Event) -> None:
        if (emit := self._host.bus.emitter(type(event))) is not None:
            emit(event)

    def peek(self, *args: Any, default: Any = None, **kwargs: Any) -> Any:
        """Return the fresh answer to a call with these arguments, without computing or counting.

        A cached stream comes as the tuple of its items. `default` where there is none. With
        `per_item` it is a list of what there is for each item.
        """
        return in_one_go(self._peeked(self._keys(args, kwargs), default, is_async=False))

    async def apeek(self, *args: Any, default: Any = None, **kwargs: Any) -> Any:
        """The same as `peek`, without holding up an event loop."""
        return await self._peeked(self._keys(args, kwargs), default, is_async=True)

    async def _peeked(self, keys: list[Any], default: Any, *, is_async: bool) -> Any:
        contents = self._contents(is_async=is_async)
        found = [await contents.peek(key, default) for key in keys]
        return found[0] if self._policy.options.per_item is None else found

    def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """Remove the answer to a call with these arguments; True if there was one.

        With `per_item` all answers to its items. A computation that is under way still serves those
        who wait for it, but is not kept.

        Raises:
            BackendError: The backend failed.
        """
        removed: bool = in_one_go(self._invalidated(self._keys(args, kwargs), is_async=False))
        return removed

    async def ainvalidate(self, *args: Any, **kwargs: Any) -> bool:
        """The same as `invalidate`, without holding up an event loop."""
        return await self._invalidated(self._keys(args, kwargs), is_async=True)

    async def _invalidated(self, keys: list[Any], *, is_async: bool) -> bool:
        contents = self._contents(is_async=is_async)
        removed = False
        for key in keys:
            self._state.invalidate(key)
            if await contents.remove(key):
                removed = True
                self._tell(CacheInvalidated(operation=self._operation))
        return removed

    def clear(self) -> int:
        """Remove all answers, and keep out those being computed; return how many there were.

        A backend other than memory doesn't count them: the number is then 0.

        Raises:
            BackendError: The backend failed.
        """
        entries: int = in_one_go(self._cleared(is_async=False))
        return entries

    async def aclear(self) -> int:
        """The same as `clear`, without holding up an event loop."""
        return await self._cleared(is_async=True)

    async def _cleared(self, *, is_async: bool) -> int:
        contents = self._contents(is_async=is_async)
        self._state.invalidate_all()
        entries = await contents.clear()
        self._tell(CacheCleared(operation=self._operation, entries=entries))
        return entries

    def explain(self, *args: Any, **kwargs: Any) -> CacheExplanation:
        """Tell how the key of a call with these arguments is made; nothing is looked up.

        With `per_item`, of a call for one item.

        Example:
            print(cache.explain("anna"))
            print(cache.explain("anna").against(cache.explain("bert")))

        Raises:
            UncacheableArgumentError: An argument has no key by value.
        """
        from agentperf.policies.cached import explaining  # for those who ask

        args = (*self._leading, *args)
        if self._policy.options.per_item is not None:
            args, kwargs = self._policy.calls_of_items(self._target).single(args, kwargs)
        key, partition = self._policy.explained_key(self._host, self._target, args, kwargs)
        names = ("tenant", "user", "session")
        return explaining.CacheExplanation(
            operation=self._operation,
            made_by=explaining.made_by(self._policy.options),
            arguments=explaining.explained_arguments(
                self._target, self._policy.options, args, kwargs
            ),
            scope=tuple(
                (name, explaining.shown(whose))
                for name, whose in zip(names, partition, strict=False)
                if whose
            ),
            key=key,
        )

    def stats(self) -> CacheStats:
        """Return hits, misses, shared, evictions, size and hit rate of now."""
        stats = self._state.stats()
        trouble = self._policy.trouble(self._host, self._target)
        return dataclasses.replace(stats, trouble=trouble) if trouble else stats

    def near_stats(self) -> NearStats | None:
        """Return the figures of the memory in front of the backend; None where there is none.

        All caches of the host on that backend share the memory, and the figures.
        """
        return self._policy.near_stats(self._host, self._target)

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

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the fresh answers of a cache in memory into a file, for another process to load.

        Left out is what can't be turned into bytes, and what belongs to an instance that is known
        by its identity. The file is signed where `cache_secret` is set, and readable for its owner
        only. It holds answers and keys of all tenants.

        Returns:
            How many were written.

        Raises:
            ConfigurationError: The cache is in a backend.
            OSError: The file can't be written.
        """
        return self._exporting().save(path)

    def load(self, path: str | os.PathLike[str]) -> int:
        """Take in what `save` wrote, for as long as each answer is still good.

        What is in the cache already, and fresh, stays. Nothing is run or imported by what the file
        says.

        Returns:
            How many answers were taken in.

        Raises:
            BackendError: The file is no such file, is damaged, or is not signed with the secret
                that is set; nothing was taken in.
            ConfigurationError: The cache is in a backend, or another cache wrote the file.
            OSError: The file can't be read.
        """
        return self._exporting().load(path)

    def _exporting(self) -> Exporting:
        from agentperf.policies.cached.exporting import Exporting  # for who has a file

        return Exporting(self._host, self._target, self._state)

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
