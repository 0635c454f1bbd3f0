"""A breaker at work: admits calls, and tells the machine how they ended."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from typing import Any

from agentperf._base.bounded import BoundedRegistry
from agentperf._base.endings import Ending
from agentperf._engine.bindings import Step
from agentperf._engine.classify import classify
from agentperf._engine.layers import Proceed
from agentperf._engine.site import Site
from agentperf.errors import CircuitOpen
from agentperf.events import CallRefused, CircuitChanged
from agentperf.policies.circuit_breaker.machine import CLOSED, Change, Machine, Refused, Rules

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
KeyOf = Callable[[Args, Kwargs], Hashable]
Ticket = tuple[Machine, int, float]


class Circuits:
    """The machines of one breaker on one host: one, or one for each value of `by`."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.single = Machine(rules)
        self.by_key: BoundedRegistry[Machine] = BoundedRegistry(lambda: Machine(rules))


class BreakerLayer:
    """A breaker in front of one function, on one host; a gate."""

    watches_items = False
    settles = True

    def __init__(
        self,
        site: Site,
        circuits: Circuits,
        name: str,
        key_of: KeyOf | None,
        fallback: Callable[..., Any] | None,
    ) -> None:
        self._site = site
        self._circuits = circuits
        self._name = name
        self._key_of = key_of
        self._fallback = fallback
        self._now = site.host.clock.now
        self._wall = site.host.clock.wall
        self._tell_change = site.host.bus.emitter(CircuitChanged)
        self._tell_refused = site.host.bus.emitter(CallRefused)
        circuits.single.changed = self._changed
        self._single = circuits.single if key_of is None else None
        # Successes need no time where neither their age nor their length means anything.
        self._reads_time = circuits.rules.slow_after is not None or not isinstance(
            circuits.rules.window, int
        )

    def bound(self, inner: Step) -> Step:
        """Put the breaker in front of `inner`."""
        guarded = self._site.driver.gate(self, inner)
        if self._fallback is None:
            return guarded
        rescue = self._site.driver.flow(self._fall_back, inner)
        return self._site.driver.rescued(guarded, lambda: None, rescue)

    def machine(self, args: Args, kwargs: Kwargs) -> Machine:
        """Return the machine that a call belongs to."""
        if self._key_of is None:
            return self._circuits.single
        machine = self._circuits.by_key[self._key_of(args, kwargs)]
        machine.changed = self._changed
        return machine

    # -- the gate

    def enter(self, args: Args, kwargs: Kwargs) -> Ticket:
        """Admit a call.

        Raises:
            CircuitOpen: The breaker does not admit it.
        """
        machine = self._single or self.machine(args, kwargs)
        if machine.state is CLOSED:
            return machine, machine.generation, self._now() if self._reads_time else 0.0
        now = self._now()
        try:
            return machine, machine.admit(now), now
        except Refused as refusal:
            raise self._refused(machine, refusal) from None

    def done(self, ticket: Ticket, value: Any) -> None:
        """Take a success."""
        machine, generation, start = ticket
        # Closed, a success changes nothing; a probe's may end its round, which has a time.
        quick = machine.state is CLOSED and not self._reads_time
        now = 0.0 if quick else self._now()
        machine.succeed(generation, now, now - start)

    def failed(self, ticket: Ticket, error: Exception) -> None:
        """Take a failure, as far as it speaks against the upstream."""
        machine, generation, start = ticket
        now = self._now()
        verdict = classify(error, now=self._wall())
        if verdict.counts:
            machine.last_error = type(error).__name__
        machine.settle(generation, now, verdict.counts, now - start, verdict.wait)

    def dropped(self, ticket: Ticket, ending: Ending) -> None:
        """Forget a call that was cancelled, or whose reader left."""
        machine, generation, _ = ticket
        machine.drop(generation)

    def seen(self, ticket: Ticket, item: Any) -> None:
        """Items say nothing of the upstream's health."""

    # -- refusal

    def _refused(self, machine: Machine, refusal: Refused) -> CircuitOpen:
        if self._tell_refused is not None:
            self._tell_refused(
                CallRefused(
                    operation=self._site.target.operation,
                    policy="circuit_breaker",
                    name=self._name,
                    retry_after=refusal.retry_after,
                )
            )
        again = "" if refusal.retry_after is None else f"; try again in {refusal.retry_after:.3g} s"
        after = "" if machine.last_error is None else f" after {machine.last_error}"
        return CircuitOpen(
            f"the circuit breaker {self._name!r} is {refusal.state.value}{after}{again}",
            policy="circuit_breaker",
            name=self._name,
            retry_after=refusal.retry_after,
        )

    async def _fall_back(self, _: Proceed, error: Exception, args: Args, kwargs: Kwargs) -> Any:
        """Answer instead, where it was this breaker that refused."""
        if not (isinstance(error, CircuitOpen) and error.policy_name == self._name):
            raise error
        assert self._fallback is not None  # noqa: S101 - bound only where there is one
        value = self._fallback(*args, **kwargs)
        if inspect.isawaitable(value) and self._site.driver.is_async:
            value = await value
        return self._site.driver.recognised(value, kwargs)

    def _changed(self, change: Change) -> None:
        if self._tell_change is not None:
            self._tell_change(
                CircuitChanged(
                    operation=self._site.target.operation,
                    name=self._name,
                    old=change.old.value,
                    new=change.new.value,
                    reason=change.reason,
                    calls=change.tally.calls,
                    failure_rate=change.tally.failure_rate,
                    slow_rate=change.tally.slow_rate,
                    open_for=change.open_for,
                )
            )
