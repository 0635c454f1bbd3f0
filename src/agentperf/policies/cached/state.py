"""What a cache remembers on one host."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from math import nan
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from agentperf._base.copying import copied, is_immutable
from agentperf._base.keys import InstanceTokens
from agentperf._engine.site import Target
from agentperf.policies.cached.flights.flight import Airspace, Flight, Flights
from agentperf.policies.cached.freshness import REST, Freshness
from agentperf.policies.cached.memory.store import Entry, MemoryStore
from agentperf.policies.cached.options import CacheOptions
from agentperf.usage import Usage, usage_of

if TYPE_CHECKING:
    from agentperf.policies.cached.savings import Savings
    from agentperf.policies.cached.setbacks import Setback
    from agentperf.policies.cached.stats import CacheStats

KeyOf = Callable[[tuple[Any, ...], dict[str, Any]], Hashable]

_SHARING = ("share", "freeze")


FOLD_AT = 4096
"""So many durations may be pending before they are added up."""


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
class Recording:
    """A stream as it was read.

    Attributes:
        items: Everything it gave, empty items too, one by one as it gave them.
        returned: What a generator returned.
        is_async: Whether it was read asynchronously.
        kind: The class of the stream; None where it isn't known.
    """

    items: tuple[Any, ...]
    returned: Any
    is_async: bool
    kind: type | None = None


class CacheState:
    """Entries, flights and figures of one cache; holds no reference to the function it serves.

    Attributes:
        options: What was asked for.
        name: What the cache is shared by, if it is.
    """

    def __init__(
        self,
        options: CacheOptions,
        airspace: Airspace,
        name: str | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
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
        self.store = _store(options, now)
        self._setbacks = MemoryStore(self.store.max_entries)
        self._loads: list[float] = []
        self._loaded = 0, 0.0
        self.flights = Flights(airspace)
        self._airspace = airspace
        airspace.belongs(self)
        self.told_uncopyable = False
        self.told_unreadable: set[str] = set()
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
        return self._entry(flight, self.taken_in(value), now, quick=self._shares(value))

    def recorded_entry(self, flight: Flight, recording: Recording, now: float) -> Entry:
        """Make the entry of a stream that was read to its end."""
        return self._entry(flight, recording, now, quick=False)

    def _entry(self, flight: Flight, kept: Any, now: float, *, quick: bool) -> Entry:
        life, term = self.freshness.life(flight.control.ttl), None
        until = float("inf") if life is None else now + life
        cost = now - flight.began
        if life is not None and self.freshness.lingers:
            term = self.freshness.term(now, life, cost)
            until = term.fresh_until
        quick = quick and self.store.quick
        entry = Entry(flight.key, kept, until, quick=quick, term=term)
        entry.cost, entry.spent = cost, flight.books.total or self._reported(kept)
        if self.options.max_bytes is not None:
            from agentperf.policies.cached.memory.weighing import ENTRY, weigh

            entry.weight = ENTRY + weigh(flight.key, kept)
        return entry

    def _reported(self, answer: Any) -> Usage | None:
        """Return what a reply says it used, with its price where that is known."""
        try:
            if type(answer) is not Recording and usage_of(answer) is None:
                return None
        except Exception:  # noqa: BLE001 - a property of the answer's own
            return None
        from agentperf.policies.cached import savings  # for replies of models

        return savings.of_stream(answer.items) if type(answer) is Recording else savings.of(answer)

    def saved(self, answer: Any) -> None:
        """Take note that an answer was given again which no entry here counts for."""
        if type(answer) is Recording:
            self._savings.add(self._reported(answer))
        else:
            self._savings.given(answer)

    def taken_in(self, value: Any) -> Any:
        """Return what may be kept of a value that somebody else has.

        Raises:
            Exception: Whatever the value's copying raises, where it can't be copied.
        """
        if self.options.copy == "freeze":
            from agentperf.policies.cached.memory.freezing import frozen  # for who asks for it

            return frozen(value)
        return self.handed_out(value)

    def handed_out(self, value: Any) -> Any:
        """Return what one more caller may have of a value."""
        return value if self._shares(value) else copied(value)

    def _shares(self, value: Any) -> bool:
        mode = self.options.copy
        return mode in _SHARING or (mode == "auto" and is_immutable(value))

    def loaded(self, seconds: float) -> None:
        """Take note of how long a computation took."""
        self._loads.append(seconds)  # which no thread can tear
        if len(self._loads) >= FOLD_AT:
            self._load_mean()

    def _load_mean(self) -> float:
        with self._airspace.lock:
            loads = self._loads[:]
            del self._loads[: len(loads)]
            count, total = self._loaded
            self._loaded = count, total = count + len(loads), total + sum(loads)
            return total / count if count else nan

    @functools.cached_property
    def _savings(self) -> Savings:
        from agentperf.policies.cached.savings import Savings

        return Savings()

    def _saved_elsewhere(self) -> Usage:
        return self._savings.total() if "_savings" in self.__dict__ else Usage()

    def stats(self) -> CacheStats:
        """Return the figures of now."""
        from agentperf.policies.cached.stats import CacheStats  # for those who ask

        store, account, in_memory = self.store, self.store.account(), self.options.in_memory
        return CacheStats(
            hits=self.hits.value + account.hits,
            misses=self.misses.value,
            shared=self.shared.value,
            stale=self.stale.value,
            stored=self.stored.value,
            refused=self.refused.value,
            expired=self.expired.value,
            evictions=self.evictions.value,
            invalidated=self.invalidated.value,
            size=len(store),
            max_entries=store.max_entries if in_memory else 0,
            bytes=store.bytes,
            max_bytes=self.options.max_bytes,
            load_seconds=self._load_mean(),
            saved=account.saved + self._saved_elsewhere(),
            saved_seconds=account.spared,
            returned=store.returned,
            gone=account.left,
            unasked=account.idle,
            sizes_itself=self.options.max_entries == "auto",
        )


def _store(options: CacheOptions, now: Callable[[], float]) -> MemoryStore:
    """Make the memory that the options ask for; what most don't ask for is loaded by who does."""
    sizing, most = None, options.max_entries
    if most == "auto":
        from agentperf.policies.cached.memory.sizing import FIRST, Sizing

        sizing, most = Sizing(), FIRST
    if (eviction := options.eviction) is None:
        return MemoryStore(most, options.max_bytes, sizing)
    from agentperf.policies.cached.memory.evictions import store_by

    return store_by(eviction, most, options.max_bytes, sizing, now)
