"""A cache backend in one SQLite file, for all threads and processes of a machine."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping

from agentperf._base.clock import Clock
from agentperf._base.sizes import Size
from agentperf._engine.sqlite import entries
from agentperf._engine.sqlite.address import DEFAULT_BYTES, Address
from agentperf._engine.sqlite.file import PAGE
from agentperf._engine.sqlite.pool import Pool
from agentperf.abc.backends import CacheBackend, Lasting
from agentperf.errors import UncacheableValueError

_TOUCHED = 64
"""How many used entries are remembered before the next write notes them."""

_SHRINK = 2048
"""How many pages one clearing gives back at most: the others wait meanwhile."""


class SqliteBackend(CacheBackend):
    """Keeps bytes in a file.

    Any number of threads and processes of one machine may use it at once, and it outlives them:
    a process may be killed at any moment. Times to live count by the wall clock; where that is
    set, entries may be lost, but none lives longer than it should.

    When the file is full, entries whose time is up make room, then those that were not used for
    longest. Reading writes nothing: what was used is noted by a later write of the same process.

    Args:
        path: The file; it is made when it is first used, readable by its owner only.
        max_bytes: How large it may grow. Its log beside it takes a few megabytes more.
        clock: Where time comes from; real time by default.

    Raises:
        ConfigurationError: There is no path, or `max_bytes` is malformed or too small.
    """

    shared = True
    blocking = True
    atomic = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        max_bytes: Size = DEFAULT_BYTES,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or Clock()
        address = Address.of(path, max_bytes)
        self._wall = clock.wall
        self._max_pages = address.max_bytes // PAGE
        self._largest = address.max_bytes // 4
        self._pool = Pool(address.path, clock.now)
        self._touched: dict[str, None] = {}

    def get(self, key: str) -> bytes | None:
        """Return what is stored under `key`, unless its time is up."""
        with self._pool.connection() as connection:
            value = entries.find(connection, key, self._wall())
        if value is not None and len(self._touched) < _TOUCHED:
            self._touched[key] = None
        return value

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return what is stored under those of `keys` that are there, in one statement."""
        return {key: found.value for key, found in self.get_lasting(keys).items()}

    def get_lasting(self, keys: Iterable[str]) -> dict[str, Lasting]:
        """Return the same with the time that each still has, in one statement."""
        with self._pool.connection() as connection:
            return entries.find_many(connection, keys, self._wall())

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Store `value` under `key` for `ttl` seconds.

        A value that would take more than a quarter of the file is not kept.

        Raises:
            UncacheableValueError: The disk is full; what is there can still be read.
        """
        with _refused_where_full(), self._pool.transaction() as connection:
            self._store(connection, key, value, ttl)

    def set_many(self, values: Mapping[str, bytes], ttl: float | None = None) -> None:
        """Store several values for `ttl` seconds, all of them or none."""
        with _refused_where_full(), self._pool.transaction() as connection:
            for key, value in values.items():
                self._store(connection, key, value, ttl)

    def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        """Store `value` only if nothing is there; one step for all processes.

        Raises:
            UncacheableValueError: As for `set`.
        """
        with _refused_where_full(), self._pool.transaction() as connection:
            if entries.find(connection, key, self._wall()) is not None:
                return False
            return self._store(connection, key, value, ttl)

    def replace(self, key: str, old: bytes, new: bytes, ttl: float | None = None) -> bool:
        """Store `new` only if `old` is there; one step for all processes.

        Raises:
            UncacheableValueError: As for `set`.
        """
        with _refused_where_full(), self._pool.transaction() as connection:
            if entries.find(connection, key, self._wall()) != old:
                return False
            return self._store(connection, key, new, ttl)

    def delete(self, key: str) -> bool:
        """Remove `key`; tell whether it was there."""
        return bool(self.delete_many([key]))

    def delete_many(self, keys: Iterable[str]) -> int:
        """Remove several keys in one step; return how many were there."""
        with self._pool.transaction() as connection:
            now, there = self._wall(), 0
            for key in keys:
                there += entries.find(connection, key, now) is not None
                entries.delete(connection, key)
            return there

    def delete_if(self, key: str, value: bytes) -> bool:
        """Remove `key` only if `value` is there; one step for all processes."""
        with self._pool.transaction() as connection:
            if entries.find(connection, key, self._wall()) != value:
                return False
            entries.delete(connection, key)
            return True

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
        """Store `value` only if `token` is under `guard`; one step for all processes.

        Raises:
            UncacheableValueError: The disk is full, or the value would take more than a quarter of
                the file; nothing changed.
        """
        with _refused_where_full(), self._pool.transaction() as connection:
            if entries.find(connection, guard, self._wall()) != token:
                return False
            if not self._store(connection, key, value, ttl):
                raise UncacheableValueError("it would take more than a quarter of the file")
            entries.store(connection, guard, mark, self._wall(), mark_ttl)
            return True

    def clear(self, prefix: str = "") -> None:
        """Remove every key that begins with `prefix`."""
        with self._pool.transaction() as connection:
            entries.clear(connection, prefix)
            entries.shrink(connection, _SHRINK)

    def close(self) -> None:
        """Close the file; it is opened again when it is used again."""
        self._pool.close()

    def _store(
        self, connection: sqlite3.Connection, key: str, value: bytes, ttl: float | None
    ) -> bool:
        """Store a value and make room for it; tell whether it was stored."""
        now = self._wall()
        fits = len(value) <= self._largest
        if fits:
            entries.store(connection, key, value, now, ttl)
        else:
            entries.delete(connection, key)
        entries.reclaim(connection, now)
        if len(self._touched) >= _TOUCHED:
            self._note_touched(connection)
        if (excess := entries.pages(connection) - self._max_pages) > 0:
            self._make_room(connection, now, excess)
        return fits

    def _make_room(self, connection: sqlite3.Connection, now: float, excess: int) -> None:
        self._note_touched(connection)
        while entries.free_pages(connection) < excess:
            if not (entries.reclaim(connection, now) or entries.evict(connection)):
                break
        entries.shrink(connection, excess)

    def _note_touched(self, connection: sqlite3.Connection) -> None:
        touched, self._touched = self._touched, {}
        entries.touch(connection, list(touched))  # at once: a reader may still add to it


_FULL = {"SQLITE_FULL", "SQLITE_IOERR_WRITE"}


@contextlib.contextmanager
def _refused_where_full() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname in _FULL:
            raise UncacheableValueError("there is no room for it on the disk") from error
        raise
