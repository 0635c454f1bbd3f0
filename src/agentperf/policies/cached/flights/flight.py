"""Single-flight: one computation per key at a time, shared by all who ask meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable, Hashable, Iterable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Protocol
from weakref import WeakSet

from agentperf._engine.frames import WatchedFrame, current_frame
from agentperf.abc.waiting import Parker
from agentperf.policies.cached.tags.markers import Marker, TagTable
from agentperf.usage import Usage

computing: ContextVar[Flight | None] = ContextVar("agentperf.flight", default=None)
"""The flight on whose behalf this context runs."""

ELSEWHERE: Any = object()
"""Comes in where another process computes what nobody here waits for."""


def works_for_others() -> bool:
    """Whether this context runs on behalf of a flight, which others may wait for."""
    return computing.get() is not None


class CacheControl:
    """How one answer is to be kept; see `control.cache_control`.

    Attributes:
        ttl: How many seconds it is good; None: as long as the cache says.
        store: Whether it may be kept at all.
        tags: Under which names it is invalidated, besides those of the call.
    """

    __slots__ = ("store", "tags", "ttl")

    def __init__(self) -> None:
        self.ttl: float | None = None
        self.store = True
        self.tags: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"CacheControl(ttl={self.ttl!r}, store={self.store!r}, tags={len(self.tags)})"


controlled: ContextVar[CacheControl | None] = ContextVar("agentperf.cache_control", default=None)
"""What the innermost computation that is being cached says of its answer."""


class FlightBooks:
    """What is spent while a flight is under way, by whatever it calls."""

    __slots__ = ("_usages",)

    def __init__(self) -> None:
        self._usages: list[Usage] = []

    def used(self, usage: Usage, *, own: bool) -> None:
        """Add tokens and cost."""
        self._usages.append(usage)

    @property
    def total(self) -> Usage | None:
        """All of it; None where nothing was said of it."""
        return sum(self._usages, Usage()) if self._usages else None


class Underway(Protocol):
    """A stream that a flight landed with."""

    def admits(self) -> bool:
        """Whether who asks now can read along without holding up an event loop."""
        ...

    async def begin(self) -> None:
        """Take the first item where it is here already."""

    async def fly(self) -> None:
        """Move the stream, where that is not its readers' business; raises nothing."""

    def join(self, boarding: Boarding, alone: Callable[[], Awaitable[Any]]) -> Any:
        """Give one more reader a stream, from the start; None where that is not held any more."""

    def left(self, boarding: Boarding) -> None:
        """Close the stream where who came to read it has gone without."""


class Flight:
    """One computation and those who wait for it.

    Attributes:
        key: What is computed.
        home: Where the one who began it waits.
        valid: False once the key was invalidated: the result still serves those who wait, but is
            not stored.
        stamp: The versions that the tags of the result had when it began; None where they
            couldn't be known, so that the result can't be kept.
        landed: Whether it came to a result.
        value: The result, for the leader.
        kept: What everybody else gets the result from, where they can have it.
        error: What it raised instead.
        traceback: The traceback of the error before anybody raised it again.
        leaderless: Whether the call that began it has gone away.
        renews: Whether it makes an answer anew that can still be given.
        began: When its computation began.
        since: The moment of the table of tags then.
        control: What the computation says of the keeping of its answer.
        books: What the computation spends.
        aboard: How many wait for it.
        lease: What keeps other processes from computing the same, where there is such a thing.
        cancel: Cancels the computation, where that is to be done once nobody waits any more.
        over: Whether it has come to its end.
        live: The stream it landed with, and those who read it. Such a flight is over when the
            stream is.
        interrupt: Cancels the task it runs in, if what it is given says so in that task's thread.
    """

    __slots__ = (
        "aboard",
        "began",
        "books",
        "cancel",
        "control",
        "error",
        "home",
        "interrupt",
        "kept",
        "key",
        "landed",
        "leaderless",
        "lease",
        "live",
        "over",
        "parkers",
        "renews",
        "since",
        "stamp",
        "traceback",
        "valid",
        "value",
        "waits_on",
    )

    def __init__(self, key: Hashable, home: Parker | None = None, stamp: Any = ()) -> None:
        self.key = key
        self.stamp = stamp
        self.home = home
        self.valid = True
        self.landed = False
        self.value: Any = None
        self.kept: Any = None
        self.error: BaseException | None = None
        self.traceback: TracebackType | None = None
        self.leaderless = False
        self.renews = False
        self.began = 0.0
        self.since = 0
        self.control = CacheControl()
        self.books = FlightBooks()
        self.aboard = 0
        self.lease: Any = None
        self.cancel: Callable[[], None] | None = None
        self.over = False
        self.live: Underway | None = None
        self.interrupt: Callable[..., None] | None = None
        self.parkers: list[Parker] = []
        self.waits_on: set[Flight] = set()

    def land(self, value: Any, kept: Any) -> None:
        """Come to a result."""
        self.value, self.kept, self.landed = value, kept, True

    def crash(self, error: BaseException) -> None:
        """Come to an error, or be interrupted."""
        self.error, self.traceback = error, error.__traceback__

    def serves(self, *, leader: bool) -> bool:
        """Whether there is something to return or raise; an interruption is the leader's alone."""
        if leader:
            return self.landed or self.error is not None
        return self.kept is not None or isinstance(self.error, Exception)

    def depends_on(self, other: Flight | None) -> bool:
        """Whether this flight can't land before `other` does."""
        seen: set[Flight] = set()
        ahead: list[Flight] = [self]
        while ahead:
            flight = ahead.pop()
            if flight is other:
                return True
            if flight not in seen:
                seen.add(flight)
                ahead.extend(flight.waits_on)
        return False


class Airspace:
    """What the flights of all caches of a host share: a cycle of waits may run through several.

    Args:
        table: The versions of tags.
    """

    def __init__(self, table: TagTable) -> None:
        self.table = table
        # Reentrant: at any time the collector may find an abandoned stream, whose flight then ends.
        self.lock = threading.RLock()
        self._caches: WeakSet[Any] = WeakSet()

    def belongs(self, cache: object) -> None:
        """Take note of a cache, for as long as it lives."""
        with self.lock:
            self._caches.add(cache)

    def caches(self) -> list[Any]:
        """Return all caches that are alive."""
        with self.lock:
            return list(self._caches)


class Flights:
    """The computations under way in one cache."""

    def __init__(self, airspace: Airspace) -> None:
        self.lock = airspace.lock
        self.table = airspace.table
        self._shared: dict[Hashable, Flight] = {}
        self._alone: set[Flight] = set()
        self.ended = 0
        """How many have come to their end, one way or another."""

    def board(
        self, key: Hashable, parker: Parker, *, may_wait: bool, stamp: Any = ()
    ) -> Boarding | None:
        """Join the flight of `key`, or begin one; None when this call has to fly alone.

        That is so for a call that the flight itself waits for, directly or through others (to join
        would be to wait for oneself), and for one that may not wait for anybody. A flight that
        began under other versions of its tags is joined by nobody any more.
        """
        mine = computing.get()
        with self.lock:
            flight = self._joinable(key, stamp)
            leads = flight is None
            if flight is None:
                flight = self._shared[key] = Flight(key, home=parker, stamp=stamp)
            elif not (may_wait if flight.live is None else flight.live.admits()) or (
                mine is not None and flight.depends_on(mine)
            ):
                return None
            return self._boarded(flight, parker, leads=leads)

    def _boarded(self, flight: Flight, parker: Parker, *, leads: bool) -> Boarding:
        mine = computing.get()
        if flight.live is None:
            flight.parkers.append(parker)
        else:
            parker.unpark()
        flight.aboard += 1
        if mine is not None:
            mine.waits_on.add(flight)
        return Boarding(flight, parker, mine, leads=leads)

    def open(self, flight: Flight) -> None:
        """Wake all who wait for a stream that is there now; its key stays taken."""
        with self.lock:
            parkers, flight.parkers = flight.parkers, []
        for parker in parkers:
            parker.unpark()

    def depends(self, flight: Flight, other: Flight) -> bool:
        """Whether a flight can't land before another does."""
        with self.lock:
            return flight.depends_on(other)

    def renewing(self, key: Hashable, home: Parker | None, stamp: Any = ()) -> Flight | None:
        """Begin a flight of `key` that nobody waits for yet; None while there is one."""
        with self.lock:
            if self._joinable(key, stamp) is not None:
                return None
            flight = self._shared[key] = Flight(key, home, stamp)
            flight.renews = flight.leaderless = True
            return flight

    def _joinable(self, key: Hashable, stamp: Any) -> Flight | None:
        flight = self._shared.get(key)
        if flight is None:
            return None
        if flight.home is not None and flight.home.deserted:
            self.end(flight)  # its event loop was closed under it
            return None
        stands = not flight.control.tags or self.table.stood(flight.since, flight.control.tags)
        if flight.stamp != stamp or not stands:
            flight.valid = False
            return None
        return flight

    def begin(self, flight: Flight, now: float) -> None:
        """Take note that the computation of a flight begins now."""
        flight.began, flight.since = now, self.table.moment

    def named(self, flight: Flight) -> tuple[Marker, ...] | None:
        """Return the versions, in memory, of the tags that a flight named.

        None where one of them was invalidated since its computation began.
        """
        tags = flight.control.tags
        return self.table.markers_since(flight.since, tags) if tags else ()

    def alone(self, key: Hashable, stamp: Any = ()) -> Flight:
        """Begin a flight that nobody can join."""
        flight = Flight(key, stamp=stamp)
        with self.lock:
            self._alone.add(flight)
        return flight

    def leave(self, boarding: Boarding) -> None:
        """Stop waiting."""
        flight = boarding.flight
        with self.lock:
            if boarding.parker in flight.parkers:
                flight.parkers.remove(boarding.parker)
            if boarding.waiter is not None and not boarding.stays:
                boarding.waiter.waits_on.discard(flight)
            if boarding.leads:
                flight.leaderless = True
            flight.aboard -= 1
            is_busy = flight.aboard or flight.over or flight.live is not None
            cancel = None if is_busy else flight.cancel
            if cancel is not None:
                self.end(flight)  # who comes now begins anew
            if not flight.aboard:
                # Its frames refer to the flight: together they would be garbage for the collector.
                flight.error = flight.traceback = None
        if cancel is not None:
            cancel()

    def crew(self, boardings: Iterable[Boarding], parker: Parker) -> Boarding:
        """Begin the one computation by which the flights that these boardings lead will land.

        They depend on it, so that what it calls can't come to wait for them. Their leader waits
        for it alone.
        """
        with self.lock:
            crew = self._boarded(Flight(object(), home=parker), parker, leads=True)
            self._shared[crew.flight.key] = crew.flight
            for boarding in boardings:
                boarding.flight.waits_on.add(crew.flight)
                boarding.flight.parkers.remove(boarding.parker)
            return crew

    def end(self, *flights: Flight) -> None:
        """Free the keys, then wake everybody who waits; does nothing the second time."""
        parkers: list[Parker] = []
        with self.lock:
            for flight in flights:
                if self._shared.get(flight.key) is flight:
                    del self._shared[flight.key]
                self._alone.discard(flight)
                self.ended += 1
                flight.over = True
                parkers += flight.parkers
                flight.parkers = []
                if flight.renews and not flight.aboard:
                    flight.error = flight.traceback = None
        for parker in parkers:
            parker.unpark()

    def invalidate(self, key: Hashable) -> None:
        """Keep the results of computations under way out of the cache; later calls begin anew."""
        with self.lock:
            if (shared := self._shared.pop(key, None)) is not None:
                shared.valid = False
            for flight in self._alone:
                if flight.key == key:
                    flight.valid = False

    def invalidate_all(self) -> None:
        """The same for every key."""
        with self.lock:
            for flight in (*self._shared.values(), *self._alone):
                flight.valid = False
            self._shared.clear()


class Boarding:
    """One caller's place in a flight.

    Attributes:
        flight: The flight.
        parker: Where the caller waits.
        waiter: The flight on whose behalf it does.
        leads: Whether it began the flight.
        stays: Whether it reads on in the flight's stream.
    """

    __slots__ = ("flight", "leads", "parker", "stays", "waiter")

    def __init__(
        self, flight: Flight, parker: Parker, waiter: Flight | None, *, leads: bool
    ) -> None:
        self.flight = flight
        self.parker = parker
        self.waiter = waiter
        self.leads = leads
        self.stays = False


class computing_for:  # noqa: N801 - reads as a statement
    """Marks a region as working for a flight, which others may wait for."""

    __slots__ = ("_control", "_flight", "_frame", "_token")

    def __init__(self, flight: Flight) -> None:
        self._flight = flight

    def __enter__(self) -> None:
        self._token = computing.set(self._flight)
        self._control = controlled.set(self._flight.control)
        self._frame = current_frame.set(WatchedFrame(current_frame.get(), self._flight.books))

    def __exit__(self, *_: object) -> None:
        _leave(current_frame, self._frame)
        _leave(controlled, self._control)
        _leave(computing, self._token)


class computing_alone:  # noqa: N801 - reads as a statement
    """Marks a region as working for a flight that nobody can wait for."""

    __slots__ = ("_control", "_flight", "_frame")

    def __init__(self, flight: Flight) -> None:
        self._flight = flight

    def __enter__(self) -> None:
        self._control = controlled.set(self._flight.control)
        self._frame = current_frame.set(WatchedFrame(current_frame.get(), self._flight.books))

    def __exit__(self, *_: object) -> None:
        _leave(current_frame, self._frame)
        _leave(controlled, self._control)


def _leave(variable: ContextVar[Any], token: Token[Any]) -> None:
    # What is suspended when its loop goes is closed by the collector, in whatever context it is in.
    with contextlib.suppress(ValueError):
        variable.reset(token)
