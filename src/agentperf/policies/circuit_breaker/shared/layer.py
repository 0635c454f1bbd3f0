"""A breaker at work whose circuits are in a store: looks there now and then, and tells it."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from agentperf._base.endings import Ending
from agentperf._base.options import OnFailure
from agentperf._engine.bindings import Step
from agentperf._engine.loops import set_aside
from agentperf._engine.site import Site
from agentperf._engine.stores import StoreReach, unavailable
from agentperf._engine.waiting import in_one_go
from agentperf.abc.stores import Stores
from agentperf.errors import ConfigurationError
from agentperf.policies.circuit_breaker.layer import (
    Args,
    BreakerLayer,
    Judging,
    KeyOf,
    Kwargs,
    Rescue,
    Ticket,
    Watched,
)
from agentperf.policies.circuit_breaker.machine import CLOSED, Refused, State
from agentperf.policies.circuit_breaker.shared.circuit import SharedCircuit, SharedCircuits
from agentperf.policies.circuit_breaker.shared.probe import NOBODYS, Probe

Ask = Callable[[], Awaitable[object]]


class SharedBreakerLayer(BreakerLayer):
    """A shared breaker in front of one function, on one host.

    A closed circuit lets calls in as one in memory does; every half second one of them has a look
    at the store. What is told to the store is told by calls that block themselves, and for calls
    that are awaited by a task. Where the loop of that task ended before there was an answer, the
    next call asks, and waits for it. Only who may become a probe always waits.
    """

    def __init__(
        self,
        site: Site,
        circuits: SharedCircuits,
        name: str,
        key_of: KeyOf | None,
        fallback: Callable[..., Any] | None,
        *,
        judging: Judging,
        stores: Stores,
        on_failure: OnFailure,
    ) -> None:
        super().__init__(site, circuits, name, key_of, fallback, judging=judging)
        waiting = site.waiting if site.driver.is_async else None
        self._reach = StoreReach(site.host, site.operation, stores, waiting)
        self._in_thread = (
            None if stores.sync is None else StoreReach(site.host, site.operation, stores, None)
        )
        self._shared = circuits
        self._on_failure = on_failure

    def machine(self, args: Args, kwargs: Kwargs) -> SharedCircuit:
        """Return the circuit that a call belongs to."""
        if self._key_of is None:
            return self._shared.one
        return self._shared.of(self._key_of(args, kwargs))

    # -- the gate

    def _gated(self, inner: Step) -> Step:
        guarded = self._site.driver.guarded(self, inner)
        ask_first = self._site.driver.flow(self._admit_and_run, guarded)
        single = None if self._key_of is not None else self._shared.one
        machine, now, watched = self.machine, self._now, self._times_first

        def step(args: Args, kwargs: Kwargs) -> Any:
            circuit, start = single or machine(args, kwargs), now()
            if circuit.state is not CLOSED or start >= circuit.calm_until:
                return ask_first(circuit, args, kwargs)
            ticket = (circuit, circuit.generation, start)
            return guarded(args, kwargs, Watched(ticket) if watched else ticket)

        return step

    async def _admit_and_run(
        self, proceed: Callable[..., Any], circuit: SharedCircuit, args: Args, kwargs: Kwargs
    ) -> Any:
        ticket = await self._let_in(circuit)
        return await proceed(args, kwargs, Watched(ticket) if self._times_first else ticket)

    async def _let_in(self, circuit: SharedCircuit) -> Ticket:
        """Let a call in, having asked the store where it is time to.

        Raises:
            CircuitOpen: The circuit does not admit it.
            StoreUnavailable: The store fails, and that is not to be passed over.
        """
        now = self._now()
        if circuit.has_to_tell and not circuit.unheard:
            self._tell_store(circuit)
        if not circuit.wants_probe(now) and circuit.looks(now):
            look = partial(circuit.ask, self._reach, self._now, self._tell_change)
            if circuit.asked and not circuit.unheard:
                self._start(circuit, look)
            else:  # nobody knows yet how it stands, or who asked was cut off
                await _unless_it_fails(look)
        if circuit.wants_probe(self._now()):
            return await self._as_probe(circuit)
        return self._as_known(circuit)

    async def _as_probe(self, circuit: SharedCircuit) -> Ticket:
        """Let a call in that gets the lease of a probe."""
        if not circuit.begins_asking():
            raise self._refused(circuit, Refused(circuit.state, 0.0))
        probe = Probe(circuit)
        try:
            answer = await circuit.ask(self._reach, self._now, self._tell_change, probe.wanted)
        except ConfigurationError:
            raise
        except Exception:  # noqa: BLE001 - the reach has told of it
            return self._as_known(circuit)
        except BaseException:
            probe.drop(NOBODYS)  # it may have the lease
            self._tell_store(circuit)
            raise
        finally:
            circuit.ends_asking()
        if not answer.granted:
            return self._as_known(circuit)
        probe.version = answer.known.version
        return probe, NOBODYS, self._now()

    def _as_known(self, circuit: SharedCircuit) -> Ticket:
        """Let a call in by what this process knows."""
        now = self._now()
        if circuit.follows or self._on_failure == "local":
            return self._admitted(circuit, now)
        if self._on_failure == "open":
            watched = circuit.state is CLOSED or circuit.state is State.SHADOW
            return circuit, circuit.generation if watched else NOBODYS, now
        if not circuit.asked:  # another call is asking for the first time
            return circuit, circuit.generation, now
        self._say_refused(None)
        raise unavailable("breaker", self._name, "circuit_breaker")

    def _forecast(self, answer: Rescue, args: Args, kwargs: Kwargs) -> Callable[[], Any] | None:
        circuit = self.machine(args, kwargs)
        if circuit.asked and circuit.looks(self._now()):
            self._start(circuit, partial(circuit.ask, self._reach, self._now, self._tell_change))
        return super()._forecast(answer, args, kwargs)

    # -- the end of calls

    def done(self, ticket: Ticket, value: Any) -> None:
        """Take a success, unless it is none."""
        super().done(ticket, value)
        self._tell_what_matters(ticket)

    def failed(self, ticket: Ticket, error: Exception) -> None:
        """Take a failure, as far as it speaks against the upstream."""
        super().failed(ticket, error)
        self._tell_what_matters(ticket)

    def dropped(self, ticket: Ticket, ending: Ending) -> None:
        """Forget a call that was cancelled, or whose reader left."""
        super().dropped(ticket, ending)
        self._tell_what_matters(ticket)

    def _tell_what_matters(self, ticket: Any) -> None:
        if ticket[0].eager:
            self._tell_store(ticket[0].home)

    # -- the store

    def _tell_store(self, circuit: SharedCircuit) -> None:
        if circuit.begins_telling(self._now()):  # who is telling looks again whether there is more
            self._start(
                circuit, partial(circuit.tell_all, self._reach, self._now, self._tell_change)
            )

    def _start(self, circuit: SharedCircuit, ask: Ask) -> None:
        """Ask the store: now where calls block, else by a task."""
        if not self._site.driver.is_async:
            in_one_go(self._site.waiting.detached(partial(_quietly, ask)))
            return

        async def work() -> None:
            await _quietly(ask)
            circuit.unheard = False

        circuit.unheard = True
        if not set_aside(self._site.waiting, work, partial(self._tell_after_all, circuit)):
            circuit.cut_off()

    def _tell_after_all(self, circuit: SharedCircuit) -> None:
        """Tell what a loop ended over: what a program saw last is not lost with it."""
        circuit.cut_off()
        if self._in_thread is not None and circuit.has_to_tell:
            ask = partial(circuit.tell_all, self._in_thread, self._now, self._tell_change)
            in_one_go(_quietly(ask))


async def _quietly(ask: Ask) -> None:
    """Ask a store; where it fails, the reach has told of it."""
    with contextlib.suppress(Exception):
        await ask()


async def _unless_it_fails(ask: Ask) -> None:
    """The same, but for what can't be asked at all: that is a mistake, not an outage."""
    try:
        await ask()
    except ConfigurationError:
        raise
    except Exception:  # noqa: BLE001 - the reach has told of it
        return
