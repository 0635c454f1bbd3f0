"""What a cache remembers on one host."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from agentperf._base.copying import copied, is_immutable
from agentperf._base.keys import InstanceTokens
from agentperf._engine.site import Target
from agentperf.policies.cached.flights import Airspace, Flight, Flights
from agentperf.policies.cached.memory import Entry, MemoryStore
from agentperf.policies.cached.options import CacheOptions

KeyOf = Callable[[tuple[Any, ...], dict[str, Any]], Hashable]


class Tally:
    """A counter that threads share without a lock: taking the next number can't be torn."""

    __slots__ = ("_lock", "_reads", "ticks")

    def __init__(self) -> None:
        self.ticks: Iterator[int] = itertools.count()
        self._reads = 0
        self._lock = threading.Lock()

    @property
    def value(self) -> int:
        """How often a tick was taken; looking takes a number too, which is taken off again."""
        with self._lock:
            ticks = next(self.ticks) - self._reads
            self._reads += 1
            return ticks


@dataclass(frozen=True, slots=True)
class CacheStats:
    """The figures of one cache.

    Attributes:
        hits: Answers from the cache.
        misses: Calls for which there was no fresh answer; they computed it.
        shared: Calls that joined another one's computation.
        stale: Answers served past their time; always 0 while no stale serving is asked for.
        stored: Answers that went into the cache.
        refused: Answers that could not be stored.
        expired: Entries found past their time to live.
        evictions: Entries that had to make room.
        invalidated: Entries found void, because one of their tags was invalidated.
        size: Entries now; 0 for a backend other than memory, which doesn't say.
        max_entries: Entries at most; 0 for a backend other than memory.
    """

    hits: int = 0
    misses: int = 0
    shared: int = 0
    stale: int = 0
    stored: int = 0
    refused: int = 0
    expired: int = 0
    evictions: int = 0
    invalidated: int = 0
    size: int = 0
    max_entries: int = 0

    @property
    def hit_rate(self) -> float:
        """The share (0 to 1) of calls that were answered without computing; 0 before any call.

        A call that joined another's computation counts as answered without computing.
        """
        calls = self.hits + self.stale + self.shared + self.misses
        return (self.hits + self.stale + self.shared) / calls if calls else 0.0

    def __str__(self) -> str:
        text = (
            f"{self.hit_rate:.1%} hits ({self.hits} hits, {self.shared} shared, "
            f"{self.misses} misses), "
        )
        if self.max_entries:
            text += f"{self.size} of {self.max_entries} entries, {self.evictions} evicted, "
            text += f"{self.expired} expired, "
        else:
            text += f"{self.stored} stored, "
        return f"{text}{self.refused} refused"


@dataclass(frozen=True, slots=True)
class Recording:
    """A stream as it was read.

    Attributes:
        items: Everything it gave, empty items too, one by one as it gave them.
        returned: What a generator returned.
        is_async: Whether it was read asynchronously.
    """

    items: tuple[Any, ...]
    returned: Any
    is_async: bool


class CacheState:
    """Entries, flights and figures of one cache; holds no reference to the function it serves.

    Attributes:
        options: What was asked for.
        name: What the cache is shared by, if it is.
    """

    def __init__(self, options: CacheOptions, airspace: Airspace, name: str | None = None) -> None:
        self.options = options
        self.name = name
        self.hits = Tally()
        self.misses = Tally()
        self.shared = Tally()
        self.stored = Tally()
        self.refused = Tally()
        self.expired = Tally()
        self.evictions = Tally()
        self.invalidated = Tally()
        self.store = MemoryStore(options.max_entries)
        self.flights = Flights(airspace)
        self._airspace = airspace
        self.told_uncopyable = False
        self.instances = InstanceTokens()
        self.keys: WeakKeyDictionary[Target, KeyOf] = WeakKeyDictionary()
        self.remotes: WeakKeyDictionary[Target, Any] = WeakKeyDictionary()

    def put(self, flight: Flight, entry: Entry) -> int | None:
        """Store what a flight brought, unless it was invalidated; return how many made room.

        Whoever invalidates marks the flight first and removes the entry then. Since looking at the
        mark and storing are one, the old result is never seen again.
        """
        with self._airspace.lock:
            return self.store.put(entry) if flight.valid else None

    def entry(self, key: Hashable, value: Any, now: float) -> Entry:
        """Make the entry of an answer, with a copy of the answer where somebody could change it.

        Raises:
            Exception: Whatever the value's copying raises, where it can't be copied.
        """
        shares = self._shares(value)
        kept = value if shares else copied(value)
        return Entry(key, kept, self._until(now), quick=shares)

    def recorded_entry(self, key: Hashable, recording: Recording, now: float) -> Entry:
        """Make the entry of a stream that was read to its end."""
        return Entry(key, recording, self._until(now), quick=False)

    def handed_out(self, value: Any) -> Any:
        """Return what one more caller may have of a value."""
        return value if self._shares(value) else copied(value)

    def _shares(self, value: Any) -> bool:
        mode = self.options.copy
        return mode == "share" or (mode == "auto" and is_immutable(value))

    def _until(self, now: float) -> float:
        return float("inf") if self.options.ttl is None else now + self.options.ttl

    def stats(self) -> CacheStats:
        """Return the figures of now."""
        return CacheStats(
            hits=self.hits.value,
            misses=self.misses.value,
            shared=self.shared.value,
            stored=self.stored.value,
            refused=self.refused.value,
            expired=self.expired.value,
            evictions=self.evictions.value,
            invalidated=self.invalidated.value,
            size=len(self.store),
            max_entries=self.options.max_entries if self.options.in_memory else 0,
        )
