"""Stores of limits in Redis or Valkey, of both colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from agentperf.abc import AsyncStore, Decision, Store
from agentperf_redis.address import Address
from agentperf_redis.asynchronous import Line as AsyncLine
from agentperf_redis.blocking import Line
from agentperf_redis.commands import Steps
from agentperf_redis.decisions import Decisions
from agentperf_redis.loops import PerLoop

T = TypeVar("T")


class RedisStore(Store):
    """Takes decisions in Redis or Valkey, for calls that block: each is one script, one round trip.

    Time is the server's.

    Args:
        address: Where the server is, such as `"redis://localhost:6379/0?prefix=myapp:"`.

    Raises:
        ConfigurationError: The address is malformed.
    """

    shared = True

    def __init__(self, address: str) -> None:
        self._address = Address.read(address, "store")
        self._decisions = Decisions(self._address.prefix)
        self._line = Line(self._address)

    def decide(
        self, decision: Decision, key: str, arguments: Sequence[float], ttl: float
    ) -> tuple[float, ...]:
        """Take a decision on the record of `key`.

        Raises:
            ConfigurationError: The decision can't be taken in Lua.
        """
        return self._line.done(self._decisions.decide(decision, key, arguments, ttl))

    def delete(self, key: str) -> bool:
        """Forget the record of `key`."""
        return self._line.done(self._decisions.delete(key))

    def now(self) -> float:
        """Return the seconds of the server's clock."""
        return self._line.done(self._decisions.now())

    def close(self) -> None:
        """Close the connections."""
        self._line.close()

    def __repr__(self) -> str:
        return f"<RedisStore {self._address.shown}>"


class AsyncRedisStore(AsyncStore):
    """The same for calls that are awaited under asyncio; each event loop has its own connections.

    Args:
        address: As for `RedisStore`.

    Raises:
        ConfigurationError: The address is malformed.
    """

    shared = True
    asyncio_only = True

    def __init__(self, address: str) -> None:
        self._address = Address.read(address, "store")
        self._decisions = Decisions(self._address.prefix)
        self._lines: PerLoop[AsyncLine] = PerLoop(lambda: AsyncLine(self._address), AsyncLine.close)

    async def decide(
        self, decision: Decision, key: str, arguments: Sequence[float], ttl: float
    ) -> tuple[float, ...]:
        """Take a decision on the record of `key`.

        Raises:
            ConfigurationError: The decision can't be taken in Lua.
        """
        return await self._done(self._decisions.decide(decision, key, arguments, ttl))

    async def delete(self, key: str) -> bool:
        """Forget the record of `key`."""
        return await self._done(self._decisions.delete(key))

    async def now(self) -> float:
        """Return the seconds of the server's clock."""
        return await self._done(self._decisions.now())

    async def close(self) -> None:
        """Close the connections of the running loop; those of others close with their loops."""
        await self._lines.close()

    async def _done(self, steps: Steps[T]) -> T:
        line = await self._lines.get()
        return await line.done(steps)

    def __repr__(self) -> str:
        return f"<AsyncRedisStore {self._address.shown}>"
