"""Answers a call from the cache, or computes the answer once for all who ask meanwhile."""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Hashable, Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from agentperf._base.endings import Ending
from agentperf._base.log import fault, warn
from agentperf._engine.bindings import Step
from agentperf._engine.layers import Proceed
from agentperf._engine.site import Site
from agentperf._engine.streams import LIVE, AnyLiveStream, AsyncLiveStream
from agentperf._engine.waiting import in_one_go
from agentperf.abc.waiting import Parker
from agentperf.errors import CacheMissError, StoreUnavailable
from agentperf.events import (
    CacheEviction,
    CacheExpired,
    CacheHit,
    CacheInvalidated,
    CacheMiss,
    CacheRefused,
    CacheStored,
)
from agentperf.policies.cached.flights.flight import (
    ELSEWHERE,
    Boarding,
    Flight,
    computing_alone,
    computing_for,
)
from agentperf.policies.cached.flights.recording import drained
from agentperf.policies.cached.freshness import Standing
from agentperf.policies.cached.state import CacheState, KeyOf, Recording, Tally
from agentperf.policies.cached.tags.naming import TagsOf

if TYPE_CHECKING:
    from agentperf.policies.cached.flights.broadcast import Broadcast
    from agentperf.policies.cached.waits import Bounds

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Compute = Callable[[], Awaitable[Any]]
Give = Callable[[], Any]


class Look(NamedTuple):
    """What a look into the cache found.

    Attributes:
        give: Gives the answer that is stored.
        standing: What that is good for.
        known: What was seen of the versions of tags on the way, for `CacheLayer._stamp`.
    """

    give: Give
    standing: Standing
    known: Any = None


REFRESHERS = 4
"""How many calls that block may be renewed at once on one host, beside the calls that it serves."""

PLAIN = frozenset({type(None), bool, int, float, str, bytes, tuple, list})
"""What is no reply of a model."""


class CacheLayer(ABC):
    """One cache, in front of one function, on one host.

    Where the entries are, and in what form, is the business of its two subclasses. What an entry
    holds is *kept* to this class: it only goes from those who look to those who get it.
    """

    def __init__(self, site: Site, state: CacheState, key: KeyOf, tags_of: TagsOf) -> None:
        self._site = site
        self._tags_of = tags_of
        self._state = state
        self._flights = state.flights
        self._key = key
        self._now = site.host.clock.now
        self._hits = self._counting(state.hits, CacheHit)
        self._failures = self._counting(state.hits, CacheHit, failure=True)
        self._stales = self._counting(state.stale, CacheHit, stale=True)
        self._misses = self._counting(state.misses, CacheMiss)
        self._joins = self._counting(state.shared, CacheMiss, shared=True)
        self._puts = self._counting(state.stored, CacheStored)
        self._expiries = self._counting(state.expired, CacheExpired)
        self._evictions = self._counting(state.evictions, CacheEviction)
        self._voids = self._counting(state.invalidated, CacheInvalidated)
        self._tell_refused = site.host.bus.emitter(CacheRefused)
        self._judges_plain = state.options.store_if is not None

    @functools.cached_property
    def _bounds(self) -> Bounds | None:
        """How long callers wait, where that was said."""
        options = self._state.options
        if options.soft_timeout is None is options.hard_timeout:
            return None
        from agentperf.policies.cached.waits import Bounds

        return Bounds(self._site, options, self._state.name)

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

    def by_mode(self, step: Step, inner: Step) -> Step:
        """Let the cache mode decide whether a call goes through `step`."""
        from agentperf.policies.cached.mode import mode  # loaded by whoever names one

        key_of, flow = self._key, self._site.driver.flow
        others: dict[str, Callable[..., Any]] = {
            "refresh": flow(self._refreshed, inner),
            "only_if_cached": flow(self._if_cached, inner),
        }

        def by_mode(args: Args, kwargs: Kwargs) -> Any:
            how = mode.get()
            if how is None:
                return step(args, kwargs)
            if how == "bypass":
                return inner(args, kwargs)
            return others[how](key_of(args, kwargs), args, kwargs)

        return by_mode

    async def _refreshed(self, proceed: Proceed, key: Hashable, args: Args, kwargs: Kwargs) -> Any:
        # What is under way may have begun before whatever makes the caller want a new answer.
        self._state.invalidate(key)
        stamp = await self._stamp(self._tags_of(args, kwargs))
        return await self._compute_alone(key, partial(proceed, args, kwargs), stamp)

    @abstractmethod
    async def _stamp(self, tags: tuple[str, ...], known: Any = None) -> Any:
        """Return the versions that tags have now, or had when a look saw those that are known.

        None where they can't be known, so that the answer can't be kept.
        """

    async def _if_cached(self, _: Proceed, key: Hashable, __: Args, ___: Kwargs) -> Any:
        give, standing, _ = await self._found(key)
        if standing not in (Standing.FRESH, Standing.DUE, Standing.STALE):
            raise CacheMissError(f"{self._site.operation}: there is no answer in its cache")
        next(self._stales if standing is Standing.STALE else self._hits)
        return give()

    @abstractmethod
    def _given(self, kept: Any) -> Any:
        """Return what one caller gets of what is kept."""

    @abstractmethod
    async def _found(self, key: Hashable, tags: tuple[str, ...] = ()) -> Look:
        """Look for the answer that is stored, and for the versions of these tags on the way.

        An answer whose tags were invalidated is good for nothing, however fresh it would be.

        Raises:
            StoreUnavailable: The backend fails, and that is not to be passed over.
        """

    @abstractmethod
    async def _come_in(self, flight: Flight, looked: int) -> Any:
        """Return what came in since a call looked (after that many flights); None for nothing.

        `ELSEWHERE`, if there is nothing to be done for a flight that nobody waits for.
        """

    async def _let_go(self, flight: Flight) -> None:  # noqa: B027 - most hold nothing
        """Let other processes go on that wait for a flight, which has come to its end."""

    @abstractmethod
    async def _keep(self, flight: Flight, value: Any, refusal: str | None) -> Any:
        """Store an answer, unless there is a reason not to, as far as it can be stored.

        Returns what others than the leader get of it.
        """

    @abstractmethod
    def _keep_recording(self, reading: Flight, recorded: Recording) -> Awaitable[None] | None:
        """Store a stream that was read to its end; what is returned is awaited by its reader."""

    async def _seek(self, proceed: Proceed, key: Hashable, args: Args, kwargs: Kwargs) -> Any:
        """Give what is stored as far as it is good, or make the answer."""
        looked = self._flights.ended
        tags = self._tags_of(args, kwargs)
        give, standing, known = await self._found(key, tags)
        if standing is Standing.FRESH:
            next(self._hits)
            return give()
        if standing is Standing.GONE or not self._rests(key):
            compute, stamp = partial(proceed, args, kwargs), await self._stamp(tags, known)
            if standing is Standing.GONE:
                return await self._answer(key, compute, looked, stamp)
            if standing is Standing.FALLBACK:
                return await self._answer_or_old(key, compute, looked, stamp)
            await self._renew(key, compute, looked, stamp)
        next(self._hits if standing is Standing.DUE else self._stales)
        return give()

    def _rests(self, key: Hashable) -> bool:
        setback = self._state.setback(key)
        return setback is not None and self._now() < setback.rests_until

    async def _answer_or_old(self, key: Hashable, compute: Compute, looked: int, stamp: Any) -> Any:
        """Make the answer anew; where that fails, give the old one, if it is still there."""
        answer = partial(self._answer, key, compute, looked, stamp)
        try:
            return await answer(has_old=True)
        except Exception as error:
            give = await self._old(key)
            takes_long = self._bounds is not None and self._bounds.takes_long(error)
            if give is None and takes_long:
                return await answer()
            if give is None:
                raise
            if not takes_long:
                kind = type(error).__name__
                warn("cache.stale_on_error", operation=self._site.operation, error=kind)
        next(self._stales)
        return give()

    async def _old(self, key: Hashable) -> Give | None:
        """Return what gives the answer that is still there, however old; None if there is none."""
        try:
            give, standing, _ = await self._found(key)
        except StoreUnavailable:  # the call has an error of its own, which says more
            return None
        return None if standing is Standing.GONE else give

    async def _renew(self, key: Hashable, compute: Compute, looked: int, stamp: Any) -> None:
        """Have an answer made anew that nobody waits for, unless somebody is at it."""
        if stamp is None:
            return  # it would be for nobody
        is_async = self._site.driver.is_async
        home = self._site.waiting.parker() if is_async else None
        flight = self._flights.renewing(key, home, stamp)
        if flight is None:
            return
        fly, end = partial(self._fly, flight, compute, looked), partial(self._flights.end, flight)
        if is_async:
            await self._site.waiting.detached(fly, end)
            return
        from agentperf._engine.lanes import Crew  # where nothing lingers, not needed

        crew = self._site.host.state(
            Crew, partial(Crew, REFRESHERS, "agentperf-refresh"), owners=(), name="refreshes"
        )
        if not crew.begin(lambda: in_one_go(fly())):
            end()

    def _raise_remembered(self, key: Hashable, stamp: Any) -> None:
        setback = self._state.setback(key)
        if setback is None or stamp is None or setback.stamp != stamp:
            return  # none, or a tag of the call was invalidated since
        if self._now() < setback.raised_until:
            next(self._failures)
            raise _twin(setback.error, None)

    async def _answer(
        self, key: Hashable, compute: Compute, looked: int, stamp: Any, *, has_old: bool = False
    ) -> Any:
        """Give what isn't in the cache: join who computes it, or compute it."""
        self._raise_remembered(key, stamp)
        wait = _wait if self._bounds is None else self._bounds.wait(has_old=has_old)
        while (boarding := self._board(key, stamp)) is not None:
            flight = boarding.flight
            try:
                if boarding.leads:
                    await self._take_off(flight, compute, looked)
                await wait(boarding.parker)
                if flight.live is not None:
                    alone = partial(self._compute_alone, key, compute, stamp)
                    if (stream := flight.live.join(boarding, alone)) is not None:
                        if not boarding.leads:
                            next(self._joins)
                        return stream
                elif flight.serves(leader=boarding.leads):
                    return self._outcome(boarding)
            finally:
                self._flights.leave(boarding)
                if flight.live is not None:
                    flight.live.left(boarding)
            if flight.landed:
                break  # with a value that only its leader can have
            # It was cancelled under way, which is nobody else's business: begin anew.
        return await self._compute_alone(key, compute, stamp)

    def _board(self, key: Hashable, stamp: Any) -> Boarding | None:
        waiting = self._site.waiting
        may_wait = not waiting.holds_a_loop()
        return self._flights.board(key, waiting.parker(), may_wait=may_wait, stamp=stamp)

    async def _take_off(self, flight: Flight, compute: Compute, looked: int) -> None:
        fly, end = partial(self._fly, flight, compute, looked), partial(self._settle, flight)
        detached = (self._bounds or self._site.waiting).detached
        cancel = flight.interrupt = await detached(fly, end)
        if self._state.options.on_abandon == "cancel":
            flight.cancel = cancel

    def _settle(self, flight: Flight) -> None:
        if flight.live is None:  # a stream under way ends by itself
            self._flights.end(flight)

    async def _fly(self, flight: Flight, compute: Compute, looked: int) -> None:
        """Compute for everybody on board; raises nothing."""
        try:
            kept = await self._come_in(flight, looked)
            if kept is ELSEWHERE:
                return
            if kept is not None:
                if not flight.renews:
                    next(self._hits)
                flight.land(self._given(kept), kept)
            else:
                if not flight.renews:
                    next(self._misses)
                self._flights.begin(flight, self._now())
                with computing_for(flight):
                    value = await compute()
                if type(value) in LIVE and not flight.renews:
                    await self._go_live(flight, value)
                else:
                    flight.land(value, await self._kept(flight, value))
                    if type(value) in LIVE:
                        await drained(value)
        except BaseException as error:  # noqa: BLE001 - the leader raises it
            flight.crash(error)
            self._failed(flight, error)
        finally:
            await self._over(flight)
        if flight.live is not None:
            await flight.live.fly()
        elif flight.leaderless and type(flight.value) is AsyncLiveStream:
            await flight.value.aclose()

    async def _over(self, flight: Flight) -> None:
        try:
            if flight.lease is not None:
                await self._let_go(flight)
                flight.lease = None  # a stream goes on without
        finally:
            self._settle(flight)

    async def _go_live(self, flight: Flight, stream: AnyLiveStream) -> None:
        """Let others read along, from the first item on, while a stream is under way."""
        from agentperf.policies.cached.flights.broadcast import Broadcast  # for streams alone
        from agentperf.policies.cached.flights.live import live

        end = partial(self._flights.end, flight)
        own, lock = self._state.handed_out, self._flights.lock
        shared = Broadcast(own, lock=lock, on_unfit=end)
        self._keep_at_end(flight, stream, shared)
        clock, flies = self._site.host.clock, self._site.driver.is_async
        flight.live = live(flight, self._flights, stream, shared, clock, flies=flies)
        flight.landed = True
        await flight.live.begin()
        self._flights.open(flight)

    def _failed(self, flight: Flight, error: BaseException) -> None:
        """Remember a failure as far as that is asked for; tell of one that nobody will see."""
        if not isinstance(error, Exception):
            return
        self._state.set_back(flight, error, self._now())
        if flight.leaderless and not flight.aboard and flight.cancel is None:
            fault("cache.unseen_failure", error, operation=self._site.operation)

    def _outcome(self, boarding: Boarding) -> Any:
        flight = boarding.flight
        if boarding.leads:
            if flight.error is not None:
                raise flight.error
            return flight.value
        next(self._joins)
        if flight.error is not None:
            raise _twin(flight.error, flight.traceback)
        return self._given(flight.kept)

    async def _compute_alone(self, key: Hashable, compute: Compute, stamp: Any) -> Any:
        next(self._misses)
        flight = self._flights.alone(key, stamp)
        self._flights.begin(flight, self._now())
        try:
            with computing_alone(flight):
                value = await (compute() if self._bounds is None else self._bounds.alone(compute))
            await self._kept(flight, value)
        except Exception as error:
            self._failed(flight, error)
            raise
        finally:
            self._flights.end(flight)
        return value

    async def _kept(self, flight: Flight, value: Any) -> Any:
        if type(value) in LIVE:
            self._keep_when_read(flight, value)
            return None
        self._state.loaded(self._now() - flight.began)
        if _has_one_reader(value):
            self._refuse("it can be read only once")
            return None
        return await self._keep(flight, value, self._refusal(flight, value))

    def _refusal(self, flight: Flight, value: Any) -> str | None:
        if not flight.control.store:
            return "the computation said no"
        if type(value) in PLAIN and not self._judges_plain:
            return None
        return self._verdict(value)

    @functools.cached_property
    def _verdict(self) -> Callable[[Any], str | None]:
        from agentperf.policies.cached.verdicts import verdict_by  # for what may be a reply

        return verdict_by(self._state.options.store_if, self._site.operation)

    def _keep_when_read(self, flight: Flight, stream: AnyLiveStream) -> None:
        """Store a stream that one alone reads."""
        from agentperf.policies.cached.flights.broadcast import Broadcast  # for streams alone

        # Not `flight` itself: it holds the stream, which could then never be seen to be abandoned.
        reading = self._flights.alone(flight.key, flight.stamp)
        reading.began, reading.since = flight.began, flight.since
        reading.control = flight.control
        reading.books = flight.books
        if not flight.valid:
            reading.valid = False
        recorder = Broadcast(self._state.handed_out)
        stream.watch(item=lambda item, _: recorder.add(item))
        self._keep_at_end(reading, stream, recorder)

    def _keep_at_end(self, reading: Flight, stream: AnyLiveStream, recorder: Broadcast) -> None:
        def end(
            ended: AnyLiveStream, ending: Ending, _: BaseException | None
        ) -> Awaitable[None] | None:
            storing = None
            try:
                if ending is not Ending.COMPLETED:
                    self._refuse("the stream was not read to its end")
                elif (recorded := self._recorded(recorder, ended)) is not None:
                    if (reason := self._refusal(reading, recorded)) is not None:
                        self._refuse(reason)
                    else:
                        storing = self._keep_recording(reading, recorded)
            finally:
                if storing is None:
                    self._flights.end(reading)
            return storing

        stream.watch(end=end)

    def _recorded(self, recorder: Broadcast, ended: AnyLiveStream) -> Recording | None:
        try:
            if ended.replayable and recorder.unfit is None:
                return recorder.recording(ended)
        except Exception as error:  # noqa: BLE001 - copying runs the items' own code
            self._refuse_uncopyable(error)
            return None
        if recorder.uncopyable is not None:
            self._refuse_uncopyable(recorder.uncopyable)
        else:
            self._refuse(recorder.unfit or "the stream's reader sent something into it")
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


async def _wait(parker: Parker) -> None:
    await parker.park()


def _twin(error: BaseException, traceback: TracebackType | None) -> BaseException:
    from agentperf.policies.cached.flights.twins import twin  # where somebody shares a failure

    return twin(error).with_traceback(traceback)


def _has_one_reader(value: Any) -> bool:
    kind = type(value)
    return hasattr(kind, "__next__") or hasattr(kind, "__anext__") or inspect.isawaitable(value)
