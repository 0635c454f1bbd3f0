"""Two tiers as one backend: what is in memory is given at once, all else is the far one's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agentperf._engine.reaching import Work, way_to
from agentperf._engine.waiting import in_one_go
from agentperf.abc.backends import AsyncCacheBackend, Backends, CacheBackend, Lasting
from agentperf.abc.waiting import Waiting
from agentperf.policies.cached.tiered.following import Following
from agentperf.policies.cached.tiered.near import Near


class AsyncTieredBackend(AsyncCacheBackend):
    """A near tier in front of a far backend, for calls that are awaited.

    Only what is there is kept near, never that nothing is: another process may store it next.

    Args:
        near: What is in memory.
        following: Has it told what others change.
        far: The far backend, of whichever colour.
        waiting: How the calls wait; None for calls that block.
    """

    def __init__(
        self, near: Near, following: Following, far: Backends, waiting: Waiting | None
    ) -> None:
        behind = [one for one in (far.sync, far.asynchronous) if one is not None]
        self.shared = far.shared
        self.atomic = all(one.atomic for one in behind)
        alone = far.asynchronous if far.sync is None else None
        self.asyncio_only = alone is not None and alone.asyncio_only
        self.near = near
        self._following = following
        self._ask = way_to(far, waiting)

    def at_hand(self, key: str) -> bytes | None:
        """Return what is near."""
        return self.near.get(key)

    async def get(self, key: str) -> bytes | None:
        """Return what is stored under `key`."""
        return (await self.get_many([key])).get(key)

    async def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return what is stored under `keys`; the far backend is asked for what is not near."""
        found, tickets = self.near.look(keys)
        if tickets:
            self._following.begin()
            absent = [ticket.key for ticket in tickets]
            fetched: dict[str, Lasting] = await self._ask(lambda far: far.get_lasting(absent))
            for ticket in tickets:
                if (lasting := fetched.get(ticket.key)) is not None:
                    self.near.keep(ticket, lasting)
                    found[ticket.key] = lasting.value
        return found

    async def latest(self, key: str) -> bytes | None:
        """Return what is stored under `key` in the far one, and keep nothing of it."""
        return await self._ask(lambda far: far.latest(key))  # type: ignore[no-any-return]

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Store `value` in both."""
        await self._changed(lambda far: far.set(key, value, ttl), {key: value}, ttl)

    async def set_many(self, values: Mapping[str, bytes], ttl: float | None = None) -> None:
        """Store several values in both."""
        await self._changed(lambda far: far.set_many(values, ttl), values, ttl)

    async def delete(self, key: str) -> bool:
        """Remove `key` from both; tell whether it was in the far one."""
        return await self._changed(lambda far: far.delete(key), {key: None})  # type: ignore[no-any-return]

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove several keys from both; return how many were in the far one."""
        gone = dict.fromkeys(keys)
        return await self._changed(lambda far: far.delete_many(list(gone)), gone)  # type: ignore[no-any-return]

    async def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        """Store `value` only if nothing is in the far one; what is near of it stays as it is."""
        return await self._changed(lambda far: far.add(key, value, ttl), {key: value}, ttl, ())  # type: ignore[no-any-return]

    async def replace(self, key: str, old: bytes, new: bytes, ttl: float | None = None) -> bool:
        """Store `new` only if `old` is in the far one."""
        return await self._changed(lambda far: far.replace(key, old, new, ttl), {key: new}, ttl)  # type: ignore[no-any-return]

    async def delete_if(self, key: str, value: bytes) -> bool:
        """Remove `key` only if `value` is in the far one."""
        return await self._changed(lambda far: far.delete_if(key, value), {key: None})  # type: ignore[no-any-return]

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
        """Store `value` in both, only while `token` is under `guard` in the far one."""
        fence: Any = {"guard": guard, "token": token, "mark": mark, "mark_ttl": mark_ttl}
        after = {key: value, guard: None}
        return await self._changed(lambda far: far.set_if(key, value, ttl, **fence), after, ttl)  # type: ignore[no-any-return]

    async def clear(self, prefix: str = "") -> None:
        """Remove what begins with `prefix` from both."""
        self._following.begin()
        try:
            await self._ask(lambda far: far.clear(prefix))
        finally:
            self.near.clear(prefix)

    async def close(self) -> None:
        """Close the far one, and keep nothing near."""
        self._following.end()
        await self._ask(lambda far: far.close())

    async def _changed(
        self,
        work: Work,
        after: Mapping[str, bytes | None],
        ttl: float | None = None,
        refused: Iterable[str] | None = None,
    ) -> Any:
        """Have the far one change something, and keep what is there after that.

        Where the far one failed, nobody knows what is there. Where it refused, it found something
        else than expected: what is near under the keys in `refused`, all by default, is forgotten.
        """
        self._following.begin()
        tickets = self.near.tickets(after)
        try:
            outcome = await self._ask(work)
        except BaseException:
            self.near.forget(after)
            raise
        if outcome is False:
            self.near.forget(after if refused is None else refused)
        else:
            for ticket in tickets:
                self.near.wrote(ticket, after[ticket.key], ttl)
        return outcome


class TieredBackend(CacheBackend):
    """The same for calls that block.

    Args:
        same: What it does, with a way to the far backend that never suspends.
        far: The far backend.
    """

    def __init__(self, same: AsyncTieredBackend, far: CacheBackend) -> None:
        self.shared = same.shared
        self.atomic = same.atomic
        self.blocking = far.blocking
        self._same = same

    def at_hand(self, key: str) -> bytes | None:
        """Return what is near."""
        return self._same.near.get(key)

    def get(self, key: str) -> bytes | None:
        """As for `AsyncTieredBackend`."""
        return in_one_go(self._same.get(key))  # type: ignore[no-any-return]

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """As for `AsyncTieredBackend`."""
        return in_one_go(self._same.get_many(keys))  # type: ignore[no-any-return]

    def latest(self, key: str) -> bytes | None:
        """As for `AsyncTieredBackend`."""
        return in_one_go(self._same.latest(key))  # type: ignore[no-any-return]

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """As for `AsyncTieredBackend`."""
        in_one_go(self._same.set(key, value, ttl))

    def set_many(self, values: Mapping[str, bytes], ttl: float | None = None) -> None:
        """As for `AsyncTieredBackend`."""
        in_one_go(self._same.set_many(values, ttl))

    def delete(self, key: str) -> bool:
        """As for `AsyncTieredBackend`."""
        return in_one_go(self._same.delete(key))  # type: ignore[no-any-return]

    def delete_many(self, keys: Iterable[str]) -> int:
        """As for `AsyncTieredBackend`."""
        return in_one_go(self._same.delete_many(keys))  # type: ignore[no-any-return]

    def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        """As for `AsyncTieredBackend`."""
        return in_one_go(self._same.add(key, value, ttl))  # type: ignore[no-any-return]

    def replace(self, key: str, old: bytes, new: bytes, ttl: float | None = None) -> bool:
        """As for `AsyncTieredBackend`."""
        return in_one_go(self._same.replace(key, old, new, ttl))  # type: ignore[no-any-return]

    def delete_if(self, key: str, value: bytes) -> bool:
        """As for `AsyncTieredBackend`."""
        return in_one_go(self._same.delete_if(key, value))  # type: ignore[no-any-return]

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
        """As for `AsyncTieredBackend`."""
        fence: Any = {"guard": guard, "token": token, "mark": mark, "mark_ttl": mark_ttl}
        return in_one_go(self._same.set_if(key, value, ttl, **fence))  # type: ignore[no-any-return]

    def clear(self, prefix: str = "") -> None:
        """As for `AsyncTieredBackend`."""
        in_one_go(self._same.clear(prefix))

    def close(self) -> None:
        """As for `AsyncTieredBackend`."""
        in_one_go(self._same.close())
