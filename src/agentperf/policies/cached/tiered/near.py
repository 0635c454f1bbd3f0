"""The near tier: bytes in memory, for seconds, that are given up when somebody changes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from agentperf.abc.backends import Lasting
from agentperf.policies.cached.state import Tally

_STRIPES = 1024
_OVERHEAD = 200
"""Bytes that an entry takes besides key and value, about."""


@dataclass(frozen=True, slots=True)
class NearStats:
    """The figures of a near tier; all caches on one backend share it.

    Attributes:
        hits: Entries, and versions of tags, that were found in memory.
        misses: Those that the far backend was asked for.
        entries: Entries in memory now; some may be past their time.
        size: Bytes that they take, about.
        max_entries: Entries at most.
        max_bytes: Bytes at most.
        watched: Whether the far backend tells of changes at this moment.
    """

    hits: int
    misses: int
    entries: int
    size: int
    max_entries: int
    max_bytes: int
    watched: bool


class Ticket(NamedTuple):
    """Says since when somebody asks the far backend for a key.

    Attributes:
        key: The key.
        began: When; what comes back was good then or later, and its time counts from here.
        changes: How often something was changed by then that shares a counter with the key.
        clears: How often many keys at once were.
    """

    key: str
    began: float
    changes: int
    clears: int


class _Entry(NamedTuple):
    value: bytes
    until: float
    size: int


class Near:
    """A bounded table of bytes, each for `ttl` seconds at most.

    Whoever asks the far backend takes a ticket first. What comes back is kept only if nothing was
    told of its key meanwhile: it may have been read before it was changed. Keys share counters of
    changes; a change of another key keeps something out now and then, which does no harm.

    What lives for seconds needs no clever eviction: the oldest makes room. Readers take no lock.

    Args:
        now: Monotonic seconds.
        ttl: How long an entry is given at most, in seconds.
        max_entries: How many to keep at most.
        max_bytes: How many bytes they may take, keys and bookkeeping included.
    """

    def __init__(
        self, now: Callable[[], float], ttl: float, max_entries: int, max_bytes: int
    ) -> None:
        self._now = now
        self._ttl = ttl
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._hits = Tally()
        self._misses = Tally()
        self._changes = [0] * _STRIPES
        self._clears = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """Start with nothing; also in a forked child, where nobody lets go of the lock."""
        self.watched = False
        """Whether the far backend tells of changes at this moment."""
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._size = 0

    def get(self, key: str) -> bytes | None:
        """Return what is kept under a key; None where nothing is, or no longer."""
        entry = self._entries.get(key)
        if entry is None or self._now() >= entry.until:
            return None
        next(self._hits.ticks)
        return entry.value

    def look(self, keys: Iterable[str]) -> tuple[dict[str, bytes], list[Ticket]]:
        """Return what is kept under those of `keys` that are there, and tickets for the others."""
        found: dict[str, bytes] = {}
        absent = []
        for key in keys:
            if (value := self.get(key)) is not None:
                found[key] = value
            else:
                next(self._misses.ticks)
                absent.append(key)
        return found, self.tickets(absent)

    def tickets(self, keys: Iterable[str]) -> list[Ticket]:
        """Return what to ask the far backend with."""
        now, clears = self._now(), self._clears
        return [Ticket(key, now, self._changes[_stripe(key)], clears) for key in keys]

    def keep(self, ticket: Ticket, found: Lasting) -> None:
        """Keep what was read, unless something was told of its key since the ticket was taken."""
        with self._lock:
            there = self._entries.get(ticket.key)
            # Of two that were read at about the same time nobody knows which one is the newer.
            if self._is_good(ticket) and (there is None or self._now() >= there.until):
                self._put(ticket, found.value, found.seconds)

    def wrote(self, ticket: Ticket, value: bytes | None, ttl: float | None) -> None:
        """Keep what was stored, None for what was removed, and let no older one in.

        Where another one wrote meanwhile, nobody knows who came last: nothing is kept then.
        """
        with self._lock:
            good = self._is_good(ticket)
            self._void(ticket.key)
            if good and value is not None:
                self._put(ticket, value, self._ttl if ttl is None else ttl)

    def forget(self, keys: Iterable[str]) -> None:
        """Give up what is kept under some keys, and what is being read of them."""
        with self._lock:
            for key in keys:
                self._void(key)

    def clear(self, prefix: str = "") -> None:
        """The same for every key that begins with `prefix`."""
        with self._lock:
            self._clears += 1
            for key in [key for key in self._entries if key.startswith(prefix)]:
                self._drop(key)

    def stats(self) -> NearStats:
        """Return the figures of now."""
        return NearStats(
            hits=self._hits.value,
            misses=self._misses.value,
            entries=len(self._entries),
            size=self._size,
            max_entries=self._max_entries,
            max_bytes=self._max_bytes,
            watched=self.watched,
        )

    def _is_good(self, ticket: Ticket) -> bool:
        changes = self._changes[_stripe(ticket.key)]
        return ticket.changes == changes and ticket.clears == self._clears

    def _void(self, key: str) -> None:
        self._changes[_stripe(key)] += 1
        self._drop(key)

    def _put(self, ticket: Ticket, value: bytes, seconds: float) -> None:
        now = self._now()
        until = ticket.began + min(self._ttl, seconds)
        size = len(ticket.key) + len(value) + _OVERHEAD
        self._drop(ticket.key)
        if until > now and size <= self._max_bytes:
            self._make_room(size, now)
            self._entries[ticket.key] = _Entry(value, until, size)
            self._size += size

    def _make_room(self, size: int, now: float) -> None:
        while self._entries:
            oldest, entry = next(iter(self._entries.items()))
            full = len(self._entries) >= self._max_entries or self._size + size > self._max_bytes
            if not full and entry.until > now:
                break
            self._drop(oldest)

    def _drop(self, key: str) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self._size -= entry.size


def _stripe(key: str) -> int:
    return hash(key) % _STRIPES
