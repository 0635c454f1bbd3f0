"""The table of entries: what is live, what is stored, and who makes room."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable

from agentperf.abc.backends import Lasting

_FIND = "SELECT value, stored, expires FROM entries WHERE key = ?"
_FIND_MANY = (
    "SELECT key, value, stored, expires FROM entries WHERE key IN (SELECT value FROM json_each(?))"
)
_LATEST = "(SELECT IFNULL(MAX(used), 0) + 1 FROM entries)"
_STORE = f"REPLACE INTO entries (key, value, stored, expires, used) VALUES (?, ?, ?, ?, {_LATEST})"  # noqa: S608
_TOUCH = f"UPDATE entries SET used = {_LATEST} WHERE key = ?"  # noqa: S608
_DELETE = "DELETE FROM entries WHERE key = ?"
_RECLAIM = (
    "DELETE FROM entries WHERE rowid IN"
    " (SELECT rowid FROM entries WHERE expires <= ? ORDER BY expires LIMIT ?)"
)
_EVICT = "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries ORDER BY used LIMIT ?)"
_BEYOND_ANY_KEY = "\x7f"
"""Sorts after every character of a key."""

BATCH = 16
"""How many entries go at once."""


def find(connection: sqlite3.Connection, key: str, now: float) -> bytes | None:
    """Return the live value under a key."""
    row = connection.execute(_FIND, (key,)).fetchone()
    return row[0] if row is not None and _is_live(row[1], row[2], now) else None


def find_record(connection: sqlite3.Connection, key: str, now: float) -> bytes | None:
    """Return what is under a key and has not expired, also where the clock was set back since."""
    row = connection.execute(_FIND, (key,)).fetchone()
    return row[0] if row is not None and now < row[2] else None


def find_many(
    connection: sqlite3.Connection, keys: Iterable[str], now: float
) -> dict[str, Lasting]:
    """Return the live values under those of several keys that are there."""
    rows = connection.execute(_FIND_MANY, (json.dumps(list(keys)),))
    return {
        key: Lasting(value, math.inf if expires is None else expires - now)
        for key, value, stored, expires in rows
        if _is_live(stored, expires, now)
    }


def _is_live(stored: float, expires: float | None, now: float) -> bool:
    # Stored in the future: the clock was set back, and nobody knows how old the entry is.
    return expires is None or stored <= now < expires


def store(
    connection: sqlite3.Connection, key: str, value: bytes, now: float, ttl: float | None
) -> None:
    """Store a value as the one that was used last."""
    connection.execute(_STORE, (key, value, now, None if ttl is None else now + ttl))


def touch(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """Say of entries that they were used last."""
    connection.executemany(_TOUCH, [(key,) for key in keys])


def delete(connection: sqlite3.Connection, key: str) -> None:
    """Remove a key."""
    connection.execute(_DELETE, (key,))


def clear(connection: sqlite3.Connection, prefix: str) -> None:
    """Remove the keys that begin with a prefix."""
    if prefix:
        end = prefix + _BEYOND_ANY_KEY
        connection.execute("DELETE FROM entries WHERE key >= ? AND key < ?", (prefix, end))
    else:
        connection.execute("DELETE FROM entries")


def reclaim(connection: sqlite3.Connection, now: float) -> int:
    """Remove some of the entries whose time is up; tell how many."""
    return connection.execute(_RECLAIM, (now, BATCH)).rowcount


def evict(connection: sqlite3.Connection) -> int:
    """Remove the entries that were not used for longest; tell how many."""
    return connection.execute(_EVICT, (BATCH,)).rowcount


def pages(connection: sqlite3.Connection) -> int:
    """Return how many pages the file has."""
    (count,) = connection.execute("PRAGMA page_count").fetchone()
    return int(count)


def free_pages(connection: sqlite3.Connection) -> int:
    """Return how many of them hold nothing."""
    (count,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(count)


def shrink(connection: sqlite3.Connection, count: int) -> None:
    """Give free pages back to the file system, as many as `count`."""
    # It frees a page for each step of the statement, and a statement without rows makes one step.
    for _ in range(min(count, free_pages(connection))):
        connection.execute("PRAGMA incremental_vacuum(1)")
