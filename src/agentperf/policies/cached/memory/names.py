"""The evictions of the memory, as `backend="memory:NAME"` names them."""

from __future__ import annotations

from typing import Any, Literal, get_args

from agentperf.errors import ConfigurationError, MissingExtraError

Eviction = Literal["sieve", "lru", "lfu", "ttl"]


def eviction_of(address: str) -> Eviction:
    """Return which eviction `"memory:NAME"` asks for.

    Raises:
        ConfigurationError: There is none of that name.
        MissingExtraError: It is one of cachetools', which is not installed.
    """
    name = address.partition(":")[2]
    known: Eviction
    for known in get_args(Eviction):
        if name == known:
            if known != "sieve":
                cachetools_for(known)
            return known
    shown = ", ".join(f'"memory:{known}"' for known in get_args(Eviction))
    raise ConfigurationError(
        f'backend={address!r}: one of {shown}, or backend="memory" for the default eviction'
    )


def cachetools_for(eviction: Eviction) -> Any:
    """Return cachetools.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import cachetools
    except ImportError as error:
        feature = f'backend="memory:{eviction}"'
        raise MissingExtraError(feature, "eviction", "cachetools") from error
    return cachetools
