"""Where a cache keeps its entries: as bytes, under short keys."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Lasting(NamedTuple):
    """What is stored under a key, and for how long it still will be.

    Attributes:
        value: The bytes.
        seconds: How long they are kept at least, unless somebody removes or replaces them; infinite
            where there is no end to it, or none that the backend knows of.
    """

    value: bytes
    seconds: float = math.inf


class CacheBackend(ABC):
    """Keeps bytes under keys, for calls that block.

    A key is text of 1 to 200 printable ASCII characters without spaces; all of them count, and so
    does their case. A time to live is in seconds, above zero; None keeps an entry as long as there
    is room for it. Storing again replaces value and time to live. All methods may be called by
    several threads at once. What can't be done raises; the caller decides what that means.
    After a failure nobody asks the backend for a while, so that no call waits for it again and
    again: let what it waits for have a time limit, such as 0.2 seconds.

    Only four methods must be written. The others are made of them and may be overridden where the
    server does it in one round trip, or in one step.
    """

    shared: bool = False
    """Whether others than this object see the entries: other processes, or later runs."""

    blocking: bool = True
    """Whether it does I/O: on an event loop it is then called in a worker thread."""

    atomic: bool = False
    """Whether `add`, `replace`, `delete_if` and `set_if` are one step, which nobody can come
    between. Where a backend is `shared` too, its caches have one process compute for all."""

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """Return what is stored under `key`; None when nothing is, or no longer."""

    @abstractmethod
    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Store `value` under `key` for `ttl` seconds.

        Raises:
            UncacheableValueError: The backend works, but can't keep this value: it is too large, or
                there is no room. The value is then counted as refused, and other calls go on
                asking the backend.
        """

    @abstractmethod
    def delete(self, key: str) -> bool:
        """Remove `key`; tell whether it was there."""

    @abstractmethod
    def clear(self, prefix: str = "") -> None:
        """Remove every key that begins with `prefix`, taken literally; all with an empty one."""

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return what is stored under those of `keys` that are there."""
        found = ((key, self.get(key)) for key in keys)
        return {key: value for key, value in found if value is not None}

    def get_lasting(self, keys: Iterable[str]) -> dict[str, Lasting]:
        """Return the same with the time that each still has, where the backend can tell."""
        return {key: Lasting(value) for key, value in self.get_many(keys).items()}

    def latest(self, key: str) -> bytes | None:
        """Return what is stored under `key` at this moment, whatever is at hand."""
        return self.get(key)

    def at_hand(self, key: str) -> bytes | None:
        """Return what is stored under `key` if that is known without I/O; None where it isn't.

        It is asked also while calls leave the backend alone because it failed.
        """
        return None

    def set_many(self, values: Mapping[str, bytes], ttl: float | None = None) -> None:
        """Store several values for `ttl` seconds."""
        for key, value in values.items():
            self.set(key, value, ttl)

    def delete_many(self, keys: Iterable[str]) -> int:
        """Remove several keys; return how many were there."""
        return sum([self.delete(key) for key in keys])

    def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        """Store `value` only if nothing is there; tell whether it was stored.

        Raises:
            UncacheableValueError: As for `set`.
        """
        if self.get(key) is not None:
            return False
        self.set(key, value, ttl)
        return True

    def replace(self, key: str, old: bytes, new: bytes, ttl: float | None = None) -> bool:
        """Store `new` only if `old` is there; tell whether it was stored.

        Raises:
            UncacheableValueError: As for `set`.
        """
        if self.get(key) != old:
            return False
        self.set(key, new, ttl)
        return True

    def delete_if(self, key: str, value: bytes) -> bool:
        """Remove `key` only if `value` is there; tell whether it was removed."""
        return self.get(key) == value and self.delete(key)

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
        """Store `value` under `key` only if `token` is under `guard`; tell whether that was so.

        `mark` then takes the token's place for `mark_ttl` seconds. Nothing changes otherwise.

        Raises:
            UncacheableValueError: As for `set`; nothing changed.
        """
        if self.get(guard) != token:
            return False
        self.set(key, value, ttl)
        return self.replace(guard, token, mark, mark_ttl)

    def close(self) -> None:  # noqa: B027 - not every backend holds something
        """Let go of files and connections; calling it again does nothing."""


class AsyncCacheBackend(ABC):
    """The same as `CacheBackend`, for calls that are awaited.

    It may be used by one event loop after another, and by several at once.
    """

    shared: bool = False
    """As for `CacheBackend`."""

    atomic: bool = False
    """As for `CacheBackend`."""

    asyncio_only: bool = False
    """Whether it can't be awaited under trio; where there is a blocking one beside it, that is then
    called in a worker thread."""

    @abstractmethod
    async def get(self, key: str) -> bytes | None:
        """As for `CacheBackend`."""

    @abstractmethod
    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """As for `CacheBackend`."""

    @abstractmethod
    async def delete(self, key: str) -> bool:
        """As for `CacheBackend`."""

    @abstractmethod
    async def clear(self, prefix: str = "") -> None:
        """As for `CacheBackend`."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """As for `CacheBackend`."""
        found: dict[str, bytes] = {}
        for key in keys:
            if (value := await self.get(key)) is not None:
                found[key] = value
        return found

    async def get_lasting(self, keys: Iterable[str]) -> dict[str, Lasting]:
        """As for `CacheBackend`."""
        return {key: Lasting(value) for key, value in (await self.get_many(keys)).items()}

    async def latest(self, key: str) -> bytes | None:
        """As for `CacheBackend`."""
        return await self.get(key)

    def at_hand(self, key: str) -> bytes | None:
        """As for `CacheBackend`; not awaited."""
        return None

    async def set_many(self, values: Mapping[str, bytes], ttl: float | None = None) -> None:
        """As for `CacheBackend`."""
        for key, value in values.items():
            await self.set(key, value, ttl)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """As for `CacheBackend`."""
        return sum([await self.delete(key) for key in keys])

    async def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        """As for `CacheBackend`."""
        if await self.get(key) is not None:
            return False
        await self.set(key, value, ttl)
        return True

    async def replace(self, key: str, old: bytes, new: bytes, ttl: float | None = None) -> bool:
        """As for `CacheBackend`."""
        if await self.get(key) != old:
            return False
        await self.set(key, new, ttl)
        return True

    async def delete_if(self, key: str, value: bytes) -> bool:
        """As for `CacheBackend`."""
        return await self.get(key) == value and await self.delete(key)

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
        """As for `CacheBackend`."""
        if await self.get(guard) != token:
            return False
        await self.set(key, value, ttl)
        return await self.replace(guard, token, mark, mark_ttl)

    async def close(self) -> None:  # noqa: B027 - not every backend holds something
        """As for `CacheBackend`."""


@dataclass(frozen=True, slots=True)
class Backends:
    """One place for entries, reached in one colour or in both; both must see the same entries.

    Attributes:
        sync: For calls that block; asynchronous calls use it too where there is nothing else.
        asynchronous: For calls that are awaited.
    """

    sync: CacheBackend | None = None
    asynchronous: AsyncCacheBackend | None = None

    def __post_init__(self) -> None:
        if self.sync is None and self.asynchronous is None:
            raise ValueError("Backends(): give sync=, asynchronous=, or both")

    @property
    def shared(self) -> bool:
        """Whether others than these objects see the entries."""
        return any(one is not None and one.shared for one in (self.sync, self.asynchronous))

    @property
    def atomic(self) -> bool:
        """Whether what either of them does in one step is one for everybody."""
        return all(one is None or one.atomic for one in (self.sync, self.asynchronous))


AnyBackend = CacheBackend | AsyncCacheBackend | Backends

BackendFactory = Callable[[str], AnyBackend]
"""Makes a backend from what the user wrote, such as `"example"` or `"example:/var/cache"`."""


def backends(backend: AnyBackend) -> Backends:
    """Return a backend, of whatever colour, as a pair."""
    if isinstance(backend, Backends):
        return backend
    if isinstance(backend, CacheBackend):
        return Backends(sync=backend)
    return Backends(asynchronous=backend)
