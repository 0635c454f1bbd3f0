"""Other evictions than the default one, by name: SIEVE, and those of cachetools."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentperf.policies.cached.memory.names import Eviction, cachetools_for
from agentperf.policies.cached.memory.store import Entry, MemoryStore

if TYPE_CHECKING:
    from cachetools import Cache

    from agentperf.policies.cached.memory.sizing import Sizing

UNBOUNDED = float("inf")


def store_by(
    eviction: Eviction,
    max_entries: int,
    max_bytes: int | None,
    sizing: Sizing | None,
    now: Callable[[], float],
) -> MemoryStore:
    """Make a store that evicts in the way that was asked for.

    Args:
        eviction: The way.
        max_entries: How many entries to keep at most.
        max_bytes: How many bytes they may weigh together.
        sizing: Changes `max_entries`.
        now: Tells what has expired.
    """
    if eviction == "sieve":
        return SieveStore(max_entries, max_bytes, sizing)
    if eviction == "ttl":
        return TimedStore(now, max_entries, max_bytes, sizing)
    cachetools = cachetools_for(eviction)
    order = (cachetools.LRUCache if eviction == "lru" else cachetools.LFUCache)(UNBOUNDED)
    return OrderedStore(order, max_entries, max_bytes, sizing)


class SieveStore(MemoryStore):
    """Evicts by SIEVE: Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024.

    A hand moves from the oldest entry to the newest and evicts the first that nobody asked for
    since it came by; new entries join at the newest end.
    """

    def __init__(
        self, max_entries: int, max_bytes: int | None = None, sizing: Sizing | None = None
    ) -> None:
        super().__init__(max_entries, max_bytes, sizing)
        self._hand: Entry | None = None

    def _arrive(self, entry: Entry, old: Entry | None) -> None:
        entry.queue = self._kept

    def _leave(self, entry: Entry) -> None:
        if self._hand is entry:
            self._hand = entry.newer
        super()._leave(entry)

    def _victim(self) -> Entry:
        while True:
            hand = self._hand or self._kept.oldest
            if hand is None:
                raise LookupError("there is nothing to evict")
            self._hand = hand
            if not hand.asked():
                return hand
            self._hand = hand.newer


class OrderedStore(MemoryStore):
    """Evicts in the order that a map of cachetools keeps.

    Such a map has to be told of each hit, and by one thread at a time: each takes the lock.

    Args:
        order: The map, which has room for anything: how much is kept is decided here.
        max_entries: How many entries to keep at most.
        max_bytes: How many bytes they may weigh together.
        sizing: Changes `max_entries`.
    """

    quick = False

    def __init__(
        self,
        order: Cache[Any, Entry],
        max_entries: int,
        max_bytes: int | None = None,
        sizing: Sizing | None = None,
    ) -> None:
        super().__init__(max_entries, max_bytes, sizing)
        self._order = order

    def used(self, entry: Entry) -> None:
        """Take note of a hit."""
        with self._lock:
            entry.more += 1
            self._order.get(entry.key)

    def _arrive(self, entry: Entry, old: Entry | None) -> None:
        """All stand in one order."""

    def _join(self, entry: Entry) -> None:
        self._order[entry.key] = entry

    def _leave(self, entry: Entry) -> None:
        self._order.pop(entry.key, None)

    def _victim(self) -> Entry:
        return self.entries[self._order.popitem()[0]]


class TimedStore(OrderedStore):
    """Removes what has expired as soon as something is stored; then evicts as LRU does.

    Args:
        now: Tells the time.
        max_entries: How many entries to keep at most.
        max_bytes: How many bytes they may weigh together.
        sizing: Changes `max_entries`.
    """

    def __init__(
        self,
        now: Callable[[], float],
        max_entries: int,
        max_bytes: int | None = None,
        sizing: Sizing | None = None,
    ) -> None:
        # The map removes what has expired at any time: its time stands still but for `_arrive`.
        self._now = now
        self._moment = now()
        self._timed = cachetools_for("ttl").TLRUCache(
            UNBOUNDED, ttu=lambda _, entry, __: _end(entry), timer=lambda: self._moment
        )
        super().__init__(self._timed, max_entries, max_bytes, sizing)

    def _arrive(self, entry: Entry, old: Entry | None) -> None:
        self._moment = self._now()
        for _, expired in self._timed.expire():
            if expired is not old:
                self._drop(expired, lapsed=True)

    def _join(self, entry: Entry) -> None:
        if _end(entry) <= self._moment:
            self._moment = -UNBOUNDED  # the map would not take what has expired already
        super()._join(entry)


def _end(entry: Entry) -> float:
    return entry.fresh_until if entry.term is None else entry.term.kept_until
