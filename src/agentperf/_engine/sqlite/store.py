"""A store of limits in one SQLite file, for all threads and processes of a machine."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

from agentperf._base.clock import Clock
from agentperf._engine.sqlite import entries
from agentperf._engine.sqlite.address import Address
from agentperf._engine.sqlite.pool import Pool
from agentperf.abc.stores import Decision, Store

WAIT = 1.0
"""Seconds to wait for other writers: a file that is locked isn't out of order, and who decides
without it lets more in than it allows."""


class SqliteStore(Store):
    """Keeps records in a file, and takes each decision in a transaction of its own.

    Any number of threads and processes of one machine may use it at once; a process may be killed
    at any moment. It gives up after a second when others are in the way.

    Time is the wall clock, which may be set. Records stay as they are then, as in a server whose
    clock is set: decisions cope with records from the future.

    Args:
        path: The file; it is made when it is first used, readable by its owner only. `~` is the
            user's home.
        clock: Where time comes from; real time by default.

    Raises:
        ConfigurationError: There is no path.
    """

    shared = True
    blocking = True

    def __init__(self, path: str | os.PathLike[str], clock: Clock | None = None) -> None:
        clock = clock or Clock()
        self._wall = clock.wall
        self._pool = Pool(Address.of(path, option="store").path, clock.now, WAIT)

    def now(self) -> float:
        """Return the seconds of the wall clock."""
        return self._wall()

    def decide(
        self, decision: Decision, key: str, arguments: Sequence[float], ttl: float
    ) -> tuple[float, ...]:
        """Take a decision on the record of `key`, in one transaction."""
        with self._pool.transaction() as connection:
            now = self.now()
            found = entries.find_record(connection, key, now)
            record = None if found is None else _unpacked(found)
            after, answer = decision.apply(record, arguments, now)
            if after is not None:
                entries.store(connection, key, _packed(after), now, ttl)
            elif found is not None:
                entries.delete(connection, key)
            if found is None:
                entries.reclaim(connection, now)
            return tuple(answer)

    def delete(self, key: str) -> bool:
        """Forget the record of `key`."""
        with self._pool.transaction() as connection:
            found = entries.find_record(connection, key, self.now())
            entries.delete(connection, key)
            return found is not None

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._pool.close()


def _packed(record: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(record)}d", *record)


def _unpacked(data: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(data) // 8}d", data)
