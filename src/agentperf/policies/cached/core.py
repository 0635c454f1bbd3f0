"""Answers a call from the cache, or computes the answer once for all who ask meanwhile."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Hashable, Iterator
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
    CacheInvalidated,
    CacheMiss,
    CacheRefused,
    CacheStored,
)
from agentperf.policies.cached.flights import Boarding, Flight, computing_for
from agentperf.policies.cached.state import CacheState, KeyOf, Recording, Tally
from agentperf.policies.cached.streams import Recorder
from agentperf.policies.cached.twins import twin

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Compute = Callable[[], Awaitable[Any]]


class CacheLayer(ABC):
    """One cache, in front of one function, on one host.

    Where the entries are, and in what form, is the business of its two subclasses. What an entry
    holds is *kept* to this class: it only goes from those who look to those who get it.
    """

    def __init__(self, site: Site, state: CacheState, key: KeyOf) -> None:
        self._site = site
        self._state = state
        self._flights = state.flights
        self._key = key
        self._now = site.host.clock.now
        self._hits = self._counting(state.hits, CacheHit)
        self._misses = self._counting(state.misses, CacheMiss)
        self._joins = self._counting(state.shared, CacheMiss, shared=True)
        self._puts = self._counting(state.stored, CacheStored)
        self._expiries = self._counting(state.expired, CacheExpired)
        self._evictions = self._counting(state.evictions, CacheEviction)
        self._voids = self._counting(state.invalidated, CacheInvalidated)
        self._tell_refused = site.host.bus.emitter(CacheRefused)

    def _counting(self, tally: Tally, kind: type[Any], **facts: Any) -> Iterator[object]:
        """Return what counts a fact with each `next`, and tells it where somebody listens."""
        emit = self._site.host.bus.emitter(kind)
        if emit is None:
            return tally.ticks
        event = kind(operation=self._site.operation, **facts)
        # Threads may share a map, but not a generator.
        return map(lambda _: emit(event), tally.ticks)  # noqa: C417

    @abstractmethod
    def bound(self, inner: Step) -> Step:
        """Put the cache in front of `inner`."""

    @abstractmethod
    def _given(self, kept: Any) -> Any:
        """Return what one caller gets of what is kept."""

    @abstractmethod
    async def _come_in(self, flight: Flight, looked: int) -> Any:
        """Return what came in since a call looked (after that many flights); None for nothing."""

    @abstractmethod
    async def _keep(self, flight: Flight, value: Any) -> Any:
        """Store an answer as far as it can be; return what others than the leader get of it."""

    @abstractmethod
    def _keep_recording(self, reading: Flight, recorded: Recording) -> Awaitable[None] | None:
        """Store a stream that was read to its end; what is returned is awaited by its reader."""

    async def _answer(
        self,
        proceed: Proceed,
        key: Hashable,
        args: Args,
        kwargs: Kwargs,
        *,
        looked: int = 0,
        stamp: Any = (),
    ) -> Any:
        """Give what isn't in the cache: join who computes it, or compute it."""
        compute = partial(proceed, args, kwargs)
        while (boarding := self._board(key, stamp)) is not None:
            flight = boarding.flight
            try:
                if boarding.leads:
                    await self._take_off(flight, compute, looked)
                await boarding.parker.park()
                if flight.serves(leader=boarding.leads):
                    return self._outcome(boarding)
            finally:
                self._flights.leave(boarding)
            if flight.landed:
                break  # with a value that only its leader can have
            # It was cancelled under way, which is nobody else's business: begin anew.
        return await self._compute_alone(key, compute, stamp)

    def _board(self, key: Hashable, stamp: Any) -> Boarding | None:
        if self._site.target.shape.streams:
            return None
        waiting = self._site.waiting
        may_wait = not waiting.holds_a_loop()
        return self._flights.board(key, waiting.parker(), may_wait=may_wait, stamp=stamp)

    async def _take_off(self, flight: Flight, compute: Compute, looked: int) -> None:
        fly, end = partial(self._fly, flight, compute, looked), partial(self._flights.end, flight)
        await self._site.waiting.detached(fly, end)

    async def _fly(self, flight: Flight, compute: Compute, looked: int) -> None:
        """Compute for everybody on board; raises nothing."""
        try:
            kept = await self._come_in(flight, looked)
            if kept is not None:
                next(self._hits)
                flight.land(self._given(kept), kept)
            else:
                next(self._misses)
                with computing_for(flight):
                    value = await compute()
                flight.land(value, await self._kept(flight, value))
        except BaseException as error:  # noqa: BLE001 - the leader raises it
            flight.crash(error)
        finally:
            self._flights.end(flight)
        if flight.leaderless and type(flight.value) is AsyncLiveStream:
            await flight.value.aclose()

    def _outcome(self, boarding: Boarding) -> Any:
        flight = boarding.flight
        if boarding.leads:
            if flight.error is not None:
                raise flight.error
            return flight.value
        next(self._joins)
        if flight.error is not None:
            raise twin(flight.error).with_traceback(flight.traceback)
        return self._given(flight.kept)

    async def _compute_alone(self, key: Hashable, compute: Compute, stamp: Any) -> Any:
        next(self._misses)
        flight = self._flights.alone(key, stamp)
        try:
            value = await compute()
            await self._kept(flight, value)
        finally:
            self._flights.end(flight)
        return value

    async def _kept(self, flight: Flight, value: Any) -> Any:
        if type(value) in LIVE:
            self._keep_when_read(flight, value)
            return None
        if _has_one_reader(value):
            self._refuse("it can be read only once")
            return None
        return await self._keep(flight, value)

    def _keep_when_read(self, flight: Flight, stream: AnyLiveStream) -> None:
        # Not `flight` itself: it holds the stream, which could then never be seen to be abandoned.
        reading = self._flights.alone(flight.key, flight.stamp)
        if not flight.valid:
            reading.valid = False
        recorder = Recorder(self._state.handed_out)

        def end(
            ended: AnyLiveStream, ending: Ending, _: BaseException | None
        ) -> Awaitable[None] | None:
            storing = None
            try:
                if ending is not Ending.COMPLETED:
                    self._refuse("the stream was not read to its end")
                elif not ended.replayable:
                    self._refuse("the stream's reader sent something into it")
                elif (recorded := self._recorded(recorder, ended)) is not None:
                    storing = self._keep_recording(reading, recorded)
            finally:
                if storing is None:
                    self._flights.end(reading)
            return storing

        stream.watch(item=recorder.item, end=end)

    def _recorded(self, recorder: Recorder, ended: AnyLiveStream) -> Recording | None:
        try:
            return recorder.recording(ended)
        except Exception as error:  # noqa: BLE001 - copying runs the items' own code
            self._refuse_uncopyable(error)
            return None

    def _refuse_uncopyable(self, error: Exception, reason: str = "it can't be copied") -> None:
        if not self._state.told_uncopyable:  # once: every other answer will be like this one
            self._state.told_uncopyable = True
            fault("cache.uncopyable", error, operation=self._site.operation)
        self._refuse(reason)

    def _refuse(self, reason: str) -> None:
        next(self._state.refused.ticks)
        if self._tell_refused is not None:
            self._tell_refused(CacheRefused(operation=self._site.operation, reason=reason))


def _has_one_reader(value: Any) -> bool:
    kind = type(value)
    return hasattr(kind, "__next__") or hasattr(kind, "__anext__") or inspect.isawaitable(value)
