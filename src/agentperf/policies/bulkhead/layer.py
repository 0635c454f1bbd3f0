"""A bulkhead at work: each call takes a place, waits for one where it must, and gives it back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from agentperf._base.bounded import BoundedRegistry
from agentperf._base.endings import Ending
from agentperf._base.verdicts import Fault
from agentperf._engine.bindings import Step
from agentperf._engine.keyed import KeyOf
from agentperf._engine.places import Places
from agentperf._engine.site import Forecast, Site, foreseen
from agentperf._engine.streams import producing
from agentperf.events import ConcurrencyChanged
from agentperf.policies.bulkhead.adaptive import AdaptiveLimit
from agentperf.policies.bulkhead.entrance import Args, Entrance, Kwargs
from agentperf.policies.bulkhead.options import BulkheadOptions
from agentperf.policies.bulkhead.stays import Stays

if TYPE_CHECKING:
    from agentperf._engine.priority import HeadStart

Instead = Callable[[], Any]
Run = Callable[..., Any]

FIRST = 5
"""So many calls are measured, so that the first refusal can say something; then one after each."""


class Compartment:
    """Places of a bulkhead on one host, and what decides how many there are.

    Attributes:
        places: The places.
        adaptive: What finds out how many there are; None where that is fixed.
        stays: How long calls keep them.
        measured: Whether the next call is measured.
        plain: The ticket of all calls that are not.
        unknown: How many of the first calls are still to be measured.
    """

    __slots__ = ("adaptive", "measured", "places", "plain", "stays", "unknown")

    def __init__(self, options: BulkheadOptions) -> None:
        self.places = Places(options.concurrency)
        bounds = options.bounds
        self.adaptive = None if bounds is None else AdaptiveLimit(*bounds, options.concurrency)
        self.stays = Stays()
        self.measured = True
        self.unknown = FIRST
        self.plain = Flight(self, None)


class Compartments:
    """The compartments of one bulkhead on one host: one, or one for each value of `by`.

    Attributes:
        options: What was said of it.
        single: The compartment of all calls, without `by`.
        by_key: The compartment of each value.
    """

    def __init__(self, options: BulkheadOptions) -> None:
        self.options = options
        self.single = Compartment(options)
        self.by_key: BoundedRegistry[Compartment] = BoundedRegistry(
            partial(Compartment, options), busy=lambda one: one.places.in_use or one.places.waiting
        )


class Flight:
    """One call that has a place.

    Attributes:
        compartment: Whose place.
        release: Gives it back.
        start: When it began; None where nothing is learnt from it.
        first: When the first item of its stream was handed over.
        in_use: How many places were taken then.
    """

    __slots__ = ("compartment", "first", "in_use", "release", "start")

    def __init__(self, compartment: Compartment, start: float | None) -> None:
        self.compartment = compartment
        self.release = compartment.places.release
        self.start = start
        self.first: float | None = None
        self.in_use = compartment.places.in_use


class BulkheadLayer(Entrance):
    """A bulkhead in front of one function, on one host; a gate that may have to wait."""

    def __init__(
        self,
        site: Site,
        options: BulkheadOptions,
        name: str,
        *,
        key_of: KeyOf | None,
        head_start: HeadStart | None,
    ) -> None:
        super().__init__(site, options.queue, name, key_of, head_start)
        self._tell_changed = site.host.bus.emitter(ConcurrencyChanged)
        self.watches_items = options.bounds is not None

    def bound(self, compartments: Compartments, inner: Step) -> Step:
        """Put the bulkhead in front of `inner`."""
        run = self._site.driver.guarded(self, inner)

        def onward(
            args: Args, kwargs: Kwargs, compartment: Compartment, instead: Instead | None
        ) -> Any:
            ticket = self._ticket
            return run(args, kwargs, ticket(compartment)) if instead is None else instead()

        wait = self._site.driver.flow(partial(self._wait_and_run, tuple(self._site.ahead)), onward)
        if self._key_of is not None:
            return self._admitting_by(self._key_of, compartments.by_key, run, wait)
        return self._admitting(compartments.single, run, wait)

    def _admitting(self, compartment: Compartment, run: Run, wait: Run) -> Step:
        """Admit calls that all take their places from one compartment."""
        take, plain, ticket = compartment.places.take, compartment.plain, self._ticket

        def step(args: Args, kwargs: Kwargs) -> Any:
            if take():
                return run(args, kwargs, ticket(compartment) if compartment.measured else plain)
            return wait(args, kwargs, compartment)

        return step

    def _admitting_by(
        self, key_of: KeyOf, by_key: BoundedRegistry[Compartment], run: Run, wait: Run
    ) -> Step:
        """Admit calls that take their places from the compartment of their key."""
        ticket = self._ticket

        def step(args: Args, kwargs: Kwargs) -> Any:
            one = by_key[key_of(args, kwargs)]
            if one.places.take():
                return run(args, kwargs, ticket(one) if one.measured else one.plain)
            return wait(args, kwargs, one)

        return step

    def _ticket(self, compartment: Compartment) -> Flight:
        if compartment.unknown:
            compartment.unknown -= 1
        compartment.measured = compartment.adaptive is not None or compartment.unknown > 0
        return Flight(compartment, self._now())

    async def _wait_and_run(
        self,
        ahead: tuple[Forecast, ...],
        proceed: Callable[..., Any],
        args: Args,
        kwargs: Kwargs,
        compartment: Compartment,
    ) -> Any:
        instead = foreseen(ahead, args, kwargs)
        if instead is None:
            await self._wait(compartment, args, kwargs)
        return await proceed(args, kwargs, compartment, instead)

    async def _wait(self, compartment: Compartment, args: Args, kwargs: Kwargs) -> None:
        waiting, began = self._site.waiting, self._now()
        # Who has a place may need this very loop to give it back.
        room = 0 if waiting.holds_a_loop() else self._queue
        rank = self._rank(args, kwargs)
        if not await compartment.places.wait(waiting, room=room, rank=rank):
            compartment.measured = True
            why = self._why(held_up=room != self._queue)
            raise self._refused(compartment.places, compartment.stays, args, kwargs, why)
        self._say_delayed(began)

    # -- settling

    def done(self, ticket: Flight, value: Any) -> None:
        """Give the place back, and learn from how long the answer took."""
        if ticket.start is not None:
            self._learn(ticket, ticket.start, value)
        ticket.release()

    def _learn(self, ticket: Flight, start: float, value: Any) -> None:
        now, one = self._now(), ticket.compartment
        one.stays.note(now - start)
        if one.adaptive is not None:
            took = now - start if ticket.first is None else ticket.first - start
            limit = one.adaptive.answered(now, producing(value, took), ticket.in_use)
            self._resize(one.places, limit, "by how long answers take")

    def failed(self, ticket: Flight, error: Exception) -> None:
        """Give the place back, and learn from what was too much."""
        one, start = ticket.compartment, ticket.start
        if one.adaptive is not None and start is not None and self._is_drop(error):
            limit = one.adaptive.dropped(self._now(), start)
            self._resize(one.places, limit, "calls were dropped")
        ticket.release()

    def dropped(self, ticket: Flight, ending: Ending) -> None:
        """Give the place back."""
        ticket.release()

    def seen(self, ticket: Flight, item: Any, at: float) -> None:
        """Note when the first item came."""
        if ticket.first is None:
            ticket.first = at

    def _resize(self, places: Places, limit: int, reason: str) -> None:
        old = places.limit
        if limit == old:
            return
        places.resize(limit)
        if self._tell_changed is not None:
            self._tell_changed(
                ConcurrencyChanged(
                    operation=self._site.operation,
                    name=self._name,
                    old=old,
                    new=limit,
                    reason=reason,
                )
            )

    def _is_drop(self, error: Exception) -> bool:
        """Whether a failure says that there are too many calls, rather than that one was wrong."""
        verdict = self._site.host.classify(error)
        if verdict.fault is Fault.QUOTA:
            return verdict.retryable
        return verdict.fault in (Fault.OVERLOAD, Fault.NETWORK)
