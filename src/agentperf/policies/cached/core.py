"""Answers a call from the cache, or computes the answer once for all who ask meanwhile."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from agentperf._base.endings import Ending
from agentperf._base.log import fault
from agentperf._engine.bindings import Step
from agentperf._engine.layers import Proceed
from agentperf._engine.site import Site
from agentperf._engine.streams import LIVE, AnyLiveStream, AsyncLiveStream
from agentperf.events import (
    CacheEviction,
    CacheExpired,
    CacheHit,
    CacheMiss,
    CacheRefused,
    CacheStored,
)
from agentperf.policies.cached.flights import Boarding, Flight, computing_for
from agentperf.policies.cached.memory import NO_ENTRY, Entry
from agentperf.policies.cached.state import CacheState, Recording
from agentperf.policies.cached.streams import Recorder, replayed

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
KeyOf = Callable[[Args, Kwargs], Hashable]


class CacheLayer:
    """One cache, in front of one function, on one host."""

    def __init__(self, site: Site, state: CacheState, key: KeyOf) -> None:
        self._site = site
        self._state = state
        self._key = key
        self._now = site.host.clock.now
        self._hit = self._counting(state.hits.tick, CacheHit)
        self._missed = self._counting(state.misses.tick, CacheMiss)
        self._joined = self._counting(state.shared.tick, CacheMiss, shared=True)
        self._stored = self._counting(state.stored.tick, CacheStored)
        self._expired = self._counting(state.expired.tick, CacheExpired)
        self._tell_refused = site.host.bus.emitter(CacheRefused)
        state.store.evicted = self._counting(state.evictions.tick, CacheEviction)

    def _counting(
        self, tick: Callable[[], object], kind: type[Any], **facts: Any
    ) -> Callable[[], object]:
        """Return what counts a fact, and tells it where somebody listens."""
        emit = self._site.host.bus.emitter(kind)
        if emit is None:
            return tick
        event = kind(operation=self._site.target.operation, **facts)

        def count_and_tell() -> None:
            tick()
            emit(event)

        return count_and_tell

    def bound(self, inner: Step) -> Step:
        """Put the cache in front of `inner`."""
        key_of, now, hit = self._key, self._now, self._hit
        look_up = self._state.store.entries.get
        answer = self._site.driver.flow(self._answer, inner)

        def step(args: Args, kwargs: Kwargs) -> Any:
            key = key_of(args, kwargs)
            entry = look_up(key, NO_ENTRY)
            if now() < entry.quick_until:
                entry.visited = True
                hit()
                return entry.value
            return answer(key, args, kwargs)

        return step

    async def _answer(self, proceed: Proceed, key: Hashable, args: Args, kwargs: Kwargs) -> Any:
        if (entry := self._fresh(key)) is not None:
            self._hit()
            return self._given(entry)
        if self._site.target.shape.streams or self._state.returns_streams:
            return await self._compute_alone(proceed, key, args, kwargs)
        waiting, flights = self._site.waiting, self._state.flights
        while True:
            may_wait = not waiting.holds_a_loop()
            boarding = flights.board(key, waiting.parker, may_wait=may_wait)
            if boarding is None:
                return await self._compute_alone(proceed, key, args, kwargs)
            flight = boarding.flight
            try:
                if boarding.leads:
                    await waiting.detached(partial(self._fly, flight, proceed, args, kwargs))
                await boarding.parker.park()
            finally:
                flights.leave(boarding)
            if flight.landed and (boarding.leads or not _has_one_reader(flight.value)):
                return self._landed(boarding)
            # Cancelled under way, or a stream that only its leader can read: begin anew.
            if flight.landed:
                return await self._compute_alone(proceed, key, args, kwargs)

    async def _fly(self, flight: Flight, proceed: Proceed, args: Args, kwargs: Kwargs) -> None:
        """Compute for everybody on board; lets through nothing but interruptions."""
        self._missed()
        try:
            with computing_for(flight):
                flight.value = await proceed(args, kwargs)
            flight.landed = True
            self._keep(flight)
        except Exception as error:  # noqa: BLE001 - every waiter raises it
            flight.error = error
            flight.landed = True
        finally:
            self._state.flights.end(flight)
        if flight.leaderless and type(flight.value) is AsyncLiveStream:
            await flight.value.aclose()

    def _landed(self, boarding: Boarding) -> Any:
        flight = boarding.flight
        if boarding.leads:
            if flight.error is not None:
                raise flight.error
            return flight.value
        self._joined()
        if flight.error is not None:
            raise _own_copy(flight.error)
        return self._state.handed_out(flight.value)

    async def _compute_alone(
        self, proceed: Proceed, key: Hashable, args: Args, kwargs: Kwargs
    ) -> Any:
        self._missed()
        flight = self._state.flights.alone(key)
        try:
            flight.value = await proceed(args, kwargs)
            self._keep(flight)
        finally:
            self._state.flights.end(flight)
        return flight.value

    def _fresh(self, key: Hashable) -> Entry | None:
        entry = self._state.store.entries.get(key)
        if entry is None:
            return None
        if self._now() < entry.fresh_until:
            entry.visited = True
            return entry
        if self._state.store.remove(key, entry):
            self._expired()
        return None

    def _given(self, entry: Entry) -> Any:
        if isinstance(entry.value, Recording):
            return replayed(entry.value, self._state.handed_out, self._now)
        return self._state.handed_out(entry.value)

    def _keep(self, flight: Flight) -> None:
        """Store what a flight brought, as far as it can be stored."""
        value = flight.value
        if type(value) in LIVE:
            self._keep_when_read(flight, value)
        elif _has_one_reader(value):
            self._refuse("it can be read only once")
        else:
            self._store(flight, value)

    def _store(self, flight: Flight, value: Any) -> None:
        try:
            entry = self._state.entry(flight.key, value, self._now())
        except Exception as error:  # noqa: BLE001 - copying runs the value's own code
            fault("cache.refused", error, operation=self._site.target.operation)
            self._refuse("it can't be copied")
            return
        self._put(entry, flight)

    def _put(self, entry: Entry, *flights: Flight) -> None:
        store = self._state.store
        store.put(entry)
        # An invalidation marks the flight before it removes the entry: whichever came first, the
        # old result doesn't stay.
        if all(flight.valid for flight in flights):
            self._stored()
        else:
            store.remove(entry.key, entry)
            self._refuse("it was invalidated while it was computed")

    def _keep_when_read(self, flight: Flight, stream: AnyLiveStream) -> None:
        self._state.returns_streams = True
        reading = self._state.flights.alone(flight.key)
        recorder = Recorder(self._state.handed_out)

        def end(ended: AnyLiveStream, ending: Ending, _: BaseException | None) -> None:
            self._state.flights.end(reading)
            if ending is not Ending.COMPLETED or not ended.replayable:
                self._refuse("the stream was not read to its end")
            elif (recording := recorder.recording(ended)) is None:
                self._refuse("it can't be copied")
            else:
                entry = self._state.recorded_entry(flight.key, recording, self._now())
                self._put(entry, flight, reading)

        stream.watch(item=recorder.item, end=end)

    def _refuse(self, reason: str) -> None:
        self._state.refused.tick()
        if self._tell_refused is not None:
            self._tell_refused(CacheRefused(operation=self._site.target.operation, reason=reason))


def _has_one_reader(value: Any) -> bool:
    kind = type(value)
    return (
        kind in LIVE
        or hasattr(kind, "__next__")
        or hasattr(kind, "__anext__")
        or inspect.isawaitable(value)
    )


def _own_copy(error: Exception) -> Exception:
    """Give a waiter an error of its own: a traceback that is raised twice grows at both ends."""
    try:
        twin = copy.copy(error)
    except Exception:  # noqa: BLE001 - an error class that can't be rebuilt from its arguments
        return error
    if type(twin) is not type(error):
        return error
    twin.__cause__, twin.__context__ = error.__cause__, error.__context__
    twin.__suppress_context__ = error.__suppress_context__
    return twin.with_traceback(error.__traceback__)
