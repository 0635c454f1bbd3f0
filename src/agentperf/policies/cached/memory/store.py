"""The memory of a cache: bounded, with an eviction that keeps what is asked for again."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any

from agentperf.usage import Usage

if TYPE_CHECKING:
    from agentperf.policies.cached.freshness import Term
    from agentperf.policies.cached.memory.sizing import Sizing
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
        ticks: Counts the hits on the hot path: one `next`, which threads can't tear.
        more: How often it was given in another way.
        stamp: The versions that its tags had when its computation began.
        weight: About how many bytes it holds; 0 where nobody asked.
        cost: How many seconds its computation took.
        spent: What its computation used, where that is known.
    """

    __slots__ = (
        "_looks",
        "cost",
        "credit",
        "fresh_until",
        "key",
        "more",
        "newer",
        "older",
        "queue",
        "quick_until",
        "seen",
        "spent",
        "stamp",
        "term",
        "ticks",
        "value",
        "weight",
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
        self.ticks: Iterator[int] = itertools.count()
        self.more = 0
        self.stamp: tuple[Marker, ...] = ()
        self.weight = 0
        self.cost = 0.0
        self.spent: Usage | None = None
        self._looks = 0
        # Its place in the store, and what the eviction knows of it.
        self.queue: Queue | None = None
        self.newer: Entry | None = None
        self.older: Entry | None = None
        self.seen = 0
        self.credit = 0

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

    def quick_hits(self) -> int:
        """Return how often the hot path gave it; under the lock of its store."""
        hits = next(self.ticks) - self._looks  # looking takes a number too
        self._looks += 1
        return hits

    def close(self, late: Iterator[int]) -> int:
        """Return how often the hot path gave it, and count in `late` from now on."""
        # No other thread gets its turn between loading `ticks` and taking its next number: whoever
        # has found the entry already counts either here or there.
        ticks, self.ticks = self.ticks, late
        return next(ticks) - self._looks

    def asked(self) -> int:
        """Return how often it was asked for since this was asked; under the lock of its store."""
        uses = self.quick_hits() + self.more
        new, self.seen = uses - self.seen, uses
        return new


NO_ENTRY = Entry(None, None, _NEVER, quick=False)
"""What a lookup finds where there is nothing: never fresh."""


class Queue:
    """Entries in the order in which they came, linked through themselves."""

    __slots__ = ("length", "newest", "oldest")

    def __init__(self) -> None:
        self.length = 0
        self.newest: Entry | None = None
        self.oldest: Entry | None = None

    def append(self, entry: Entry) -> None:
        """Add an entry at the newest end."""
        entry.queue = self
        entry.older, entry.newer = self.newest, None
        if self.newest is None:
            self.oldest = entry
        else:
            self.newest.newer = entry
        self.newest = entry
        self.length += 1

    def remove(self, entry: Entry) -> None:
        """Take an entry out."""
        if entry.older is None:
            self.oldest = entry.newer
        else:
            entry.older.newer = entry.newer
        if entry.newer is None:
            self.newest = entry.older
        else:
            entry.newer.older = entry.older
        entry.queue = entry.newer = entry.older = None
        self.length -= 1


class Ghosts:
    """The keys that left last, by their hashes: what a key holds need not be kept for this."""

    def __init__(self) -> None:
        self._hashes: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, key: Hashable, most: float) -> None:
        """Remember a key, and no more than `most` of them."""
        self._hashes[hash(key)] = None
        while len(self._hashes) > most:
            self._hashes.popitem(last=False)

    def take(self, key: Hashable) -> bool:
        """Forget a key; tell whether it was there."""
        return self._hashes.pop(hash(key), self) is None

    def clear(self) -> None:
        """Forget all."""
        self._hashes.clear()


class Account:
    """What the entries of a store amounted to.

    Attributes:
        hits: How often the hot path gave one.
        left: How many were evicted or had expired.
        idle: How many of these nobody had asked for.
        uses: How often one was given at all.
        spared: Seconds that the computations would have taken whose answers were given again.
        saved: What they would have used.
    """

    __slots__ = ("hits", "idle", "left", "saved", "spared", "uses")

    def __init__(self) -> None:
        self.hits = 0
        self.left = 0
        self.idle = 0
        self.uses = 0
        self.spared = 0.0
        self.saved = Usage()

    def add(self, entry: Entry, quick: int) -> int:
        """Book an entry that the hot path gave so often; return how often it was given at all."""
        self.hits += quick
        if uses := quick + entry.more:
            self.uses += uses
            self.spared += uses * entry.cost
            if entry.spent is not None:
                self.saved += times(entry.spent, uses)
        return uses

    def close(self, entry: Entry, quick: int, *, lapsed: bool) -> None:
        """Book an entry that leaves: evicted or expired, or else on request."""
        uses = self.add(entry, quick)
        if lapsed:
            self.left += 1
            self.idle += not uses

    def copy(self) -> Account:
        """Return the same figures, to be added to."""
        made = Account()
        for name in self.__slots__:
            setattr(made, name, getattr(self, name))
        return made


def times(usage: Usage, number: int) -> Usage:
    """Return what so many calls used that each used this."""
    cost = usage.cost_usd
    return Usage(
        usage.input_tokens * number,
        usage.output_tokens * number,
        usage.cached_tokens * number,
        None if cost is None else cost * number,
    )


NEWCOMERS = 0.3
"""The share of the entries that are on probation at first."""

GHOSTS = 0.3
"""So many keys are remembered of those that left each queue, as a share of the entries."""

CREDIT = 3
"""So many rounds an entry is spared at most, however often it was asked for."""


class MemoryStore:
    """A bounded table of entries.

    Readers take no lock: they look into `entries`, a plain dict, and take a number from the entry's
    `ticks`. Writers share one lock.

    The eviction is S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP
    2023) with a bound that moves. New entries are on probation: who isn't asked for there goes
    first, so that one pass over many keys doesn't push out what is in use. The others are kept in a
    second queue, and spared at its end for as many rounds as they were asked for, three at most.
    A key that comes back soon after it left is kept at once, and moves the bound between the two
    queues to where it would have stayed, as ARC does (Megiddo and Modha, FAST 2003): programs whose
    questions change get a long probation, those with lasting favourites a short one.

    Other evictions are subclasses, which choose `_victim`.

    Args:
        max_entries: How many entries to keep at most.
        max_bytes: How many bytes they may weigh together; None: whatever they do.
        sizing: Changes `max_entries` by what that would win.
    """

    quick = True
    """Whether the eviction needs not be told of each hit."""

    def __init__(
        self, max_entries: int, max_bytes: int | None = None, sizing: Sizing | None = None
    ) -> None:
        self.entries: dict[Hashable, Entry] = {}
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.bytes = 0
        self.returned = 0
        """How many keys came back soon after they had been evicted."""
        self._sizing = sizing
        # Reentrant: at any time the collector may run code of others, which may store something.
        self._lock = threading.RLock()
        self._past = Account()
        self._late: Iterator[int] = itertools.count()
        self._late_looks = 0
        self._probation, self._kept = Queue(), Queue()
        self._ghosts = Ghosts(), Ghosts()
        self._share = NEWCOMERS

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self.entries.values()))

    def fits(self, entry: Entry) -> bool:
        """Whether an entry is no larger than the whole store may be."""
        return self.max_bytes is None or entry.weight <= self.max_bytes

    def put(self, entry: Entry) -> int:
        """Store an entry that fits, in place of the one with its key or of what nobody asks for.

        Returns:
            How many entries of other keys had to make room.
        """
        with self._lock:
            if (old := self.entries.get(entry.key)) is not None:
                self._arrive(entry, old)
                self._drop(old)
            else:
                self._arrive(entry, None)
                if self._sizing is not None:
                    self._sizing.missed(self, entry.key)
            evicted: list[Entry] = []  # let go once the lock is free: that may run code of others
            while self.entries and self._is_full(entry.weight):
                evicted.append(self._evict())
            if (other := self.entries.get(entry.key)) is not None:
                self._drop(other)  # stored by such code meanwhile
            self.entries[entry.key] = entry
            self.bytes += entry.weight
            self._join(entry)
        return len(evicted)

    def remove(self, key: Hashable, entry: Entry | None = None, *, lapsed: bool = False) -> bool:
        """Remove what is stored under `key`, or only `entry` itself; True if it was there.

        Args:
            key: The key.
            entry: What has to be there.
            lapsed: Whether it goes because its time is over.
        """
        with self._lock:
            found = self.entries.get(key)
            if found is None or (entry is not None and found is not entry):
                return False
            self._drop(found, lapsed=lapsed)
            return True

    def clear(self) -> int:
        """Remove everything; return how much there was."""
        with self._lock:
            gone = list(self.entries.values())
            for entry in gone:  # one by one: bound steps hold on to this very dict
                self._drop(entry)
            self._forget()
            return len(gone)

    def used(self, entry: Entry) -> None:
        """Take note that an entry is given in another way than on the hot path."""
        entry.more += 1

    def account(self) -> Account:
        """Return what all entries amounted to, those that left and those that are there."""
        with self._lock:
            total = self._past.copy()
            for entry in self.entries.values():
                total.add(entry, entry.quick_hits())
            total.hits += next(self._late) - self._late_looks
            self._late_looks += 1
            return total

    def uses(self) -> dict[int, int]:
        """Return how often each entry was given, by the hash of its key; under the lock."""
        return {hash(key): e.quick_hits() + e.more for key, e in self.entries.items()}

    def all_uses(self) -> int:
        """Return how often any entry was given, also one that left; under the lock."""
        return self._past.uses + sum(self.uses().values())

    def shed(self, most: int) -> int:
        """Evict down to `most` entries, under the lock; return how many went."""
        before = len(self.entries)
        while len(self.entries) > most:
            self._evict()
        return before - len(self.entries)

    def _is_full(self, weight: int) -> bool:
        if len(self.entries) >= self.max_entries:
            return True
        return self.max_bytes is not None and self.bytes + weight > self.max_bytes

    def _evict(self) -> Entry:
        entry = self._victim()
        self._drop(entry, lapsed=True)
        if self._sizing is not None:
            self._sizing.evicted(entry.key)
        return entry

    def _drop(self, entry: Entry, *, lapsed: bool = False) -> None:
        del self.entries[entry.key]
        self.bytes -= entry.weight
        self._leave(entry)
        self._past.close(entry, entry.close(self._late), lapsed=lapsed)

    def _arrive(self, entry: Entry, old: Entry | None) -> None:
        """Find the queue that a new entry is to join."""
        if old is not None:
            entry.queue = old.queue
            return
        newcomers, veterans = self._ghosts
        few, many = max(1, len(newcomers)), max(1, len(veterans))
        room = max(1, len(self.entries))
        if newcomers.take(entry.key):
            self._share = min(0.99, self._share + max(1.0, many / few) / room)
        elif veterans.take(entry.key):
            self._share = max(0.01, self._share - max(1.0, few / many) / room)
        else:
            entry.queue = self._probation
            return
        self.returned += 1
        entry.queue = self._kept

    def _join(self, entry: Entry) -> None:
        """Put a new entry in its place."""
        (entry.queue or self._probation).append(entry)

    def _leave(self, entry: Entry) -> None:
        """Take an entry from its place."""
        if entry.queue is not None:
            entry.queue.remove(entry)

    def _forget(self) -> None:
        """Forget what is known of keys that left."""
        for ghosts in self._ghosts:
            ghosts.clear()

    def _victim(self) -> Entry:
        """Choose what has to go; there is something."""
        most = GHOSTS * len(self.entries)
        while True:
            newcomer, veteran = self._probation.oldest, self._kept.oldest
            long_enough = self._probation.length >= self._share * len(self.entries)
            if newcomer is not None and (long_enough or veteran is None):
                if not newcomer.asked():
                    self._ghosts[0].add(newcomer.key, most)
                    return newcomer
                self._move(newcomer)
            elif veteran is not None:
                veteran.credit = min(CREDIT, veteran.credit + veteran.asked())
                if not veteran.credit:
                    self._ghosts[1].add(veteran.key, most)
                    return veteran
                veteran.credit -= 1
                self._move(veteran)

    def _move(self, entry: Entry) -> None:
        """Put an entry at the newest end of those that are kept."""
        self._leave(entry)
        self._kept.append(entry)
