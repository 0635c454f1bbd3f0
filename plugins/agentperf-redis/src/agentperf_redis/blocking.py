"""The backend for calls that block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

from agentperf.abc import CacheBackend, Lasting, Watchable, Watcher
from agentperf_redis.address import Address
from agentperf_redis.commands import Command, Commands, Steps
from agentperf_redis.watching import Watch

T = TypeVar("T")


class Line:
    """The connections of one process.

    Args:
        address: Where the server is.
    """

    def __init__(self, address: Address) -> None:
        # A pool notices by itself that the process was forked.
        pool = address.pool(BlockingConnectionPool, Retry(NoBackoff(), 0))
        self.client: Any = Redis(connection_pool=pool)

    def done(self, steps: Steps[T]) -> T:
        """Carry out the steps."""
        try:
            commands = next(steps)
            while True:
                commands = steps.send(self._replies(commands))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def _replies(self, commands: list[Command]) -> list[Any]:
        if len(commands) == 1:
            try:
                return [self.client.execute_command(*commands[0])]
            except ResponseError as error:
                return [error]
        pipeline = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        # What it would raise by itself repeats the command, and the value with it.
        return pipeline.execute(raise_on_error=False)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the connections."""
        self.client.connection_pool.disconnect()


class RedisBackend(CacheBackend, Watchable):
    """Keeps entries in Redis or Valkey, for calls that block.

    Args:
        address: Where the server is, such as `"redis://localhost:6379/0?prefix=myapp:"`.

    Raises:
        ConfigurationError: The address is malformed.
    """

    shared = True
    atomic = True

    def __init__(self, address: str) -> None:
        self._address = Address.read(address)
        self._commands = Commands(self._address.prefix)
        self._line = Line(self._address)

    def get(self, key: str) -> bytes | None:
        """Return what is stored under `key`."""
        return self._line.done(self._commands.get(key))

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return what is stored under `keys`, in one round trip."""
        return self._line.done(self._commands.get_many(keys))

    def get_lasting(self, keys: Iterable[str]) -> dict[str, Lasting]:
        """Return the same with the times that the server still keeps them, in one round trip."""
        return self._line.done(self._commands.get_lasting(keys))

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Store `value` for `ttl` seconds, counted by the server."""
        self._line.done(self._commands.set(key, value, ttl))

    def set_many(self, values: Mapping[str, bytes], ttl: float | None = None) -> None:
        """Store several values, in one round trip."""
        self._line.done(self._commands.set_many(values, ttl))

    def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        """Store `value` only if nothing is there."""
        return self._line.done(self._commands.add(key, value, ttl))

    def replace(self, key: str, old: bytes, new: bytes, ttl: float | None = None) -> bool:
        """Store `new` only if `old` is there."""
        return self._line.done(self._commands.replace(key, old, new, ttl))

    def delete(self, key: str) -> bool:
        """Remove `key`; tell whether it was there."""
        return self._line.done(self._commands.delete(key))

    def delete_many(self, keys: Iterable[str]) -> int:
        """Remove several keys, in one round trip; return how many were there."""
        return self._line.done(self._commands.delete_many(keys))

    def delete_if(self, key: str, value: bytes) -> bool:
        """Remove `key` only if `value` is there."""
        return self._line.done(self._commands.delete_if(key, value))

    def set_if(
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
        return self._line.done(self._commands.set_if(key, value, ttl, **fence))

    def clear(self, prefix: str = "") -> None:
        """Remove every key that begins with `prefix`; of other users' keys, none."""
        self._line.done(self._commands.clear(prefix))

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Tell of each change under the prefix, by a connection and a thread of its own."""
        return Watch(self._address, watcher).begin()

    def close(self) -> None:
        """Close the connections."""
        self._line.close()

    def __repr__(self) -> str:
        return f"<RedisBackend {self._address.shown}>"
