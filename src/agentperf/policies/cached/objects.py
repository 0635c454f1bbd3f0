"""A cache without a decorator: the same entries, flights and figures, by keys of one's own."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Awaitable, Callable, Hashable, Iterable
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from agentperf._base.durations import Duration, seconds
from agentperf._base.options import OnFailure, refuse_unknown
from agentperf._base.sizes import Size
from agentperf._engine.current import current_host
from agentperf._engine.hosting import Host
from agentperf._engine.pipeline import pipeline_of
from agentperf._engine.site import Target
from agentperf._engine.waiting import in_one_go
from agentperf.abc.backends import AnyBackend
from agentperf.errors import BackendError, ConfigurationError, StoreUnavailable
from agentperf.events import (
    CacheEviction,
    CacheExpired,
    CacheHit,
    CacheMiss,
    CacheStored,
    Event,
)
from agentperf.policies.cached.decorator import Cached, made_state
from agentperf.policies.cached.handle import CacheHandle
from agentperf.policies.cached.options import CopyMode, MaxEntries, Partition, checked
from agentperf.policies.cached.state import CacheState, Tally
from agentperf.policies.cached.stats import CacheStats
from agentperf.policies.cached.tags.naming import plain_tags

if TYPE_CHECKING:
    from agentperf.policies.cached.options import AnyCodec

T = TypeVar("T")
Names = str | Iterable[str]
Lifetime = Duration | None

_ABSENT: Any = object()


class _OwnCached(Cached):
    """The policy of a cache that has two functions, one of each colour, and one state."""

    key_option = None

    def state(self, host: Host, target: Target) -> CacheState:
        """Return what the cache remembers on `host`, whichever of the two asks."""
        return made_state(host, self.options, self.name, owners=(self,))


class Cache:
    """A cache that is read and written by keys, without decorating a function.

    It works as `cached` does: bounded, by value and type of the keys, with one computation at a
    time for each key, and with tags. What it keeps belongs to the host that is current at a call.

    Args:
        ttl: How long a value is good: seconds, a `timedelta`, or text such as `"10m"`; None: as
            long as there is room for it.
        backend: Where the values are kept, as for `cached`; others than memory need `name=`.
        max_entries: How many values to keep in memory at most; 1024 by default; or `"auto"`.
        max_bytes: How much memory they may take, about, as for `cached`.
        copy: As for `cached`: `"auto"` hands out copies of what somebody could change.
        scope: As for `cached`: whose values are kept apart while an `agentperf.scope` is open.
        on_store_failure: What to do while the backend fails: `"open"` finds nothing and keeps
            nothing, `"closed"` raises `StoreUnavailable`, `"local"` keeps up to 1024 values in
            memory until it works again.
        codec: How values become bytes on a backend, as for `cached`.
        name: What it is called in events, and on a backend; caches of one name share their values.
        **unknown: Refused, with what was probably meant.

    Example:
        pages = agentperf.Cache(ttl="10m")
        page = pages.get_or_compute(url, lambda: download(url), tags=f"site:{host}")

    Raises:
        ConfigurationError: An option is malformed, or a backend needs a name.
    """

    def __init__(
        self,
        ttl: Duration | None = None,
        *,
        backend: str | AnyBackend = "memory",
        max_entries: MaxEntries = 1024,
        max_bytes: Size | None = None,
        copy: CopyMode = "auto",
        scope: Partition = "auto",
        on_store_failure: OnFailure = "open",
        codec: AnyCodec | None = None,
        name: str | None = None,
        **unknown: object,
    ) -> None:
        refuse_unknown(Cache, unknown)
        options = checked(
            ttl=ttl,
            key="key",
            ignore=(),
            max_entries=max_entries,
            max_bytes=max_bytes,
            copy=copy,
            scope=scope,
            backend=backend,
            on_store_failure=on_store_failure,
            tags=_tags_of_call,
            codec=codec,
        )
        if name is None and not options.in_memory:
            raise ConfigurationError(
                "Cache: a backend tells caches apart by their names; give this one a name, such as "
                'Cache(backend="sqlite:~/answers.db", name="pages")'
            )
        self._policy = _OwnCached(options, name=name)
        self._called = "Cache" if name is None else f"Cache.{name}"
        self._acomputed: Any = self._policy(_named(_acomputed, self._called))

    def get(self, key: object, default: Any = None) -> Any:
        """Return what is kept under `key`, `default` where there is nothing; counts hit or miss.

        Raises:
            StoreUnavailable: The backend fails, and `on_store_failure="closed"`.
        """
        return in_one_go(self._get(self._computed, key, default, is_async=False))

    async def aget(self, key: object, default: Any = None) -> Any:
        """The same as `get`, without holding up an event loop."""
        return await self._get(self._acomputed, key, default, is_async=True)

    def set(
        self,
        key: object,
        value: object,
        ttl: Lifetime = None,
        tags: Names = (),
    ) -> None:
        """Keep `value` under `key`; a computation for it that is under way is not kept.

        Args:
            key: Anything that has a key by value.
            value: The value; a backend other than memory keeps what can be turned into bytes.
            ttl: How long it is good, if not as long as the cache says.
            tags: Under which names `agentperf.invalidate` reaches it. They count from now on: a
                value that was read before may be old already. `get_or_compute` has no such gap.

        Raises:
            UncacheableValueError: It can't be copied, or not be turned into bytes.
            StoreUnavailable: The backend fails, and `on_store_failure="closed"`.
        """
        in_one_go(self._set(self._computed, key, (value, ttl, tags), is_async=False))

    async def aset(
        self,
        key: object,
        value: object,
        ttl: Lifetime = None,
        tags: Names = (),
    ) -> None:
        """The same as `set`, without holding up an event loop."""
        await self._set(self._acomputed, key, (value, ttl, tags), is_async=True)

    def get_or_compute(self, key: object, compute: Callable[[], T], *, tags: Names = ()) -> T:
        """Return what is kept under `key`, or compute and keep it.

        Whoever asks for the same key meanwhile waits for that one computation.

        Args:
            key: Anything that has a key by value.
            compute: Computes the value; what it raises is not kept.
            tags: Under which names `agentperf.invalidate` reaches the value.

        Raises:
            UncacheableArgumentError: The key has no key by value.
            StoreUnavailable: The backend fails, and `on_store_failure="closed"`.
        """
        value: T = self._computed(key, plain_tags(tags), compute)
        return value

    async def aget_or_compute(
        self, key: object, compute: Callable[[], Awaitable[T]], *, tags: Names = ()
    ) -> T:
        """The same as `get_or_compute`, with a function to be awaited."""
        value: T = await self._acomputed(key, plain_tags(tags), compute)
        return value

    def delete(self, key: object) -> bool:
        """Remove what is kept under `key`; True if there was something.

        Raises:
            BackendError: The backend failed.
        """
        return self._handle(self._computed).invalidate(key)

    async def adelete(self, key: object) -> bool:
        """The same as `delete`, without holding up an event loop."""
        return await self._handle(self._acomputed).ainvalidate(key)

    def clear(self) -> int:
        """Remove everything; return how much there was, 0 for a backend other than memory.

        Raises:
            BackendError: The backend failed.
        """
        return self._handle(self._computed).clear()

    async def aclear(self) -> int:
        """The same as `clear`, without holding up an event loop."""
        return await self._handle(self._acomputed).aclear()

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the fresh values of a cache in memory into a file; return how many.

        See `CacheHandle.save`.
        """
        return self._handle(self._computed).save(path)

    def load(self, path: str | os.PathLike[str]) -> int:
        """Take in what `save` wrote, as far as it is still good; return how many.

        See `CacheHandle.load`.

        Raises:
            BackendError: The file is no such file or damaged; nothing was taken in.
        """
        return self._handle(self._computed).load(path)

    def stats(self) -> CacheStats:
        """Return hits, misses, shared, evictions, size and hit rate of now."""
        return self._handle(self._acomputed).stats()

    @functools.cached_property
    def _computed(self) -> Any:
        # Made when it is first used: a backend may have to be awaited.
        return self._policy(_named(_computed, self._called))

    def _handle(self, function: Any) -> CacheHandle:
        return CacheHandle(current_host(), _target(function), self._policy, function)

    async def _get(self, function: Any, key: object, default: Any, *, is_async: bool) -> Any:
        host, target = current_host(), _target(function)
        how = _how(host)
        if how == "bypass":
            return default
        state = self._policy.state(host, target)
        if how == "refresh":
            _count(host, target, state.misses, CacheMiss)
            return default
        contents = self._policy.contents(host, target, is_async=is_async)
        frozen = self._key(host, target, key)
        try:
            found, gone = await contents.get(frozen, _ABSENT)
        except BackendError as error:
            self._refuse_if_closed(target, error)
            found, gone = _ABSENT, None
        if gone is not None:
            tally = state.expired if gone is CacheExpired else state.invalidated
            _count(host, target, tally, gone)
        if found is _ABSENT:
            _count(host, target, state.misses, CacheMiss)
            return default
        _count(host, target, state.hits, CacheHit)
        return found

    async def _set(
        self, function: Any, key: object, what: tuple[object, Lifetime, Names], *, is_async: bool
    ) -> None:
        value, given, tags = what
        ttl = self._policy.options.ttl if given is None else seconds(given, "ttl")
        names = plain_tags(tags)
        host, target = current_host(), _target(function)
        if _how(host) == "bypass":
            return
        state = self._policy.state(host, target)
        contents = self._policy.contents(host, target, is_async=is_async)
        frozen = self._key(host, target, key)
        state.flights.invalidate(frozen)
        try:
            evicted = await contents.store(frozen, value, ttl, names)
        except BackendError as error:
            self._refuse_if_closed(target, error)
            return
        _count(host, target, state.stored, CacheStored)
        for _ in range(evicted):
            _count(host, target, state.evictions, CacheEviction)

    def _key(self, host: Host, target: Target, key: object) -> Hashable:
        return self._policy.key_of(host, target)((key,), {})

    def _refuse_if_closed(self, target: Target, error: BackendError) -> None:
        if self._policy.options.on_store_failure == "closed":
            raise StoreUnavailable(
                f"{target.operation}: the backend failed, and on_store_failure is 'closed'",
                policy="cached",
                name=self._policy.name or "",
            ) from error

    def __repr__(self) -> str:
        return f"<{self._called} in {self._policy.options.place}: {self.stats()}>"


def _how(host: Host) -> str | None:
    """Return the cache mode of now; what is switched off is gone past."""
    if not host.settings.enabled:
        return "bypass"
    if not host.bindings.minds_modes:
        return None
    from agentperf.policies.cached.mode import mode  # loaded by whoever names one

    return mode.get()


def _count(host: Host, target: Target, tally: Tally, kind: type[Event]) -> None:
    next(tally.ticks)
    if (emit := host.bus.emitter(kind)) is not None:
        emit(kind(operation=target.operation))


def _target(function: Any) -> Target:
    pipeline: Any = pipeline_of(function)
    target: Target = pipeline.target
    return target


def _computed(key: object, tags: Any = (), compute: Any = None) -> Any:  # noqa: ARG001
    value = compute()
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise ConfigurationError(
            "get_or_compute: what computes has to be awaited: write "
            "await cache.aget_or_compute(key, compute)"
        )
    return value


async def _acomputed(key: object, tags: Any = (), compute: Any = None) -> Any:  # noqa: ARG001
    value = compute()
    if not inspect.isawaitable(value):
        raise ConfigurationError(
            "aget_or_compute: what computes has to be an async function; write "
            "cache.get_or_compute(key, compute) for one that isn't"
        )
    return await value


def _named(function: Any, called: str) -> FunctionType:
    """Make a function like this one that goes by another name."""
    made = FunctionType(
        function.__code__, function.__globals__, called, function.__defaults__, function.__closure__
    )
    made.__module__, made.__qualname__ = "agentperf", called
    return made


def _tags_of_call(
    key: object,  # noqa: ARG001
    tags: tuple[str, ...] = (),
    compute: object = None,  # noqa: ARG001
) -> tuple[str, ...]:
    return tags
