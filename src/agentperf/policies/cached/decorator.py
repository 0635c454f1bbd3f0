"""The decorator `cached`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, overload
from weakref import WeakValueDictionary

from agentperf._base.callables import is_decorated_bare
from agentperf._base.durations import Duration
from agentperf._base.keys import InstanceTokens, digest, key_maker, method_self
from agentperf._base.options import OnFailure, Share, refuse_unknown
from agentperf._engine.bindings import Step
from agentperf._engine.hosting import Host
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site, Target
from agentperf.abc.backends import AnyBackend, Backends, backends
from agentperf.errors import ConfigurationError
from agentperf.policies.cached.core import CacheLayer
from agentperf.policies.cached.flights.flight import Airspace
from agentperf.policies.cached.memory.layer import MemoryContents, MemoryLayer
from agentperf.policies.cached.options import (
    CacheOptions,
    CopyMode,
    Key,
    MaxEntries,
    OnAbandon,
    Partition,
    StoreIf,
    checked,
)
from agentperf.policies.cached.state import CacheState, KeyOf
from agentperf.policies.cached.tags.markers import TagTable
from agentperf.policies.cached.tags.naming import NO_TAGS, Tags, TagsOf, tags_of

if TYPE_CHECKING:
    from agentperf._base.sizes import Size
    from agentperf.events import Event
    from agentperf.policies.cached.backed.remote import Remote
    from agentperf.policies.cached.items.calls import PerItem
    from agentperf.policies.cached.options import AnyCodec
    from agentperf.policies.cached.tiered import NearStats

F = TypeVar("F", bound=Callable[..., Any])

TAGGED: WeakValueDictionary[int, Cached] = WeakValueDictionary()
"""The policies with tags that decorate something: a process that never called what they decorate
may be the one that invalidates what other processes keep in the same backends."""


class Contents(Protocol):
    """The entries of one cache, as far as the handle gets at them."""

    async def peek(self, key: Any, default: Any) -> Any:
        """Return the answer under a key, a stream as the tuple of its items."""

    async def get(self, key: Any, default: Any) -> tuple[Any, type[Event] | None]:
        """Return the same as `peek`, and what became of an entry that is no longer good."""
        ...

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
    key_option: ClassVar[str | None] = "key"

    options: CacheOptions

    def check(self, target: Target) -> None:
        """Refuse options that don't fit the function's parameters, its shape or its colour."""
        self._key_maker(target, InstanceTokens())
        if self.options.per_item is not None:
            self.calls_of_items(target)
        if self.options.on_abandon == "cancel" and not target.shape.is_async:
            raise ConfigurationError(
                f'on_abandon="cancel" can\'t serve {target.operation}: it blocks its caller, who '
                "can't go away meanwhile; make it async def, or leave it away"
            )
        if target.shape.streams:
            if self.options.copy == "freeze":
                raise ConfigurationError(
                    f'copy="freeze" can\'t serve {target.operation}: it gives a stream, whose '
                    "items its first reader gets as they are; leave it away"
                )
            if self.options.hard_timeout is not None:
                raise ConfigurationError(
                    f"hard_timeout= can't serve {target.operation}: it gives a stream, which is "
                    "waited for item by item; leave it away"
                )
            for option in ("stale_on_error", "negative_ttl"):
                if getattr(self.options, option) is not None:
                    raise ConfigurationError(
                        f"{option}= can't serve {target.operation}: it gives a stream, which fails "
                        "while it is read, after its first items were handed out; leave it away, "
                        'or use stale="1m"'
                    )
        if self.options.tags is not None:
            self._tags_of(target)
            TAGGED[id(self)] = self
        if not isinstance(self.options.backend, str):
            self._made_remote(backends(self.options.backend), target)

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the cache in front of `inner`."""
        state = self.state(site.host, site.target)
        tags_of = self._tags_of(site.target)
        if self.options.copy == "freeze":
            from agentperf.policies.cached.memory.freezing import freezing  # for who asks for it

            inner = freezing(site, inner)
        layer: CacheLayer
        if self.options.per_item is not None:
            layer = self._items_layer(site, state)
        elif (remote := self._remote(site.host, site.target)) is not None:
            layer = remote.layer(site, state, tags_of)
        else:
            key_of = self.key_of(site.host, site.target)
            layer = MemoryLayer(site, state, key_of, tags_of)
        step = layer.bound(inner)
        return layer.by_mode(step, inner) if site.host.bindings.minds_modes else step

    def _items_layer(self, site: Site, state: CacheState) -> CacheLayer:
        per_item, tags_of = self.calls_of_items(site.target), self._tags_of(site.target)
        if (remote := self._remote(site.host, site.target)) is not None:
            from agentperf.policies.cached.items.backed import BackedItems

            return remote.layer(site, state, tags_of, partial(BackedItems, per_item))
        from agentperf.policies.cached.items.memory import MemoryItems

        key_of = self.key_of(site.host, site.target)
        return MemoryItems(per_item, site, state, key_of, tags_of)

    def calls_of_items(self, target: Target) -> PerItem:
        """Return what takes calls of a function apart by their items.

        Raises:
            ConfigurationError: The function can't be cached that way.
        """
        from agentperf.policies.cached.items.calls import PerItem  # for who has items

        return PerItem(target, self.options)

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

    def near_stats(self, host: Host, target: Target) -> NearStats | None:
        """Return the figures of the memory in front of the backend; None where there is none."""
        remote = self._remote(host, target)
        return None if remote is None else remote.near_stats()

    def trouble(self, host: Host, target: Target) -> str:
        """Return the name of the error that the backend failed with, while it is out of order."""
        remote = self.state(host, target).remotes.get(target)
        return "" if remote is None else remote.trouble(host)

    def _made_remote(self, backend: Backends, target: Target) -> Remote:
        from agentperf.policies.cached.backed.remote import (
            Remote,
        )  # whoever stays in memory needs no codec

        make_key = partial(self._key_maker, target)
        return Remote(backend, target, self.options, self.name, make_key)

    def contents(self, host: Host, target: Target, *, is_async: bool) -> Contents:
        """Return what the handle can do to the entries.

        Raises:
            ConfigurationError: The backend has to be awaited, and the caller can't.
        """
        state = self.state(host, target)
        if (remote := self._remote(host, target)) is not None:
            return remote.contents(host, state, is_async=is_async)
        return MemoryContents(state, host.clock.now, partial(tag_table, host))

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
            from agentperf.policies.cached.partition import partitioned

            return partitioned(key_of, self.options.scope)
        return key_of

    def explained_key(
        self, host: Host, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str, tuple[str | None, ...]]:
        """Return the key of a call as text, and whose answers it may see."""
        from agentperf.policies.cached.partition import partition_of

        current = partition_of(self.options.scope) if host.bindings.minds_scopes else None
        partition = (None if current is None else current()) or ()
        if self._remote(host, target) is not None:
            return str(self.key_of(host, target)(args, kwargs)), partition
        key = self._key_maker(target, self.state(host, target).instances)(args, kwargs)
        return digest((partition, key)), partition

    def _tags_of(self, target: Target) -> TagsOf:
        if self.options.tags is None:
            return NO_TAGS
        name = getattr(target.function, "__qualname__", target.operation)
        return tags_of(name, target.signature, self.options.tags)

    def _key_maker(self, target: Target, instance: Callable[[object], Hashable]) -> KeyOf:
        is_method = method_self(target.function, target.signature)
        key_of = key_maker(
            getattr(target.function, "__qualname__", target.operation),
            target.signature,
            ignore=self.options.ignore,
            key=self.options.key,
            instance=instance if is_method else None,
            option=self.key_option,
            needed=self.options.per_item,
        )
        if self.options.version is None:
            return key_of
        from agentperf.policies.cached.versions import version_of, versioned  # for who says one

        return versioned(key_of, version_of(target.function, self.options.version))


def made_state(
    host: Host, options: CacheOptions, name: str | None, owners: tuple[object, ...]
) -> CacheState:
    """Return what the cache of these owners, or of this name, remembers on a host."""
    airspace = airspace_of(host)
    return host.state(
        CacheState,
        lambda: CacheState(options, airspace, name, host.clock.now),
        owners=owners,
        name=name,
        options=options,
    )


def airspace_of(host: Host) -> Airspace:
    """Return what the caches of a host share."""
    table = tag_table(host)
    return host.state(Airspace, lambda: Airspace(table), owners=(), name="flights")


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
    max_entries: MaxEntries = 1024,
    max_bytes: Size | None = None,
    copy: CopyMode = "auto",
    scope: Partition = "auto",
    on_store_failure: OnFailure = "open",
    jitter: Share = 0.0,
    stale: Duration | None = None,
    stale_on_error: Duration | None = None,
    refresh_ahead: Share | None = None,
    negative_ttl: Duration | Mapping[type[Exception], Duration] | None = None,
    store_if: StoreIf | None = None,
    on_abandon: OnAbandon = "finish",
    per_item: str | None = None,
    version: str | None = None,
    soft_timeout: Duration | None = None,
    hard_timeout: Duration | None = None,
    codec: AnyCodec | None = None,
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
) -> Cached: ...
def cached(  # pyright: ignore[reportInconsistentOverload]  # `ttl` goes by position as `first`
    first: Any = None,
    /,
    *,
    ttl: Duration | None = None,
    key: Key | None = None,
    ignore: str | Sequence[str] = (),
    tags: Tags | None = None,
    backend: str | AnyBackend = "memory",
    max_entries: MaxEntries = 1024,
    max_bytes: Size | None = None,
    copy: CopyMode = "auto",
    scope: Partition = "auto",
    on_store_failure: OnFailure = "open",
    jitter: Share = 0.0,
    stale: Duration | None = None,
    stale_on_error: Duration | None = None,
    refresh_ahead: Share | None = None,
    negative_ttl: Duration | Mapping[type[Exception], Duration] | None = None,
    store_if: StoreIf | None = None,
    on_abandon: OnAbandon = "finish",
    per_item: str | None = None,
    version: str | None = None,
    soft_timeout: Duration | None = None,
    hard_timeout: Duration | None = None,
    codec: AnyCodec | None = None,
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Any:
    """Keep answers and give them again for the same arguments.

    While an answer is being computed, everybody who asks for it waits for that one computation:
    threads, tasks and event loops together. Whoever is cancelled leaves alone; the computation
    goes on and fills the cache. `None` is an answer like any other; errors are not kept. A stream
    that is under way is read along by all who ask for it, from its first item on; it is kept when
    it was read to its end, and replayed item for item.

    Args:
        first: What is decorated, or `ttl` without its name.
        ttl: How long an answer is good: seconds, a `timedelta`, or text such as `"10m"`; None: as
            long as there is room for it.
        key: What makes two calls the same: names of parameters, a template such as
            `"{user.id}:{question}"`, or a callable over the call's arguments. All arguments by
            default, by value and type; `self` counts by identity.
        ignore: Names of parameters that don't count.
        tags: Under which names `agentperf.invalidate` reaches the answers: tags such as
            `"profiles"`, templates such as `"profile:{user_id}"`, or a callable over the call's
            arguments that returns a tag, several, or None; `()` where the function names them with
            `agentperf.cache_control(tags=...)`.
        backend: Where the answers are kept: `"memory"`, with another eviction than the default
            one `"memory:lru"`, `"memory:lfu"`, `"memory:ttl"` or `"memory:sieve"`, a file such as
            `"sqlite:~/answers.db?max_bytes=1GB"`, the word of a plugin's backend such as
            `"example"` or `"example:/var/cache"`, a memory in front of one of these such as
            `"memory+redis://localhost:6379/0"`, or an object of a class that extends
            `agentperf.abc.CacheBackend`. Other backends than memory keep bytes: an answer that
            can't be turned into bytes is not kept.
        max_entries: How many answers to keep in memory at most; 1024 by default. `"auto"` lets
            their number grow and shrink with what that wins.
        max_bytes: How much memory the answers and their keys may take, about: bytes, or text such
            as `"100MB"`; None: whatever they do. An answer that is larger alone is not kept.
        copy: `"auto"` hands out values that nobody can change as they are, and copies of all
            others; `"share"` hands out the stored object itself, `"copy"` always a copy.
            `"freeze"` makes one that nobody can change (lists become tuples, sets frozensets, dicts
            read-only views) before anybody gets it, and hands that out to all, in memory only.
        scope: Whose answers are kept apart while an `agentperf.scope` is open: `"auto"` and
            `"tenant"` by tenant, `"user"` and `"session"` by these too, `"none"` shares them all.
        on_store_failure: What to do while the backend fails: `"open"` computes, `"closed"` raises
            `StoreUnavailable`, `"local"` keeps up to 1024 answers in memory until it works again.
        jitter: The share of `ttl`, from 0 to below 1, that chance takes off at most, so that what
            was stored together doesn't expire together.
        stale: For how long past `ttl` an old answer is given while a new one is made in the
            background: in a task of its own, or for a function that blocks in one of a few threads.
        stale_on_error: For how long past `ttl` an old answer is given when making a new one fails.
        refresh_ahead: The share of `ttl`, such as 0.8, after which the first call that asks has a
            new answer made in the background, and gets the one there is. The longer an answer took
            to compute, the earlier; True goes by that alone.
        negative_ttl: For how long a failure is remembered and raised again, for all failures or by
            class of exception, such as `{LookupError: "30s"}`; None remembers none.
        store_if: A callable over the result (of a stream, the tuple of its items) that says whether
            it is stored, or `"always"`. By default all is stored but replies of models that were
            cut off, filtered or refused, are empty, or are errors.
        on_abandon: What becomes of an asynchronous computation when everybody who waited for it
            has gone away: `"finish"` lets it fill the cache, `"cancel"` cancels it. A stream that
            everybody has left is closed either way.
        per_item: The parameter that takes a list of items, for a function that returns a list with
            one result for each: what is there is given, and one call computes the rest. To `key`,
            `tags` and `store_if` each item is a call of its own.
        version: Part of every key: answers of another version are not found. Text that you change
            when the answers become others, or `"auto"` to have it made from the function's code:
            its bytecode, constants, names, defaults and what it closes over. What the function
            calls, and the globals it reads, is not seen.
        soft_timeout: For how long to wait for a new answer while there is an old one, which is then
            given; the computation goes on and fills the cache. Needs `stale_on_error`.
        hard_timeout: For how long to wait for an answer at all; then `CallTimeout` is raised, or
            an old answer is given if there is one. The computation goes on, unless `on_abandon`
            says otherwise. A function that blocks is computed in a thread then.
        codec: How answers become bytes on a backend: an `agentperf.codec.Codec`, which is told of
            the classes that the function's annotation names, or its options such as
            `{"compress_over": 4096}`. Where it has no secret, `AGENTPERF_CACHE_SECRET` signs.
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
        CallTimeout: At a call, `hard_timeout` is over.
        StoreUnavailable: At a call, the backend fails, and `on_store_failure="closed"`.
    """
    refuse_unknown(cached, unknown)
    given: Any = first
    bare = is_decorated_bare(given)
    if not bare and ttl is None:
        ttl = first
    elif not bare and first is not None:
        raise ConfigurationError(
            f'cached({first!r}, ttl={ttl!r}): one time to live is enough, such as cached("10m")'
        )
    options = checked(
        ttl=ttl,
        key=key,
        ignore=ignore,
        max_entries=max_entries,
        max_bytes=max_bytes,
        copy=copy,
        scope=scope,
        backend=backend,
        on_store_failure=on_store_failure,
        jitter=jitter,
        stale=stale,
        stale_on_error=stale_on_error,
        refresh_ahead=refresh_ahead,
        negative_ttl=negative_ttl,
        store_if=store_if,
        on_abandon=on_abandon,
        tags=tags,
        per_item=per_item,
        version=version,
        soft_timeout=soft_timeout,
        hard_timeout=hard_timeout,
        codec=codec,
    )
    policy = Cached(options, name=name, enabled=enabled)
    if not bare:
        return policy
    if (options, name, enabled) != (cached().options, None, True):
        raise ConfigurationError(
            "cached(f, ...): a function and options don't go into one call; write "
            'cached(ttl="10m")(f), or @cached(ttl="10m") above the function'
        )
    return policy(given)
