"""Answers from the memory of the process: the short way, and what the handle can do there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any

from agentperf._engine.bindings import Step
from agentperf._engine.layers import Proceed
from agentperf.errors import UncacheableValueError
from agentperf.events import CacheExpired, CacheInvalidated, Event
from agentperf.policies.cached.core import Args, CacheLayer, Kwargs, Look
from agentperf.policies.cached.flights.flight import Flight
from agentperf.policies.cached.flights.recording import replayed
from agentperf.policies.cached.freshness import Standing
from agentperf.policies.cached.memory.store import NO_ENTRY, Entry
from agentperf.policies.cached.state import CacheState, Recording
from agentperf.policies.cached.tags.markers import TagTable
from agentperf.policies.cached.tags.naming import NO_TAGS


class MemoryLayer(CacheLayer):
    """A cache whose entries are the answers themselves.

    Args:
        site: The function's place in its pipeline.
        state: What the cache remembers here.
        key: Makes the keys.
        tags_of: Gives the tags of calls.
    """

    def bound(self, inner: Step) -> Step:
        """Put the cache in front of `inner`."""
        key_of, hits, entries = self._key, self._hits, self._state.store.entries
        # Where hits are told one by one, every hit takes the longer way.
        now = self._now if hits is self._state.hits.ticks else _never
        fresh, given = self._fresh, self._given
        plain = self._tags_of is NO_TAGS and not self._state.freshness.lingers
        answer = self._site.driver.flow(self._answer_plain if plain else self._seek, inner)

        def step(args: Args, kwargs: Kwargs) -> Any:
            key = key_of(args, kwargs)
            try:
                entry = entries[key]
            except KeyError:
                entry = NO_ENTRY
            if now() < entry.quick_until:
                next(entry.ticks)
                return entry.value
            if fresh(entry):
                next(hits)
                return given(entry)
            return answer(key, args, kwargs)

        return step

    async def _stamp(self, tags: tuple[str, ...], known: Any = None) -> Any:
        return self._flights.table.markers(tags) if tags else ()

    def _answer_plain(
        self, proceed: Proceed, key: Hashable, args: Args, kwargs: Kwargs
    ) -> Coroutine[Any, Any, Any]:
        return self._answer(key, partial(proceed, args, kwargs), 0, ())

    def _fresh(self, entry: Entry) -> bool:
        """Whether an entry is good to give; one that is good for nothing goes."""
        if entry is NO_ENTRY:
            return False
        if entry.void:
            if self._state.store.remove(entry.key, entry):
                next(self._voids)
            return False
        now = self._now()
        if entry.term is not None:
            if now < entry.term.kept_until:
                return now < entry.term.due_from
        elif now < entry.fresh_until:
            return True
        if self._state.store.remove(entry.key, entry, lapsed=True):
            next(self._expiries)
        return False

    def _given(self, kept: Entry) -> Any:
        self._state.store.used(kept)
        if isinstance(kept.value, Recording):
            return replayed(kept.value, self._state.handed_out, self._now)
        return self._state.handed_out(kept.value)

    async def _found(self, key: Hashable, tags: tuple[str, ...] = ()) -> Look:
        entry = self._state.store.entries.get(key, NO_ENTRY)
        give = partial(self._given, entry)
        if self._fresh(entry):
            return Look(give, Standing.FRESH)
        if entry.term is None or entry.void:
            return Look(give, Standing.GONE)
        return Look(give, entry.term.at(self._now()))

    async def _come_in(self, flight: Flight, looked: int) -> Entry | None:
        entry = self._state.store.entries.get(flight.key, NO_ENTRY)
        return entry if self._fresh(entry) else None

    async def _keep(self, flight: Flight, value: Any, refusal: str | None) -> Entry | None:
        try:
            entry = self._state.entry(flight, value, self._now())
        except Exception as error:  # noqa: BLE001 - copying runs the value's own code
            how = "frozen" if self._state.options.copy == "freeze" else "copied"
            self._refuse_uncopyable(error, f"it can't be {how}")
            return None
        if refusal is None:
            self._put(flight, entry)
        else:
            self._refuse(refusal)
        return entry

    def _keep_recording(self, reading: Flight, recorded: Recording) -> None:
        self._put(reading, self._state.recorded_entry(reading, recorded, self._now()))

    def _put(self, flight: Flight, entry: Entry) -> None:
        named = self._flights.named(flight)
        evicted = None
        if named is not None:
            entry.tagged(flight.stamp + named)
            if not self._state.store.fits(entry):
                self._state.store.remove(flight.key)  # what is there is older than this
                self._refuse("it is larger than max_bytes")
                return
            evicted = None if entry.void else self._state.put(flight, entry)
        if evicted is None:
            self._refuse("it was invalidated while it was computed")
            return
        self._state.recover(flight.key)
        next(self._puts)
        for _ in range(evicted):
            next(self._evictions)


def _never() -> float:
    return float("inf")


class MemoryContents:
    """What the handle can do to the entries in memory."""

    def __init__(
        self, state: CacheState, now: Callable[[], float], table: Callable[[], TagTable]
    ) -> None:
        self._state = state
        self._now = now
        self._table = table

    async def peek(self, key: Hashable, default: Any) -> Any:
        """Return the answer under a key, a stream as the tuple of its items."""
        entry = self._state.store.entries.get(key)
        if entry is None or entry.void or not self._now() < entry.fresh_until:
            return default
        if isinstance(entry.value, Recording):
            return tuple(map(self._state.handed_out, entry.value.items))
        return self._state.handed_out(entry.value)

    async def get(self, key: Hashable, default: Any) -> tuple[Any, type[Event] | None]:
        """Return the same as `peek`, and what became of an entry that is no longer good."""
        entry = self._state.store.entries.get(key, NO_ENTRY)
        found = await self.peek(key, default)
        if found is not default:
            self._state.store.used(entry)
        elif self._state.store.remove(key, entry, lapsed=not entry.void):
            return found, CacheInvalidated if entry.void else CacheExpired
        return found, None

    async def remove(self, key: Hashable) -> bool:
        """Remove a key; tell whether it was there."""
        return self._state.store.remove(key)

    async def store(
        self, key: Hashable, value: Any, ttl: float | None, tags: tuple[str, ...]
    ) -> int:
        """Store a value under a key; return how many entries made room.

        Raises:
            UncacheableValueError: It can't be copied, or is larger than the whole cache may be.
        """
        now = self._now()
        flight = Flight(key)
        flight.began = now
        try:
            entry = self._state.entry(flight, value, now)
        except UncacheableValueError:
            raise
        except Exception as error:
            raise UncacheableValueError(f"it can't be copied: {type(error).__name__}") from error
        entry.lasts_until(float("inf") if ttl is None else now + ttl)
        if tags:
            entry.tagged(self._table().markers(tags))
        if not self._state.store.fits(entry):
            raise UncacheableValueError(f"its {entry.weight:,} bytes are more than max_bytes")
        return self._state.store.put(entry)

    async def clear(self) -> int:
        """Remove everything; return how much there was."""
        return self._state.store.clear()
