"""`max_entries="auto"`: as many entries as pay, found out while the cache is used."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Protocol

FIRST = 1024
"""Entries to begin with."""

LEAST, MOST = 128, 65_536
"""Entries that are always, and never more than, allowed."""

GROWTH = 1.5
"""By how much the number of entries grows at once; what falls idle goes by the same steps."""

GAIN = 0.01
"""The share of calls that more room must be seen to answer, for it to be given."""

LOSS = 0.001
"""The share of calls that may become misses when room is taken away."""

IDLE = 0.5
"""The share of entries that nobody asked for in a whole round, for room to be taken away."""

REST = 3
"""So many rounds nothing is taken away: at first, and after something was."""

PATIENCE = 64
"""After so many rounds at most, room that was taken away in vain is tried again."""


class Store(Protocol):
    """What is sized; all under its lock.

    Attributes:
        max_entries: How many entries it may have.
    """

    max_entries: int

    def uses(self) -> dict[int, int]:
        """Return how often each entry was given, by the hash of its key."""
        ...

    def all_uses(self) -> int:
        """Return how often any entry was given, also one that left."""
        ...

    def shed(self, most: int) -> int:
        """Evict down to `most` entries."""
        ...


class Sizing:
    """Decides how many entries a store may have, by what more and what less of them would mean.

    It counts in *rounds* of as many misses as there may be entries. What more room would win is
    seen by the keys that come back after they were evicted: the last ones, twice as many as there
    may be entries, are remembered by their hashes. What less room would lose is seen by the entries
    that were asked for. Where room that was taken away has to be given back, the next attempt waits
    twice as long.
    """

    def __init__(self) -> None:
        self._ghosts: OrderedDict[int, None] = OrderedDict()
        self._misses = 0
        self._wins = 0
        self._total = 0
        self._uses: dict[int, int] = {}
        self._patience = self._rest = REST
        self._shrunk = False

    def evicted(self, key: Hashable) -> None:
        """Remember a key that had to go."""
        self._ghosts[hash(key)] = None

    def missed(self, store: Store, key: Hashable) -> None:
        """Take note of a key that was not there; now and then, change the bound of its store."""
        self._misses += 1
        self._wins += self._ghosts.pop(hash(key), self) is None
        while len(self._ghosts) > 2 * max(FIRST, store.max_entries):
            self._ghosts.popitem(last=False)
        if self._misses >= store.max_entries:
            self._end_round(store)

    def _end_round(self, store: Store) -> None:
        before, self._uses = self._uses, store.uses()
        idle = sum(before.get(key, 0) == uses for key, uses in self._uses.items())
        total = store.all_uses()
        calls = self._misses + total - self._total
        wins, self._wins, self._misses, self._total = self._wins, 0, 0, total
        self._rest -= 1
        if wins >= GAIN * calls:
            self._grow(store)
        elif self._rest <= 0 and wins <= LOSS * calls and idle >= IDLE * store.max_entries:
            self._shrunk, self._rest = True, REST
            store.max_entries = max(LEAST, int(store.max_entries / GROWTH))
            store.shed(store.max_entries)

    def _grow(self, store: Store) -> None:
        if self._shrunk:
            self._shrunk = False  # that was in vain
            self._patience = min(2 * self._patience, PATIENCE)
            self._rest = self._patience
        store.max_entries = min(MOST, int(store.max_entries * GROWTH) + 1)
