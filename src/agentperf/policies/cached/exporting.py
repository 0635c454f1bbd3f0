"""The entries of a cache in memory, in a file: saved by one process, loaded by another."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from agentperf._engine.hosting import Host
from agentperf._engine.site import Target
from agentperf.codec import Codec, Undecodable
from agentperf.errors import BackendError, ConfigurationError, UncacheableValueError
from agentperf.policies.cached.backed.packing import Packed, Packing
from agentperf.policies.cached.flights.flight import Flight
from agentperf.policies.cached.memory.store import Entry
from agentperf.policies.cached.partition import SCOPED
from agentperf.policies.cached.state import CacheState, Recording

LARGEST = 256 * 1024 * 1024
"""Bytes that a file may have; 256 MiB."""

_HEAD = b"agentperf cache 1\n"
"""How a file begins; the number is the version of the form of what follows."""

_SUM = 20
"""Bytes of the checksum after the head: it tells damage, not forgery, which a signature does."""


class _Row(NamedTuple):
    """One entry, as it stands in a file.

    Attributes:
        scope: Whose it is; None for everybody's.
        key: Its key.
        data: The answer as bytes.
        until: Until when it is good, in seconds since the epoch; None for ever.
        tags: Its tags.
    """

    scope: tuple[str | None, ...] | None
    key: Hashable
    data: bytes
    until: float | None
    tags: tuple[str, ...]


class Exporting:
    """Saves and loads the entries of one cache in memory.

    Args:
        host: Whose cache it is.
        target: The function.
        state: Its entries.
    """

    def __init__(self, host: Host, target: Target, state: CacheState) -> None:
        if not state.options.in_memory:
            raise ConfigurationError(
                f"{target.operation}: save() and load() are for caches in memory; what is in a "
                "backend outlives the process already"
            )
        self._state = state
        self._host = host
        self._whose = state.name or target.operation
        self._packing = Packing(target.function)
        secrets = host.settings.cache_secret.reveal()
        self._codec = Codec(secret=secrets or None, max_bytes=LARGEST)

    def save(self, path: str | os.PathLike[str]) -> int:
        """Write the fresh entries into a file, all of it or nothing; return how many."""
        rows = list(self._rows())
        content = tuple(tuple(row) for row in rows)
        data = self._codec.encode((self._whose, content), name=_HEAD)
        _write(Path(path), _HEAD + _checksum(data) + data)
        return len(rows)

    def _rows(self) -> Iterator[_Row]:
        now, wall = self._host.clock.now(), self._host.clock.wall()
        tags = self._state.flights.table.tags()
        for entry in self._state.store:
            if entry.void or not now < entry.fresh_until or _is_of_instance(entry.key):
                continue
            scope, key = _apart(entry.key)
            try:
                data = self._packing.pack("", entry.value).data
            except UncacheableValueError:
                continue
            lasts = entry.fresh_until != float("inf")
            until = wall + entry.fresh_until - now if lasts else None
            names = tuple(tags[marker] for marker in entry.stamp if marker in tags)
            yield _Row(scope, key, data, until, names)

    def load(self, path: str | os.PathLike[str]) -> int:
        """Take in the entries of a file that are still good; return how many.

        What is in the cache and fresh stays as it is.

        Raises:
            BackendError: It is no such file, or damaged, or not signed with the secret that is set;
                nothing was taken in.
            ConfigurationError: Another cache saved it.
        """
        entries = list(self._entries(self._read(Path(path))))
        now, count = self._host.clock.now(), 0
        for entry in entries:
            there = self._state.store.entries.get(entry.key)
            if there is None or there.void or not now < there.fresh_until:
                self._state.store.put(entry)
                count += 1
        return count

    def _read(self, path: Path) -> list[_Row]:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if not data.startswith(_HEAD):
            raise BackendError(f"{path}: no cache saved this file, or another version did")
        if len(data) > LARGEST:
            raise BackendError(f"{path}: a file of more than {LARGEST:,} bytes is not read")
        begin = len(_HEAD) + _SUM
        content = memoryview(data)[begin:]
        if data[len(_HEAD) : begin] != _checksum(content):
            raise BackendError(f"{path} can't be loaded: it is damaged")
        try:
            whose, rows = self._codec.decode(content, name=_HEAD)
            found = [_checked(_Row(*row)) for row in rows]
        except Undecodable as error:
            raise BackendError(f"{path} can't be loaded: {error.reason}") from error
        except (TypeError, ValueError) as error:
            raise BackendError(f"{path} can't be loaded: it is damaged") from error
        if whose != self._whose:
            raise ConfigurationError(
                f"{path} has the answers of another cache, not of {self._whose}; a function that "
                'was renamed keeps its answers with a name, cached(..., name="search")'
            )
        return found

    def _entries(self, rows: list[_Row]) -> Iterator[Entry]:
        now, wall = self._host.clock.now(), self._host.clock.wall()
        for row in rows:
            if row.until is not None and row.until <= wall:
                continue
            try:
                answer = self._packing.unpack(Packed("", row.data))
            except Undecodable:  # of a class that is unknown here, or has changed
                continue
            key = row.key if row.scope is None else (SCOPED, *row.scope, row.key)
            flight = Flight(key)
            flight.began = now
            flight.control.ttl = None if row.until is None else row.until - wall
            entry = self._entry(flight, answer, now)
            if entry is not None:
                entry.tagged(self._state.flights.table.markers(row.tags))
                yield entry

    def _entry(self, flight: Flight, answer: Any, now: float) -> Entry | None:
        if isinstance(answer, Recording):
            return self._state.recorded_entry(flight, answer, now)
        try:
            return self._state.entry(flight, answer, now)
        except UncacheableValueError:  # it was saved with another copy=
            return None


def _checksum(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=_SUM, usedforsecurity=False).digest()


def _checked(row: _Row) -> _Row:
    """Return a row that is what it has to be.

    Raises:
        TypeError: It isn't.
    """
    hash(row.key)
    good = (
        isinstance(row.data, bytes)
        and (row.until is None or isinstance(row.until, float))
        and isinstance(row.tags, tuple)
        and all(isinstance(tag, str) for tag in row.tags)
        and (row.scope is None or isinstance(row.scope, tuple))
    )
    if not good:
        raise TypeError("a malformed row")
    return row


def _apart(key: Any) -> tuple[tuple[str | None, ...] | None, Hashable]:
    """Take the scope off a key."""
    if isinstance(key, tuple) and key and key[0] is SCOPED:
        return key[1:-1], key[-1]
    return None, key


def _is_of_instance(key: Any) -> bool:
    """Whether a key holds the token of an instance, which means nothing to others."""
    if not isinstance(key, tuple):
        return False
    is_token = len(key) == 2 and key[0] == "self" and type(key[1]) is int
    return is_token or any(map(_is_of_instance, key))


def _write(path: Path, data: bytes) -> None:
    """Put a file in place in one step, for nobody but its owner."""
    handle, other = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(other).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(other).unlink()
        raise
