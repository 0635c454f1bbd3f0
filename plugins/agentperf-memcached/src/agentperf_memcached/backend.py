"""The backend."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pymemcache.exceptions import MemcacheServerError  # type: ignore[import-untyped]

from agentperf import BackendError, UncacheableValueError
from agentperf.abc import CacheBackend
from agentperf_memcached.address import Address
from agentperf_memcached.clears import STAMP_BYTES, Clears
from agentperf_memcached.pool import Pool

_MONTH = 60 * 60 * 24 * 30
"""Seconds up to which memcached takes a time to live for one, and not for a date."""

_GONE = -1
_TRIES = 100


class MemcachedBackend(CacheBackend):
    """Keeps entries in memcached.

    Args:
        address: Where the servers are, such as `"memcached://one:11211,two:11211?prefix=myapp:"`.

    Raises:
        ConfigurationError: The address is malformed.
    """

    shared = True
    atomic = True

    def __init__(self, address: str) -> None:
        read = Address.read(address)
        self._prefix = read.prefix
        self._pools = [Pool(server, read) for server in read.servers]

    def get(self, key: str) -> bytes | None:
        """Return what is stored under `key`."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return what is stored under `keys`, in one round trip to each server."""
        found: dict[str, bytes] = {}
        for pool, wanted in self._by_pool(keys):
            with pool.connection() as connection:
                clears, entries = self._entries(connection, wanted, connection.get_many)
            for key, entry in entries.items():
                if clears.counts(key, entry):
                    found[key] = entry[STAMP_BYTES:]
        return found

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Store `value` for `ttl` seconds, rounded up to whole ones."""
        self.set_many({key: value}, ttl)

    def set_many(self, values: Mapping[str, bytes], ttl: float | None = None) -> None:
        """Store several values."""
        for pool, keys in self._by_pool(values):
            with pool.connection() as connection:
                stamp = self._clears(connection).stamp
                entries = {self._prefix + key: stamp + values[key] for key in keys}
                stored = _stored(lambda: connection.set_many(entries, _expiry(ttl)) == [])  # noqa: B023
            if not stored:
                raise UncacheableValueError("memcached refused to store it")

    def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        """Store `value` only if nothing is there."""
        name = self._prefix + key
        with self._pool(key).connection() as connection:
            clears = self._clears(connection)
            stamped, expiry = clears.stamp + value, _expiry(ttl)
            entry, ticket = connection.gets(name)
            if entry is None:
                return _stored(lambda: connection.add(name, stamped, expiry))
            if clears.counts(key, entry):
                return False
            return _stored(lambda: connection.cas(name, stamped, ticket, expiry))

    def replace(self, key: str, old: bytes, new: bytes, ttl: float | None = None) -> bool:
        """Store `new` only if `old` is there."""
        return self._changed(key, old, new, _expiry(ttl))

    def delete(self, key: str) -> bool:
        """Remove `key`; tell whether it was there."""
        was_there = self.get(key) is not None
        with self._pool(key).connection() as connection:
            return bool(connection.delete(self._prefix + key)) and was_there

    def delete_if(self, key: str, value: bytes) -> bool:
        """Remove `key` only if `value` is there."""
        return self._changed(key, value, b"", _GONE)  # there is no comparing delete

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
        """Store `value` only if `token` is under `guard`, in three round trips.

        memcached changes one key at a time. So it is looked up first what stands under `key`, and
        then whether the guard holds; `value` takes the place of that and of nothing else. What
        somebody stored who took the guard over is therefore never overwritten.
        """
        looked_up: dict[str, tuple[Clears, bytes | None, Any]] = {}
        for pool, keys in self._by_pool([key, guard]):
            with pool.connection() as connection:
                clears, entries = self._entries(connection, keys, connection.gets_many)
            looked_up |= {one: (clears, *entries.get(one, (None, b""))) for one in keys}
        (clears, entry, ticket), (guards, held, seal) = looked_up[key], looked_up[guard]
        if held is None or not guards.counts(guard, held) or held[STAMP_BYTES:] != token:
            return False
        name, stamped, expiry = self._prefix + key, clears.stamp + value, _expiry(ttl)
        with self._pool(key).connection() as connection:
            if entry is None:
                stored = _stored(lambda: connection.add(name, stamped, expiry))
            else:
                stored = _stored(lambda: connection.cas(name, stamped, ticket, expiry))
        if not stored:
            return False
        name, stamped, expiry = self._prefix + guard, guards.stamp + mark, _expiry(mark_ttl)
        with self._pool(guard).connection() as connection:
            return _stored(lambda: connection.cas(name, stamped, seal, expiry))

    def clear(self, prefix: str = "") -> None:
        """Let nothing count that begins with `prefix`.

        Raises:
            BackendError: Others were clearing all the time.
        """
        for pool in self._pools:
            with pool.connection() as connection:
                for _ in range(_TRIES):
                    data, ticket = connection.gets(self._prefix)
                    if data is None:  # no entry knows of the list that is begun now
                        done = connection.add(self._prefix, Clears.new().pack())
                    else:
                        after = Clears.unpack(data).cleared(prefix).pack()
                        done = connection.cas(self._prefix, after, ticket)
                    if done:
                        break
                else:
                    raise BackendError("others were clearing memcached all the time")

    def close(self) -> None:
        """Close the connections."""
        for pool in self._pools:
            pool.close()

    def _changed(self, key: str, old: bytes, new: bytes, expiry: int) -> bool:
        name = self._prefix + key
        with self._pool(key).connection() as connection:
            clears, entries = self._entries(connection, [key], connection.gets_many)
            entry, ticket = entries.get(key, (b"", b""))
            if not clears.counts(key, entry) or entry[STAMP_BYTES:] != old:
                return False
            return _stored(lambda: connection.cas(name, clears.stamp + new, ticket, expiry))

    def _entries(
        self, connection: Any, keys: Iterable[str], get: Callable[[list[str]], dict[str, Any]]
    ) -> tuple[Clears, dict[str, Any]]:
        """Return what was cleared, and what is stored, in one round trip."""
        found = get([self._prefix, *(self._prefix + key for key in keys)])
        clears = found.pop(self._prefix, b"")
        data = clears[0] if isinstance(clears, tuple) else clears
        entries = {name.removeprefix(self._prefix): entry for name, entry in found.items()}
        return Clears.unpack(data), entries

    def _clears(self, connection: Any) -> Clears:
        """Return what was cleared, and begin the list where there is none."""
        if (data := connection.get(self._prefix)) is None:
            connection.add(self._prefix, Clears.new().pack())
            data = connection.get(self._prefix, b"")  # perhaps another one's
        return Clears.unpack(data)

    def _by_pool(self, keys: Iterable[str]) -> Iterable[tuple[Pool, list[str]]]:
        shares: dict[Pool, list[str]] = {}
        for key in keys:
            shares.setdefault(self._pool(key), []).append(key)
        return shares.items()

    def _pool(self, key: str) -> Pool:
        """Return the server of a key: one that goes takes no other's keys along."""
        if len(self._pools) == 1:
            return self._pools[0]

        def weight(pool: Pool) -> bytes:
            host, port = pool.server
            return hashlib.blake2b(f"{host}:{port} {key}".encode(), digest_size=8).digest()

        return max(self._pools, key=weight)

    def __repr__(self) -> str:
        servers = ",".join(f"{pool.server[0]}:{pool.server[1]}" for pool in self._pools)
        return f"<MemcachedBackend memcached://{servers}>"


def _expiry(ttl: float | None) -> int:
    if ttl is None:
        return 0
    seconds = math.ceil(ttl)
    return seconds if seconds <= _MONTH else int(time.time()) + seconds


def _stored(store: Callable[[], object]) -> bool:
    try:
        return bool(store())
    except MemcacheServerError as error:  # it is there and answers: too large, or no room
        raise UncacheableValueError("memcached refused to store it") from error
