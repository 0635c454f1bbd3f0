"""What can be said of a cache, checked once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

from agentperf._base.durations import Duration, seconds
from agentperf.abc.backends import AnyBackend, AsyncCacheBackend, Backends, CacheBackend
from agentperf.errors import ConfigurationError
from agentperf.policies.cached.tags import Tags, checked_tags

T = TypeVar("T")
CopyMode = Literal["auto", "share", "copy"]
Partition = Literal["auto", "tenant", "user", "session", "none"]
OnFailure = Literal["open", "closed"]
Key = str | Sequence[str] | Callable[..., object]


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """The options of one `cached`, in their final form; see `cached` for their meaning."""

    ttl: float | None
    key: str | tuple[str, ...] | Callable[..., object] | None
    ignore: tuple[str, ...]
    max_entries: int
    copy: CopyMode
    scope: Partition
    backend: str | AnyBackend = field(default="memory", repr=False)  # a password may be in it
    on_store_failure: OnFailure = "open"
    tags: tuple[str, ...] | Callable[..., object] | None = None

    @property
    def in_memory(self) -> bool:
        """Whether the answers themselves are kept, not bytes."""
        return isinstance(self.backend, str) and self.backend == "memory"


def checked(
    *,
    ttl: Duration | None,
    key: Key | None,
    ignore: str | Sequence[str],
    max_entries: int,
    copy: str,
    scope: str,
    backend: str | AnyBackend = "memory",
    on_store_failure: str = "open",
    tags: Tags | None = None,
) -> CacheOptions:
    """Turn what the user wrote into options.

    Raises:
        ConfigurationError: Something is malformed or contradicts something else.
    """
    ignore = _names("ignore", ignore, 'ignore="client" or ignore=("client", "trace_id")')
    if key is not None and not isinstance(key, str) and not callable(key):
        key = _names("key", key, 'key=("user_id", "question"), key="{user.id}:{question}"')
    if key is not None and ignore:
        raise ConfigurationError(
            'key= and ignore= contradict each other: key=("user_id", "question") names what '
            'counts, ignore=("client",) what does not; use one of them'
        )
    if isinstance(max_entries, bool) or not isinstance(max_entries, int) or max_entries < 1:
        raise ConfigurationError(
            f"max_entries={max_entries!r}: a whole number from 1 up, such as max_entries=10_000"
        )
    if not isinstance(backend, str | CacheBackend | AsyncCacheBackend | Backends) or not backend:
        raise ConfigurationError(
            f'backend={backend!r}: the name of one, such as backend="memory", or an object of a '
            "class that extends agentperf.abc.CacheBackend"
        )
    options = CacheOptions(
        ttl=None if ttl is None else seconds(ttl, "ttl"),
        key=key,
        ignore=ignore,
        max_entries=max_entries,
        copy=_one_of("copy", copy, get_args(CopyMode)),
        scope=_one_of("scope", scope, get_args(Partition)),
        backend=backend,
        on_store_failure=_one_of("on_store_failure", on_store_failure, get_args(OnFailure)),
        tags=None if tags is None else checked_tags(tags),
    )
    if options.copy == "share" and not options.in_memory:
        raise ConfigurationError(
            'copy="share" hands out the stored object, and a backend stores bytes: leave copy= out'
        )
    return options


def _names(parameter: str, value: object, example: str) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{parameter}={value!r}: names of parameters, such as {example}")
    return tuple(names)


def _one_of(parameter: str, value: object, choices: tuple[T, ...]) -> T:
    for choice in choices:
        if value == choice:
            return choice
    shown = ", ".join(f'"{choice}"' for choice in choices)
    raise ConfigurationError(f"{parameter}={value!r}: one of {shown}")
