"""Caches of agentperf in memcached: `cached(backend="memcached://localhost:11211")`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from agentperf import hookimpl
from agentperf.abc import CacheBackend

if TYPE_CHECKING:
    from agentperf_memcached.backend import MemcachedBackend as MemcachedBackend

AGENTPERF_HOOKSPECS = "1.0"
"""The version of the hooks that this plugin was written for."""

__all__ = ["MemcachedBackend"]


@hookimpl
def agentperf_cache_backends() -> Mapping[str, Callable[[str], CacheBackend]]:
    """Offer memcached."""
    return {"memcached": _backend}


def _backend(text: str) -> CacheBackend:
    from agentperf_memcached.backend import MemcachedBackend

    return MemcachedBackend(text)


def __getattr__(name: str) -> object:
    """Import the backend when it is first used."""
    if name == "MemcachedBackend":
        from agentperf_memcached.backend import MemcachedBackend

        return MemcachedBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
