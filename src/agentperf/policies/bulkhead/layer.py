"""A bulkhead at work: each call takes a place, waits for one where it must, and gives it back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from agentperf._base.endings import Ending
from agentperf._base.verdicts import Fault, Verdict
from agentperf._engine.bindings import Step
from agentperf._engine.places import Places
from agentperf._engine.site import Forecast, Site, foreseen
from agentperf._engine.streams import producing
from agentperf.errors import BulkheadFull
from agentperf.events import CallDelayed, CallRefused, ConcurrencyChanged
from agentperf.policies.bulkhead.adaptive import AdaptiveLimit
from agentperf.policies.bulkhead.options import BulkheadOptions

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Instead = Callable[[], Any]


class Compartment:
    """The places of one bulkhead on one host, and what decides how many there are."""

    def __init__(self, options: BulkheadOptions) -> None:
        self.options = options
        self.places = Places(options.concurrency)
        bounds = options.bounds
        self.adaptive = None if bounds is None else AdaptiveLimit(*bounds, options.concurrency)


class Flight:
    """One call that has a place."""

    __slots__ = ("first", "in_use", "start")

    def __init__(self, start: float, in_use: int) -> None:
        self.start = start
        self.in_use = in_use
        self.first: float | None = None
        """When the first item of its stream came."""


_PLACE = Flight(0.0, 0)
"""The ticket of all calls where nothing is learnt from them."""


class BulkheadLayer:
    """A bulkhead in front of one function, on one host; a gate that may have to wait."""

    settles = True

    def __init__(self, site: Site, compartment: Compartment, name: str) -> None:
        self._site = site
        self._places = compartment.places
        self._queue = compartment.options.queue
        self._adaptive = compartment.adaptive
        self._name = name
        self._now = site.host.clock.now
        self._tell_refused = site.host.bus.emitter(CallRefused)
        self._tell_delayed = site.host.bus.emitter(CallDelayed)
        self._tell_changed = site.host.bus.emitter(ConcurrencyChanged)
        self.watches_items = compartment.adaptive is not None

    def bound(self, inner: Step) -> Step:
        """Put the bulkhead in front of `inner`."""
        run, take = self._site.driver.guarded(self, inner), self._places.take
        adaptive, ticket = self._adaptive is not None, self._ticket
        ahead = tuple(self._site.ahead)

        def onward(args: Args, kwargs: Kwargs, instead: Instead | None) -> Any:
            return run(args, kwargs, ticket()) if instead is None else instead()

        wait = self._site.driver.flow(partial(self._wait_and_run, ahead), onward)

        def step(args: Args, kwargs: Kwargs) -> Any:
            if take():
                return run(args, kwargs, ticket() if adaptive else _PLACE)
            return wait(args, kwargs)

        return step

    def _ticket(self) -> Flight:
        return _PLACE if self._adaptive is None else Flight(self._now(), self._places.in_use)

    async def _wait_and_run(
        self,
        ahead: tuple[Forecast, ...],
        proceed: Callable[..., Any],
        args: Args,
        kwargs: Kwargs,
    ) -> Any:
        instead = foreseen(ahead, args, kwargs)
        if instead is None:
            await self._wait()
        return await proceed(args, kwargs, instead)

    async def _wait(self) -> None:
        waiting, began = self._site.waiting, self._now()
        # Who has a place may need this very loop to give it back.
        room = 0 if waiting.holds_a_loop() else self._queue
        if not await self._places.wait(waiting, room=room):
            raise self._refused(held_up=room != self._queue)
        if self._tell_delayed is not None:
            self._tell_delayed(
                CallDelayed(
                    operation=self._site.operation,
                    policy="bulkhead",
                    name=self._name,
                    waited=self._now() - began,
                )
            )

    # -- settling

    def done(self, ticket: Flight, value: Any) -> None:
        """Give the place back, and learn from how long the answer took."""
        if self._adaptive is not None:
            now = self._now()
            took = now - ticket.start if ticket.first is None else ticket.first - ticket.start
            limit = self._adaptive.answered(now, producing(value, took), ticket.in_use)
            self._resize(limit, "by how long answers take")
        self._places.release()

    def failed(self, ticket: Flight, error: Exception) -> None:
        """Give the place back, and learn from what was too much."""
        if self._adaptive is not None and _is_drop(self._site.host.classify(error)):
            self._resize(self._adaptive.dropped(self._now(), ticket.start), "calls were dropped")
        self._places.release()

    def dropped(self, ticket: Flight, ending: Ending) -> None:
        """Give the place back."""
        self._places.release()

    def seen(self, ticket: Flight, item: Any, at: float) -> None:
        """Note when the first item came."""
        if ticket.first is None:
            ticket.first = at

    def _resize(self, limit: int, reason: str) -> None:
        old = self._places.limit
        if limit == old:
            return
        self._places.resize(limit)
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

    # -- refusal

    def _refused(self, *, held_up: bool) -> BulkheadFull:
        if self._tell_refused is not None:
            self._tell_refused(
                CallRefused(operation=self._site.operation, policy="bulkhead", name=self._name)
            )
        why = "; a synchronous call doesn't wait on an event loop's thread" if held_up else ""
        return BulkheadFull(
            f"the bulkhead {self._name!r} is full: {self._places.in_use} calls are under way, "
            f"{self._places.waiting} wait{why}",
            policy="bulkhead",
            name=self._name,
        )


def _is_drop(verdict: Verdict) -> bool:
    """Whether a failure says that there are too many calls, rather than that one was wrong."""
    if verdict.fault is Fault.QUOTA:
        return verdict.retryable
    return verdict.fault in (Fault.OVERLOAD, Fault.NETWORK)
