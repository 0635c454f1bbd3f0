"""The memory of a cache: bounded, with an eviction that keeps what is asked for again."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentperf.policies.cached.freshness import Term
    from agentperf.policies.cached.tags.markers import Marker

_NEVER = -float("inf")


class Entry:
    """One stored answer.

    Attributes:
        value: What was stored.
        quick_until: Until when the value may be handed out just as it is; never, for a value that
            has to be copied or replayed first. The hot path looks at nothing else.
        fresh_until: Until when the value is good.
        term: All its times, where there are more of them.
        visited: Whether anybody asked for it since the eviction hand came by.
        stamp: The versions that its tags had when its computation began.
    """

    __slots__ = (
        "fresh_until",
        "key",
        "newer",
        "older",
        "quick_until",
        "stamp",
        "term",
        "value",
        "visited",
    )

    def __init__(
        self,
        key: Hashable,
        value: Any,
        fresh_until: float,
        *,
        quick: bool,
        term: Term | None = None,
    ) -> None:
        self.key = key
        self.value = value
        self.fresh_until = fresh_until
        self.term = term
        self.quick_until = _NEVER
        if quick:
            self.quick_until = fresh_until if term is None else term.due_from
        self.visited = False
        self.stamp: tuple[Marker, ...] = ()
        self.newer: Entry | None = None
        self.older: Entry | None = None

    def tagged(self, stamp: tuple[Marker, ...]) -> None:
        """Have it looked at, before it is given, whether these versions are still good."""
        if stamp:
            self.stamp = stamp
            self.quick_until = _NEVER

    def lasts_until(self, moment: float) -> None:
        """Have it good until then."""
        self.fresh_until = moment
        if self.quick_until != _NEVER:
            self.quick_until = moment

    @property
    def void(self) -> bool:
        """Whether one of its tags was invalidated."""
        for marker in self.stamp:  # noqa: SIM110 - on the path of hits, where any() costs
            if marker.void:
                return True
        return False


NO_ENTRY = Entry(None, None, _NEVER, quick=False)
"""What a lookup finds where there is nothing: never fresh."""


class MemoryStore:
    """A bounded table of entries with SIEVE eviction.

    Readers take no lock: they look into `entries`, a plain dict, and set the entry's `visited`
    mark. Writers share one lock. A hand moves from the oldest entry to the newest, takes marks
    away and evicts the first entry that has none; new entries join at the newest end, so that one
    pass over many keys doesn't push out what is in use. (Zhang et al., "SIEVE is Simpler than
    LRU", NSDI 2024.)
    """

    def __init__(self, max_entries: int) -> None:
        self.entries: dict[Hashable, Entry] = {}
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._newest: Entry | None = None
        self._oldest: Entry | None = None
        self._hand: Entry | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self.entries.values()))

    def put(self, entry: Entry) -> int:
        """Store an entry, in place of the one with its key or of one that nobody asks for.

        Returns:
            How many entries of other keys had to make room.
        """
        with self._lock:
            if (old := self.entries.pop(entry.key, None)) is not None:
                self._unlink(old)
            evicted = 0
            while len(self.entries) >= self._max_entries:
                self._evict()
                evicted += 1
            self.entries[entry.key] = entry
            self._link(entry)
            return evicted

    def remove(self, key: Hashable, entry: Entry | None = None) -> bool:
        """Remove what is stored under `key`, or only `entry` itself; True if it was there."""
        with self._lock:
            found = self.entries.get(key)
            if found is None or (entry is not None and found is not entry):
                return False
            del self.entries[key]
            self._unlink(found)
            return True

    def clear(self) -> int:
        """Remove everything; return how much there was."""
        with self._lock:
            count = len(self.entries)
            self.entries.clear()  # in place: bound steps hold on to this very dict
            self._newest = self._oldest = self._hand = None
            return count

    def _evict(self) -> None:
        hand = self._hand or self._oldest
        while hand is not None and hand.visited:
            hand.visited = False
            hand = hand.newer or self._oldest
        if hand is not None:
            self._hand = hand
            del self.entries[hand.key]
            self._unlink(hand)

    def _link(self, entry: Entry) -> None:
        entry.older = self._newest
        if self._newest is None:
            self._oldest = entry
        else:
            self._newest.newer = entry
        self._newest = entry

    def _unlink(self, entry: Entry) -> None:
        if self._hand is entry:
            self._hand = entry.newer
        if entry.older is None:
            self._oldest = entry.newer
        else:
            entry.older.newer = entry.newer
        if entry.newer is None:
            self._newest = entry.older
        else:
            entry.newer.older = entry.older
        entry.newer = entry.older = None
