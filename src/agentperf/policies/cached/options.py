"""What can be said of a cache, checked once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from agentperf._base.callables import refuse_async
from agentperf._base.durations import Duration, seconds
from agentperf._base.options import OnFailure, Share, checked_on_failure, percent
from agentperf.abc.backends import AnyBackend, AsyncCacheBackend, Backends, CacheBackend
from agentperf.errors import ConfigurationError
from agentperf.policies.cached.tags.naming import Tags, checked_tags

if TYPE_CHECKING:
    from agentperf.codec import Codec

    AnyCodec = Codec | Mapping[str, Any]
    from agentperf._base.sizes import Size
    from agentperf.policies.cached.memory.names import Eviction

MAX_ENTRIES = 1024
"""How many answers are kept in memory, unless somebody says otherwise."""

_UNFIT = frozenset("?./\\~ ")
"""What stands in a path or in a query, never in the word that an address begins with."""

T = TypeVar("T")
CopyMode = Literal["auto", "share", "copy", "freeze"]
OnAbandon = Literal["finish", "cancel"]
Partition = Literal["auto", "tenant", "user", "session", "none"]
Key = str | Sequence[str] | Callable[..., object]
MaxEntries = int | Literal["auto"]
StoreIf = Callable[[Any], object] | Literal["always"]
Negative = float | Mapping[type[Exception], float]


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """The options of one `cached`, in their final form; see `cached` for their meaning."""

    ttl: float | None
    key: str | tuple[str, ...] | Callable[..., object] | None
    ignore: tuple[str, ...]
    max_entries: MaxEntries
    copy: CopyMode
    scope: Partition
    backend: str | AnyBackend = field(default="memory", repr=False)  # a password may be in it
    on_store_failure: OnFailure = "open"
    jitter: float = 0.0
    stale: float | None = None
    stale_on_error: float | None = None
    refresh_ahead: float | None = None
    negative_ttl: Negative | None = None
    store_if: StoreIf | None = None
    on_abandon: OnAbandon = "finish"
    tags: tuple[str, ...] | Callable[..., object] | None = None
    max_bytes: int | None = None
    eviction: Eviction | None = None
    per_item: str | None = None
    version: str | None = None
    soft_timeout: float | None = None
    hard_timeout: float | None = None
    codec: Codec | None = field(default=None, repr=False, compare=False)

    @property
    def lingers(self) -> bool:
        """Whether an answer is good for something else than being given while it is fresh."""
        return not (self.stale is None is self.stale_on_error is self.refresh_ahead)

    @property
    def place(self) -> str:
        """What the answers are in, as one word; never the address, which may hold a password."""
        if not isinstance(self.backend, str):
            return type(self.backend).__name__
        near, plus, far = self.backend.partition(":")[0].partition("+")
        return near.partition("?")[0] + plus + far

    def __repr__(self) -> str:
        said = [f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr]
        return f"CacheOptions(backend={self.place!r}, {', '.join(said)})"

    @property
    def in_memory(self) -> bool:
        """Whether the answers themselves are kept, not bytes."""
        return _in_memory(self.backend)


def checked(
    *,
    ttl: Duration | None,
    key: Key | None,
    ignore: str | Sequence[str],
    max_entries: object,
    copy: str,
    scope: str,
    backend: str | AnyBackend = "memory",
    on_store_failure: OnFailure = "open",
    jitter: Share = 0.0,
    stale: Duration | None = None,
    stale_on_error: Duration | None = None,
    refresh_ahead: Share | None = None,
    negative_ttl: Duration | Mapping[type[Exception], Duration] | None = None,
    store_if: StoreIf | None = None,
    on_abandon: str = "finish",
    tags: Tags | None = None,
    per_item: str | None = None,
    version: str | None = None,
    soft_timeout: Duration | None = None,
    hard_timeout: Duration | None = None,
    codec: AnyCodec | None = None,
    max_bytes: Size | None = None,
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
    if not isinstance(backend, str | CacheBackend | AsyncCacheBackend | Backends) or not backend:
        raise ConfigurationError(
            f'backend={backend!r}: the name of one, such as backend="memory", or an object of a '
            "class that extends agentperf.abc.CacheBackend"
        )
    if isinstance(backend, str):
        _refuse_misspelt(backend)
    options = CacheOptions(
        ttl=None if ttl is None else seconds(ttl, "ttl"),
        key=key,
        ignore=ignore,
        max_entries=_max_entries(max_entries, backend),
        copy=_one_of("copy", copy, get_args(CopyMode)),
        scope=_one_of("scope", scope, get_args(Partition)),
        backend=backend,
        on_store_failure=checked_on_failure(on_store_failure),
        jitter=_share("jitter", jitter),
        stale=None if stale is None else seconds(stale, "stale"),
        stale_on_error=None
        if stale_on_error is None
        else seconds(stale_on_error, "stale_on_error"),
        refresh_ahead=_ahead(refresh_ahead),
        negative_ttl=_negative(negative_ttl),
        store_if=_store_if(store_if),
        on_abandon=_one_of("on_abandon", on_abandon, get_args(OnAbandon)),
        tags=None if tags is None else checked_tags(tags),
        per_item=_per_item(per_item),
        version=_version(version),
        soft_timeout=None if soft_timeout is None else seconds(soft_timeout, "soft_timeout"),
        hard_timeout=None if hard_timeout is None else seconds(hard_timeout, "hard_timeout"),
        codec=None if codec is None else _codec(codec),
        max_bytes=None if max_bytes is None else _max_bytes(max_bytes, backend),
        eviction=_eviction(backend),
    )
    _check_together(options)
    return options


def _refuse_misspelt(backend: str) -> None:
    word = backend.partition(":")[0]
    if word == word.lower() and ("+" in word or not _UNFIT & {*word}):
        return
    from agentperf.policies.cached.misspelt import explained  # only when something is wrong

    raise explained(word)


def _check_together(options: CacheOptions) -> None:
    if options.ttl is None:
        for name in ("jitter", "stale", "stale_on_error", "refresh_ahead"):
            if getattr(options, name):
                raise ConfigurationError(
                    f"{name}={getattr(options, name)!r} means nothing without a time to live: "
                    f'give one, such as ttl="10m"'
                )
    if options.copy in ("share", "freeze") and not options.in_memory:
        raise ConfigurationError(
            f'copy="{options.copy}" hands out the stored object, and a backend stores bytes: leave '
            "copy= out"
        )
    if options.soft_timeout is not None:
        if options.stale_on_error is None:
            raise ConfigurationError(
                "soft_timeout= is for calls that have an old answer at hand, and none is kept: "
                'give stale_on_error= too, such as soft_timeout="2s", stale_on_error="1h"'
            )
        if options.hard_timeout is not None and options.hard_timeout <= options.soft_timeout:
            raise ConfigurationError(
                "soft_timeout= has to be shorter than hard_timeout=, such as "
                'soft_timeout="2s", hard_timeout="20s"'
            )
    if options.codec is not None and options.in_memory:
        raise ConfigurationError(
            "codec= is for backends, which keep bytes: leave it away, or give backend= too, such "
            'as backend="sqlite:~/answers.db"'
        )
    if options.per_item is not None:
        _refuse_beside_items(options)


def _refuse_beside_items(options: CacheOptions) -> None:
    unfit = "stale", "stale_on_error", "refresh_ahead", "negative_ttl", "hard_timeout"
    for name in unfit:
        if getattr(options, name) is not None:
            raise ConfigurationError(
                f"{name}= doesn't go with per_item= yet: what is missing of a batch is computed "
                f'while its caller waits. Leave it away, as in per_item="texts", ttl="1d"'
            )
    if options.on_abandon == "cancel":
        raise ConfigurationError(
            'on_abandon="cancel" doesn\'t go with per_item=: others may wait for some of the '
            "items. Leave it away"
        )


def _per_item(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise ConfigurationError(
        f"per_item={value!r}: the name of the parameter that takes the items, such as "
        'per_item="texts"'
    )


def _codec(value: object) -> Codec:
    from agentperf.codec import Codec  # whoever names one has it, or needs it

    if isinstance(value, Mapping):
        known = inspect.signature(Codec).parameters
        for unknown in value.keys() - known:  # its value may be a secret
            from difflib import get_close_matches

            close = get_close_matches(str(unknown), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}."
            raise ConfigurationError(
                f"codec=: a codec has no option {unknown!r}; {hint} An example: "
                'codec={"compress_over": 4096}'
            )
        return Codec(**value)
    if isinstance(value, Codec):
        return value
    raise ConfigurationError(
        "codec=: an agentperf.codec.Codec is needed, or its options, not "
        f"{type(value).__name__}; "
        'an example: codec=Codec(compress_over=4096) or codec={"compress_over": 4096}'
    )


def _version(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise ConfigurationError(
        f'version={value!r}: text is needed, such as version="2", or version="auto" to go by the '
        "function's code"
    )


def _in_memory(backend: object) -> bool:
    return isinstance(backend, str) and backend.partition(":")[0] == "memory"


def _max_entries(value: object, backend: object) -> MaxEntries:
    if value != MAX_ENTRIES and not _in_memory(backend):
        raise ConfigurationError(
            f"max_entries={value!r} bounds answers in memory: leave it out; a file is bounded by "
            'its size, backend="sqlite:~/answers.db?max_bytes=1GB", the memory in front of another '
            'backend by its address, backend="memory?max_entries=5000+redis://host", and a server '
            "is configured where it runs"
        )
    if isinstance(value, str) and value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(
            f"max_entries={value!r}: a whole number from 1 up, such as max_entries=10_000; or "
            '"auto", as many as pay'
        )
    return value


def _max_bytes(value: Size, backend: object) -> int:
    if not _in_memory(backend):
        raise ConfigurationError(
            f"max_bytes={value!r} bounds answers in memory; a file has a bound of its own, "
            'backend="sqlite:~/answers.db?max_bytes=1GB", and a server is configured where it runs'
        )
    from agentperf._base.sizes import in_bytes

    return in_bytes(value, "max_bytes")


def _eviction(backend: object) -> Eviction | None:
    if not isinstance(backend, str) or not backend.startswith("memory:"):
        return None
    from agentperf.policies.cached.memory.names import eviction_of

    return eviction_of(backend)


def _names(parameter: str, value: object, example: str) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{parameter}={value!r}: names of parameters, such as {example}")
    return tuple(names)


def _share(parameter: str, given: object) -> float:
    value = percent(given)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ConfigurationError(
            f"{parameter}={given!r}: a share from 0 up to, but not including, 1, such as "
            f'{parameter}=0.1 or "10%"'
        )
    return float(value)


def _ahead(given: object) -> float | None:
    value = percent(given)
    if value is None or value is False:
        return None
    if value is True:
        return 1.0  # never by age alone
    if not isinstance(value, int | float) or not 0 < value < 1:
        raise ConfigurationError(
            f"refresh_ahead={given!r}: the share of the time to live after which a new answer is "
            'made, between 0 and 1, such as refresh_ahead=0.8 or "80%"; or True, to go by its cost '
            "alone"
        )
    return float(value)


def _negative(value: object) -> Negative | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return seconds(value, "negative_ttl")  # type: ignore[arg-type]
    for kind in value:
        if not isinstance(kind, type) or not issubclass(kind, Exception):
            raise ConfigurationError(
                f"negative_ttl={value!r}: seconds, or seconds by class of exception, such as "
                'negative_ttl={LookupError: "30s"}'
            )
    return {kind: seconds(given, "negative_ttl") for kind, given in value.items()}


def _store_if(value: object) -> StoreIf | None:
    if value is None or value == "always":
        return "always" if value else None
    if callable(value):
        refuse_async("store_if", value, "store_if=lambda answer: answer.score > 0.5")
        return value
    raise ConfigurationError(
        f"store_if={value!r}: a callable over the result that says whether it is stored, such as "
        'store_if=lambda answer: answer.score > 0.5; or "always"'
    )


def _one_of(parameter: str, value: object, choices: tuple[T, ...]) -> T:
    for choice in choices:
        if value == choice:
            return choice
    shown = ", ".join(f'"{choice}"' for choice in choices)
    raise ConfigurationError(f"{parameter}={value!r}: one of {shown}")
