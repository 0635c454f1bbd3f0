"""Caches of agentperf in Redis or Valkey: `cached(backend="redis://localhost:6379/0")`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from agentperf import hookimpl
from agentperf.abc import Backends

if TYPE_CHECKING:
    from agentperf_redis.asynchronous import AsyncRedisBackend as AsyncRedisBackend
    from agentperf_redis.blocking import RedisBackend as RedisBackend

AGENTPERF_HOOKSPECS = "1.0"
"""The version of the hooks that this plugin was written for."""

__all__ = ["AsyncRedisBackend", "RedisBackend"]


@hookimpl
def agentperf_cache_backends() -> Mapping[str, Callable[[str], Backends]]:
    """Offer Redis and Valkey, over TCP, TLS and Unix sockets."""
    from agentperf_redis.address import SCHEMES

    return dict.fromkeys(SCHEMES, _backends)


def _backends(text: str) -> Backends:
    from agentperf_redis.asynchronous import AsyncRedisBackend
    from agentperf_redis.blocking import RedisBackend

    return Backends(sync=RedisBackend(text), asynchronous=AsyncRedisBackend(text))


def __getattr__(name: str) -> object:
    """Import a backend when it is first used: redis-py takes a quarter of a second."""
    if name == "RedisBackend":
        from agentperf_redis.blocking import RedisBackend

        return RedisBackend
    if name == "AsyncRedisBackend":
        from agentperf_redis.asynchronous import AsyncRedisBackend

        return AsyncRedisBackend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
