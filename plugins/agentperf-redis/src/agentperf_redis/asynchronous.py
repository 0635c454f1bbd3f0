"""The backend for calls that are awaited under asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, ResponseError, TimeoutError  # noqa: A004

from agentperf import BackendError
from agentperf.abc import AsyncCacheBackend, Lasting
from agentperf_redis.address import Address
from agentperf_redis.commands import Command, Commands, Steps
from agentperf_redis.loops import PerLoop

T = TypeVar("T")


class AsyncRedisBackend(AsyncCacheBackend):
    """Keeps entries in Redis or Valkey, for calls that are awaited under asyncio.

    Each event loop has connections of its own, which are closed when the loop shuts down.

    Args:
        address: Where the server is, such as `"redis://localhost:6379/0?prefix=myapp:"`.

    Raises:
        ConfigurationError: The address is malformed.
    """

    shared = True
    atomic = True
    asyncio_only = True

    def __init__(self, address: str) -> None:
        self._address = Address.read(address)
        self._commands = Commands(self._address.prefix)
        self._lines: PerLoop[Line] = PerLoop(lambda: Line(self._address), Line.close)

    async def get(self, key: str) -> bytes | None:
        """Return what is stored under `key`."""
        return await self._done(self._commands.get(key))

    async def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return what is stored under `keys`, in one round trip."""
        return await self._done(self._commands.get_many(keys))

    async def get_lasting(self, keys: Iterable[str]) -> dict[str, Lasting]:
        """Return the same with the times that the server still keeps them, in one round trip."""
        return await self._done(self._commands.get_lasting(keys))

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Store `value` for `ttl` seconds, counted by the server."""
        await self._done(self._commands.set(key, value, ttl))

    async def set_many(self, values: Mapping[str, bytes], ttl: float | None = None) -> None:
        """Store several values, in one round trip."""
        await self._done(self._commands.set_many(values, ttl))

    async def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        """Store `value` only if nothing is there."""
        return await self._done(self._commands.add(key, value, ttl))

    async def replace(self, key: str, old: bytes, new: bytes, ttl: float | None = None) -> bool:
        """Store `new` only if `old` is there."""
        return await self._done(self._commands.replace(key, old, new, ttl))

    async def delete(self, key: str) -> bool:
        """Remove `key`; tell whether it was there."""
        return await self._done(self._commands.delete(key))

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove several keys, in one round trip; return how many were there."""
        return await self._done(self._commands.delete_many(keys))

    async def delete_if(self, key: str, value: bytes) -> bool:
        """Remove `key` only if `value` is there."""
        return await self._done(self._commands.delete_if(key, value))

    async def set_if(
        self,
        key: str,
        value: bytes,
        ttl: float | None = None,
        *,
        guard: str,
        token: bytes,
        mark: bytes,
        mark_ttl: float,
    ) -> bool:
        """Store `value` only if `token` is under `guard`, in one script."""
        fence: Any = {"guard": guard, "token": token, "mark": mark, "mark_ttl": mark_ttl}
        return await self._done(self._commands.set_if(key, value, ttl, **fence))

    async def clear(self, prefix: str = "") -> None:
        """Remove every key that begins with `prefix`; of other users' keys, none."""
        await self._done(self._commands.clear(prefix))

    async def close(self) -> None:
        """Close the connections of the running loop; those of others close with their loops."""
        await self._lines.close()

    async def _done(self, steps: Steps[T]) -> T:
        line = await self._lines.get()
        return await line.done(steps)

    def __repr__(self) -> str:
        return f"<AsyncRedisBackend {self._address.shown}>"


class Line:
    """The connections of one event loop, and those who wait for one.

    However many wait, they wait as long as the server answers, and no longer: once it fails, all
    who wait are told.
    """

    def __init__(self, address: Address) -> None:
        self._pool = address.pool(BlockingConnectionPool, Retry(NoBackoff(), 0))
        self._places = asyncio.Semaphore(self._pool.max_connections)
        self._failures = 0
        self.client: Any = Redis(connection_pool=self._pool)

    async def done(self, steps: Steps[T]) -> T:
        """Carry out the steps, once a connection is free.

        Raises:
            BackendError: The server failed meanwhile.
        """
        failures = self._failures
        async with self._places:
            if failures != self._failures:
                raise BackendError("the server failed while this call waited for a connection")
            try:
                commands = next(steps)
                while True:
                    commands = steps.send(await self._replies(commands))
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            except (ConnectionError, TimeoutError):
                self._failures += 1
                # The idle connections broke with this one, and redis-py doesn't always see it.
                await self._pool.disconnect(inuse_connections=False)
                raise

    async def _replies(self, commands: list[Command]) -> list[Any]:
        if len(commands) == 1:
            try:
                return [await self.client.execute_command(*commands[0])]
            except ResponseError as error:
                return [error]
        pipeline = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        # What it would raise by itself repeats the command, and the value with it.
        return await pipeline.execute(raise_on_error=False)  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.disconnect()
