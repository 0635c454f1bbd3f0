"""Single-flight: one computation per key at a time, shared by all who ask meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from typing import Any

from agentperf.abc.waiting import Parker

_computing: ContextVar[Flight | None] = ContextVar("agentperf.flight", default=None)
"""The flight on whose behalf this context runs."""


class Flight:
    """One computation and those who wait for it.

    Attributes:
        key: What is computed.
        valid: False once the key was invalidated: the result still serves those who wait, but is
            not stored.
        value: The result, where there is one.
        error: The error, where it failed.
        landed: Whether it came to a result or an error; a flight that was cancelled never does.
        leaderless: Whether the call that began it has gone away.
    """

    __slots__ = (
        "error",
        "key",
        "landed",
        "leaderless",
        "parkers",
        "valid",
        "value",
        "waits_on",
    )

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.valid = True
        self.value: Any = None
        self.error: Exception | None = None
        self.landed = False
        self.leaderless = False
        self.waits_on: set[Flight] = set()
        self.parkers: list[Parker] = []

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
    """What the flights of all caches of a host share: a cycle of waits may run through several."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Flights:
    """The computations under way in one cache."""

    def __init__(self, airspace: Airspace) -> None:
        self._lock = airspace.lock
        self._shared: dict[Hashable, Flight] = {}
        self._alone: set[Flight] = set()

    def board(
        self, key: Hashable, make_parker: Callable[[], Parker], *, may_wait: bool
    ) -> Boarding | None:
        """Join the flight of `key`, or begin one; None when this call has to fly alone.

        That is so for a call that the flight itself waits for, directly or through others (to join
        would be to wait for oneself), and for one that may not wait for anybody.
        """
        parker = make_parker()
        mine = _computing.get()
        with self._lock:
            flight = self._shared.get(key)
            if flight is None:
                flight = self._shared[key] = Flight(key)
                return self._boarded(flight, parker, mine, leads=True)
            if not may_wait or (mine is not None and flight.depends_on(mine)):
                return None
            return self._boarded(flight, parker, mine, leads=False)

    def _boarded(
        self, flight: Flight, parker: Parker, mine: Flight | None, *, leads: bool
    ) -> Boarding:
        flight.parkers.append(parker)
        if mine is not None:
            mine.waits_on.add(flight)
        return Boarding(flight, parker, mine, leads=leads)

    def alone(self, key: Hashable) -> Flight:
        """Begin a flight that nobody can join."""
        flight = Flight(key)
        with self._lock:
            self._alone.add(flight)
        return flight

    def leave(self, boarding: Boarding) -> None:
        """Stop waiting."""
        flight = boarding.flight
        with self._lock:
            if boarding.parker in flight.parkers:
                flight.parkers.remove(boarding.parker)
            if boarding.leads:
                flight.leaderless = True
            if boarding.waiter is not None:
                boarding.waiter.waits_on.discard(flight)

    def end(self, flight: Flight) -> None:
        """Free the key, then wake everybody who waits."""
        with self._lock:
            if self._shared.get(flight.key) is flight:
                del self._shared[flight.key]
            self._alone.discard(flight)
            parkers, flight.parkers = flight.parkers, []
        for parker in parkers:
            parker.unpark()

    def invalidate(self, key: Hashable) -> None:
        """Keep the results of computations under way out of the cache; later calls begin anew."""
        with self._lock:
            if (shared := self._shared.pop(key, None)) is not None:
                shared.valid = False
            for flight in self._alone:
                if flight.key == key:
                    flight.valid = False

    def invalidate_all(self) -> None:
        """The same for every key."""
        with self._lock:
            for flight in (*self._shared.values(), *self._alone):
                flight.valid = False
            self._shared.clear()


class Boarding:
    """One caller's place in a flight."""

    __slots__ = ("flight", "leads", "parker", "waiter")

    def __init__(
        self, flight: Flight, parker: Parker, waiter: Flight | None, *, leads: bool
    ) -> None:
        self.flight = flight
        self.parker = parker
        self.waiter = waiter
        self.leads = leads


class computing_for:  # noqa: N801 - reads as a statement
    """Marks a region as working for a flight."""

    __slots__ = ("_flight", "_token")

    def __init__(self, flight: Flight) -> None:
        self._flight = flight

    def __enter__(self) -> None:
        self._token = _computing.set(self._flight)

    def __exit__(self, *_: object) -> None:
        _computing.reset(self._token)
