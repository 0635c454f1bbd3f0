"""A bulkhead at work whose places are granted in a store: asks, waits in line, gives back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from agentperf._base.bounded import BoundedRegistry
from agentperf._base.endings import Ending
from agentperf._base.keys import digest
from agentperf._base.options import OnFailure
from agentperf._engine.bindings import Step
from agentperf._engine.keyed import KeyOf
from agentperf._engine.places import Waiter
from agentperf._engine.priority import HeadStart
from agentperf._engine.renewing import Renewer, renewing
from agentperf._engine.site import Forecast, Site, foreseen
from agentperf._engine.stores import StoreReach, unavailable
from agentperf._engine.waiting import in_one_go
from agentperf.abc.stores import Stores
from agentperf.errors import ConfigurationError
from agentperf.policies.bulkhead.entrance import Args, Entrance, Kwargs
from agentperf.policies.bulkhead.options import BulkheadOptions
from agentperf.policies.bulkhead.shared import decision
from agentperf.policies.bulkhead.shared.places import SharedPlaces, Turn
from agentperf.policies.bulkhead.stays import Stays


class SharedCompartment:
    """Places that processes share, as one of them sees them.

    Attributes:
        places: The places.
        stays: How long calls keep them here.
    """

    def __init__(self, places: SharedPlaces) -> None:
        self.places = places
        self.stays = Stays()


Stay = tuple[SharedCompartment, float]
"""One call that has a place, and when it began."""


class SharedCompartments:
    """The compartments of one shared bulkhead on one host.

    Args:
        name: What processes know it by.
        options: What was said of it.
        now: Monotonic seconds.
    """

    def __init__(self, name: str, options: BulkheadOptions, now: Callable[[], float]) -> None:
        self.options = options
        terms = decision.Terms(options.concurrency, decision.LASTS)
        self.renewed_every = terms.renewed_every
        self._identity = ("bulkhead", name)
        self._by_key = BoundedRegistry(
            lambda: SharedCompartment(SharedPlaces(terms, options.queue, now)),
            busy=lambda one: one.places.in_use or one.places.waiting,
        )

    def of(self, key: Hashable = None) -> SharedCompartment:
        """Return the compartment of a value of `by`; None where all calls share one."""
        compartment = self._by_key[key]
        if not compartment.places.key:
            compartment.places.key = f"places:{digest((*self._identity, key))}"
        return compartment


Instead = Callable[[], Any]


class SharedBulkheadLayer(Entrance):
    """A shared bulkhead in front of one function, on one host.

    Calls of one process wait in one line, and only its head asks the store, for all of them.
    """

    watches_items = False

    def __init__(
        self,
        site: Site,
        compartments: SharedCompartments,
        stores: Stores,
        name: str,
        *,
        on_failure: OnFailure,
        key_of: KeyOf | None,
        head_start: HeadStart | None,
    ) -> None:
        super().__init__(site, compartments.options.queue, name, key_of, head_start)
        self._compartments = compartments
        self._on_failure = on_failure
        waiting = site.waiting if site.driver.is_async else None
        self._reach = StoreReach(site.host, site.operation, stores, waiting)
        # A thread renews where one can: it does so while a loop is busy, and after it is gone.
        self._in_thread = (
            None if stores.sync is None else StoreReach(site.host, site.operation, stores, None)
        )

    def bound(self, inner: Step) -> Step:
        """Put the bulkhead in front of `inner`."""
        run = self._site.driver.guarded(self, inner)

        def onward(
            args: Args, kwargs: Kwargs, one: SharedCompartment, instead: Instead | None
        ) -> Any:
            return run(args, kwargs, (one, self._now())) if instead is None else instead()

        admit = partial(self._admit_and_run, tuple(self._site.ahead))
        return self._site.driver.flow(admit, onward)

    async def _admit_and_run(
        self, ahead: tuple[Forecast, ...], proceed: Callable[..., Any], args: Args, kwargs: Kwargs
    ) -> Any:
        one = self._compartments.of(None if self._key_of is None else self._key_of(args, kwargs))
        if not one.places.take():
            if (instead := foreseen(ahead, args, kwargs)) is not None:
                return await proceed(args, kwargs, one, instead)
            await self._stand_in_line(one, args, kwargs)
        await self._renewing(one.places)
        return await proceed(args, kwargs, one, None)

    async def _stand_in_line(self, one: SharedCompartment, args: Args, kwargs: Kwargs) -> None:
        """Stand in the line of this process until the call has a place."""
        places, began = one.places, self._now()
        waiter = places.join(self._rank(args, kwargs))
        if waiter is None:
            raise self._refused(places, one.stays, args, kwargs, "")
        try:
            if await self._turn(one, waiter, args, kwargs):
                self._say_delayed(began)
        finally:
            if not waiter.left:
                places.leave(waiter)
            self._tell(places)

    async def _turn(
        self, one: SharedCompartment, waiter: Waiter, args: Args, kwargs: Kwargs
    ) -> bool:
        """Wait until the call has a place; tell whether it had to be woken."""
        places, waiting, waited = one.places, self._site.waiting, False
        held_up = waiting.holds_a_loop()
        while True:
            parker = waiting.parker()
            turn = places.turn(waiter, parker)
            if turn is Turn.ASK:
                if await self._asked(places, waiter):
                    return waited
                turn = places.turn(waiter, parker)
            if turn is Turn.TAKEN:
                return waited
            if turn is Turn.REFUSED or held_up:
                places.refuse(waiter)
                why = self._why(held_up=turn is not Turn.REFUSED)
                raise self._refused(places, one.stays, args, kwargs, why)
            waited = True
            await parker.park(places.pause(waiter, parker))

    async def _asked(self, places: SharedPlaces, waiter: Waiter) -> bool:
        """Ask the store, for all who wait; tell whether the call goes in without it.

        Raises:
            StoreUnavailable: The store fails, and that is not to be passed over.
        """
        try:
            await places.ask(self._reach, stay=self._queue)
        except ConfigurationError:
            raise
        except Exception as error:
            if self._on_failure != "closed":
                most = None if self._on_failure == "open" else places.limit
                return places.alone(waiter, most)
            places.give_up(waiter)
            self._say_refused(None)
            raise unavailable("bulkhead", self._name, "bulkhead") from error
        return False

    async def _renewing(self, places: SharedPlaces) -> None:
        """Have the store told now and then that this process still has its places."""
        host, every = self._site.host, self._compartments.renewed_every
        if self._in_thread is not None:
            if (renewal := places.renewal(self._in_thread)) is not None:
                make = partial(Renewer, host.clock, every)
                host.state(Renewer, make, owners=(), name="places").hold(renewal)
        elif (renewal := places.renewal(self._reach)) is not None:
            waiting = self._site.waiting
            await waiting.detached(partial(renewing, renewal, every, waiting), renewal.over)

    # -- settling

    def done(self, ticket: Stay, value: Any) -> None:
        """Give the place back."""
        one, began = ticket
        one.stays.note(self._now() - began)
        self._give_back(one.places)

    def failed(self, ticket: Stay, error: Exception) -> None:
        """Give the place back."""
        self._give_back(ticket[0].places)

    def dropped(self, ticket: Stay, ending: Ending) -> None:
        """Give the place back."""
        self._give_back(ticket[0].places)

    def seen(self, ticket: Stay, item: Any, at: float) -> None:
        """A stream keeps its place, whatever it gives."""

    def _give_back(self, places: SharedPlaces) -> None:
        places.release()
        self._tell(places)

    def _tell(self, places: SharedPlaces) -> None:
        """Have the store told what it has to know: now where calls block, else by a task."""
        if not places.owes():
            return
        work = partial(places.tell, self._reach)
        if self._site.driver.is_async:
            # A stream may end on a thread without a loop; the next statement tells it then.
            with contextlib.suppress(RuntimeError):
                in_one_go(self._site.waiting.detached(work, partial(self._tell_after_all, places)))
        else:
            in_one_go(work())

    def _tell_after_all(self, places: SharedPlaces) -> None:
        """Tell what the loop was closed over: a program that ends leaves no places behind."""
        if self._in_thread is not None and places.owes():
            in_one_go(places.tell(self._in_thread))
