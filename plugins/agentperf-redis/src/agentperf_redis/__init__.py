"""Caches and shared limits of agentperf in Redis or Valkey.

`cached(backend="redis://localhost:6379/0")`, `rate_limited(store="redis://localhost:6379/0")`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from agentperf import hookimpl
from agentperf.abc import Backends, Stores

if TYPE_CHECKING:
    from agentperf_redis.asynchronous import AsyncRedisBackend as AsyncRedisBackend
    from agentperf_redis.blocking import RedisBackend as RedisBackend
    from agentperf_redis.stores import AsyncRedisStore as AsyncRedisStore
    from agentperf_redis.stores import RedisStore as RedisStore

AGENTPERF_HOOKSPECS = "1.0"
"""The version of the hooks that this plugin was written for."""

__all__ = ["AsyncRedisBackend", "AsyncRedisStore", "RedisBackend", "RedisStore"]


@hookimpl
def agentperf_cache_backends() -> Mapping[str, Callable[[str], Backends]]:
    """Offer Redis and Valkey, over TCP, TLS and Unix sockets."""
    from agentperf_redis.address import SCHEMES

    return dict.fromkeys(SCHEMES, _backends)


def _backends(text: str) -> Backends:
    from agentperf_redis.asynchronous import AsyncRedisBackend
    from agentperf_redis.blocking import RedisBackend

    return Backends(sync=RedisBackend(text), asynchronous=AsyncRedisBackend(text))


@hookimpl
def agentperf_stores() -> Mapping[str, Callable[[str], Stores]]:
    """Offer the same servers as stores of limits."""
    from agentperf_redis.address import SCHEMES

    return dict.fromkeys(SCHEMES, _stores)


def _stores(text: str) -> Stores:
    from agentperf_redis.stores import AsyncRedisStore, RedisStore

    return Stores(sync=RedisStore(text), asynchronous=AsyncRedisStore(text))


def __getattr__(name: str) -> object:
    """Import a class when it is first used: redis-py takes a quarter of a second."""
    if name == "RedisBackend":
        from agentperf_redis.blocking import RedisBackend

        return RedisBackend
    if name == "AsyncRedisBackend":
        from agentperf_redis.asynchronous import AsyncRedisBackend

        return AsyncRedisBackend
    if name in ("RedisStore", "AsyncRedisStore"):
        from agentperf_redis import stores

        return getattr(stores, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
