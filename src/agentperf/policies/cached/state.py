"""What a cache remembers on one host."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from agentperf._base.copying import copied, is_immutable
from agentperf._base.keys import InstanceTokens
from agentperf._engine.site import Target
from agentperf.policies.cached.flights.flight import Airspace, Flight, Flights
from agentperf.policies.cached.freshness import REST, Freshness
from agentperf.policies.cached.memory.store import Entry, MemoryStore
from agentperf.policies.cached.options import CacheOptions

if TYPE_CHECKING:
    from agentperf.policies.cached.setbacks import Setback

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
        stale = f"{self.stale} stale, " if self.stale else ""
        text = (
            f"{self.hit_rate:.1%} hits ({self.hits} hits, {stale}{self.shared} shared, "
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
        self.stale = Tally()
        self.stored = Tally()
        self.refused = Tally()
        self.expired = Tally()
        self.evictions = Tally()
        self.freshness = Freshness(options)
        self.invalidated = Tally()
        self.store = MemoryStore(options.max_entries)
        self._setbacks = MemoryStore(options.max_entries)
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

    def set_back(self, flight: Flight, error: Exception, now: float) -> None:
        """Remember that a flight failed, as far as that is asked for.

        Failures are kept in memory whatever the backend: errors are not written as bytes.
        """
        if self.options.negative_ttl is None and not self.freshness.lingers:
            return
        from agentperf.policies.cached.flights.twins import twin
        from agentperf.policies.cached.setbacks import Setback, remembered_for

        raised = remembered_for(error, self.options.negative_ttl)
        until = now + (REST if self.freshness.lingers else 0.0), now + raised
        # Not the error itself: its frames hold on to what the call was made with.
        setback = Setback(twin(error), flight.stamp, *until)
        if (named := self.flights.named(flight)) is None:
            return
        entry = Entry(flight.key, setback, max(until), quick=False)
        entry.tagged(named)
        with self._airspace.lock:
            if flight.valid:
                self._setbacks.put(entry)

    def setback(self, key: Hashable) -> Setback | None:
        """Return the last failure under a key, if it is remembered."""
        entry = self._setbacks.entries.get(key)
        return None if entry is None or entry.void else entry.value

    def recover(self, key: Hashable) -> None:
        """Forget the failure under a key."""
        if self._setbacks.entries:
            self._setbacks.remove(key)

    def invalidate(self, key: Hashable) -> None:
        """Keep out what is being computed under a key, and forget that it failed."""
        self.flights.invalidate(key)
        self.recover(key)

    def invalidate_all(self) -> None:
        """The same for every key."""
        self.flights.invalidate_all()
        self._setbacks.clear()

    def entry(self, flight: Flight, value: Any, now: float) -> Entry:
        """Make the entry of an answer, with a copy of the answer where somebody could change it.

        Raises:
            Exception: Whatever the value's copying raises, where it can't be copied.
        """
        shares = self._shares(value)
        kept = value if shares else copied(value)
        return self._entry(flight, kept, now, quick=shares)

    def recorded_entry(self, flight: Flight, recording: Recording, now: float) -> Entry:
        """Make the entry of a stream that was read to its end."""
        return self._entry(flight, recording, now, quick=False)

    def _entry(self, flight: Flight, kept: Any, now: float, *, quick: bool) -> Entry:
        life = self.freshness.life(flight.control.ttl)
        if life is None:
            return Entry(flight.key, kept, float("inf"), quick=quick)
        if not self.freshness.lingers:
            return Entry(flight.key, kept, now + life, quick=quick)
        term = self.freshness.term(now, life, now - flight.began)
        return Entry(flight.key, kept, term.fresh_until, quick=quick, term=term)

    def handed_out(self, value: Any) -> Any:
        """Return what one more caller may have of a value."""
        return value if self._shares(value) else copied(value)

    def _shares(self, value: Any) -> bool:
        mode = self.options.copy
        return mode == "share" or (mode == "auto" and is_immutable(value))

    def stats(self) -> CacheStats:
        """Return the figures of now."""
        return CacheStats(
            hits=self.hits.value,
            misses=self.misses.value,
            shared=self.shared.value,
            stale=self.stale.value,
            stored=self.stored.value,
            refused=self.refused.value,
            expired=self.expired.value,
            evictions=self.evictions.value,
            invalidated=self.invalidated.value,
            size=len(self.store),
            max_entries=self.options.max_entries if self.options.in_memory else 0,
        )
