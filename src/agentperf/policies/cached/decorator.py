"""The decorator `cached`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload
from weakref import WeakValueDictionary

from agentperf._base.callables import is_decorated_bare
from agentperf._base.durations import Duration
from agentperf._base.keys import InstanceTokens, key_maker, method_self
from agentperf._base.options import refuse_unknown
from agentperf._engine.bindings import Step
from agentperf._engine.hosting import Host
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site, Target
from agentperf.abc.backends import AnyBackend, Backends, backends
from agentperf.policies.cached.flights import Airspace
from agentperf.policies.cached.local import MemoryContents, MemoryLayer
from agentperf.policies.cached.options import (
    CacheOptions,
    CopyMode,
    Key,
    OnFailure,
    Partition,
    checked,
)
from agentperf.policies.cached.partition import partitioned
from agentperf.policies.cached.state import CacheState, KeyOf
from agentperf.policies.cached.tags import NO_TAGS, Tags, TagsOf, TagTable, tags_of

if TYPE_CHECKING:
    from agentperf.policies.cached.remote import Remote

F = TypeVar("F", bound=Callable[..., Any])

TAGGED: WeakValueDictionary[int, Cached] = WeakValueDictionary()
"""The policies with tags that decorate something: a process that never called what they decorate
may be the one that invalidates what other processes keep in the same backends."""


class Contents(Protocol):
    """The entries of one cache, as far as the handle gets at them."""

    async def peek(self, key: Any, default: Any) -> Any:
        """Return the answer under a key, a stream as the tuple of its items."""

    async def remove(self, key: Any) -> bool:
        """Remove a key; tell whether it was there."""
        ...

    async def store(self, key: Any, value: Any, ttl: float | None, tags: tuple[str, ...]) -> int:
        """Store a value under a key; return how many entries made room, where that is known."""
        ...

    async def clear(self) -> int:
        """Remove everything; return how much there was, 0 where nobody counts."""
        ...


@dataclass(frozen=True, eq=False)
class Cached(Policy):
    """Answers calls from a cache; made by `cached`."""

    kind = "cached"

    options: CacheOptions

    def check(self, target: Target) -> None:
        """Refuse options that don't fit the function's parameters, or a backend its colour."""
        self._key_maker(target, InstanceTokens())
        if self.options.tags is not None:
            self._tags_of(target)
            TAGGED[id(self)] = self
        if not isinstance(self.options.backend, str):
            self._made_remote(backends(self.options.backend), target)

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the cache in front of `inner`."""
        state = self.state(site.host, site.target)
        if (remote := self._remote(site.host, site.target)) is not None:
            return remote.bound(site, state, self._tags_of(site.target), inner)
        stamp_of = None
        if self.options.tags is not None:
            tags, table = self._tags_of(site.target), tag_table(site.host)
            stamp_of = lambda args, kwargs: table.markers(tags(args, kwargs))  # noqa: E731
        return MemoryLayer(site, state, self.key_of(site.host, site.target), stamp_of).bound(inner)

    def _remote(self, host: Host, target: Target) -> Remote | None:
        """Return the cache in its backend; None for one in memory."""
        if self.options.in_memory:
            return None
        state = self.state(host, target)
        if (remote := state.remotes.get(target)) is None:
            given = self.options.backend
            backend = host.backend(given) if isinstance(given, str) else backends(given)
            if self.options.tags is not None:
                tag_table(host).backends.add(backend)
            remote = state.remotes[target] = self._made_remote(backend, target)
        return remote

    def _made_remote(self, backend: Backends, target: Target) -> Remote:
        from agentperf.policies.cached.remote import (
            Remote,
        )  # whoever stays in memory needs no codec

        make_key = partial(self._key_maker, target)
        return Remote(backend, target, self.options, self.name, make_key)

    def contents(self, host: Host, target: Target, *, is_async: bool) -> Contents:
        """Return what the handle can do to the entries.

        Raises:
            ConfigurationError: The backend has to be awaited, and the caller can't.
        """
        if (remote := self._remote(host, target)) is not None:
            return remote.contents(host, is_async=is_async)
        return MemoryContents(self.state(host, target), host.clock.now, partial(tag_table, host))

    def state(self, host: Host, target: Target) -> CacheState:
        """Return what the cache remembers on `host`."""
        return made_state(host, self.options, self.name, owners=(self, target))

    def key_of(self, host: Host, target: Target) -> KeyOf:
        """Return what makes the keys of calls on `host`."""
        if (remote := self._remote(host, target)) is not None:
            return remote.key_of(host)
        state = self.state(host, target)
        if (key_of := state.keys.get(target)) is None:  # making one takes a hundred microseconds
            key_of = state.keys[target] = self._key_maker(target, state.instances)
        if host.bindings.minds_scopes:
            return partitioned(key_of, self.options.scope)
        return key_of

    def _tags_of(self, target: Target) -> TagsOf:
        if self.options.tags is None:
            return NO_TAGS
        name = getattr(target.function, "__qualname__", target.operation)
        return tags_of(name, target.signature, self.options.tags)

    def _key_maker(self, target: Target, instance: Callable[[object], Hashable]) -> KeyOf:
        is_method = method_self(target.function, target.signature)
        return key_maker(
            getattr(target.function, "__qualname__", target.operation),
            target.signature,
            ignore=self.options.ignore,
            key=self.options.key,
            instance=instance if is_method else None,
        )


def made_state(
    host: Host, options: CacheOptions, name: str | None, owners: tuple[object, ...]
) -> CacheState:
    """Return what the cache of these owners, or of this name, remembers on a host."""
    airspace = host.state(Airspace, Airspace, owners=(), name="flights")
    return host.state(
        CacheState,
        lambda: CacheState(options, airspace, name),
        owners=owners,
        name=name,
        options=options,
    )


def tag_table(host: Host) -> TagTable:
    """Return the versions of the tags of a host's caches in memory."""
    return host.state(TagTable, TagTable, owners=(), name="tags")


@overload
def cached(function: F, /) -> F: ...
@overload
def cached(
    ttl: Duration | None = None,
    *,
    key: Key | None = None,
    ignore: str | Sequence[str] = (),
    tags: Tags | None = None,
    backend: str | AnyBackend = "memory",
    max_entries: int = 1024,
    copy: CopyMode = "auto",
    scope: Partition = "auto",
    on_store_failure: OnFailure = "open",
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
) -> Cached: ...
def cached(
    ttl: Any = None,
    *,
    key: Key | None = None,
    ignore: str | Sequence[str] = (),
    tags: Tags | None = None,
    backend: str | AnyBackend = "memory",
    max_entries: int = 1024,
    copy: CopyMode = "auto",
    scope: Partition = "auto",
    on_store_failure: OnFailure = "open",
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Any:
    """Keep answers and give them again for the same arguments.

    While an answer is being computed, everybody who asks for it waits for that one computation:
    threads, tasks and event loops together. Whoever is cancelled leaves alone; the computation
    goes on and fills the cache. `None` is an answer like any other; errors are not kept. A stream
    is kept when it was read to its end, and replayed item for item.

    Args:
        ttl: How long an answer is good: seconds, a `timedelta`, or text such as `"10m"`; None: as
            long as there is room for it.
        key: What makes two calls the same: names of parameters, a template such as
            `"{user.id}:{question}"`, or a callable over the call's arguments. All arguments by
            default, by value and type; `self` counts by identity.
        ignore: Names of parameters that don't count.
        tags: Under which names `agentperf.invalidate` reaches the answers: tags such as
            `"profiles"`, templates such as `"profile:{user_id}"`, or a callable over the call's
            arguments that returns a tag, several, or None.
        backend: Where the answers are kept: `"memory"`, a file such as
            `"sqlite:~/answers.db?max_bytes=1GB"`, the word of a plugin's backend such as
            `"example"` or `"example:/var/cache"`, or an object of a class that extends
            `agentperf.abc.CacheBackend`. Other backends than memory keep bytes: an answer that
            can't be turned into bytes is not kept.
        max_entries: How many answers to keep in memory at most; 1024 by default.
        copy: `"auto"` hands out values that nobody can change as they are, and copies of all
            others; `"share"` hands out the stored object itself, `"copy"` always a copy.
        scope: Whose answers are kept apart while an `agentperf.scope` is open: `"auto"` and
            `"tenant"` by tenant, `"user"` and `"session"` by these too, `"none"` shares them all.
        on_store_failure: What to do while the backend fails: `"open"` computes, `"closed"` raises
            `StoreUnavailable`.
        name: Share one cache, with one set of entries, among all functions that name it. A lambda
            or a function defined in another needs one on a backend that others share.
        enabled: False, or a callable that says False at a call, goes past the cache.
        **unknown: Refused, with what was probably meant.

    Example:
        @agentperf.cached(ttl="10m", ignore=("client",))
        async def embed(client, text: str) -> list[float]: ...

        agentperf.handle(embed).cache.stats().hit_rate

    Raises:
        ConfigurationError: An option is malformed, contradicts another, or names no parameter.
        UncacheableArgumentError: At a call, an argument has no key by value.
        StoreUnavailable: At a call, the backend fails, and `on_store_failure="closed"`.
    """
    refuse_unknown(cached, unknown)
    if is_decorated_bare(ttl):
        return cached()(ttl)
    options = checked(
        ttl=ttl,
        key=key,
        ignore=ignore,
        max_entries=max_entries,
        copy=copy,
        scope=scope,
        backend=backend,
        on_store_failure=on_store_failure,
        tags=tags,
    )
    return Cached(options, name=name, enabled=enabled)
