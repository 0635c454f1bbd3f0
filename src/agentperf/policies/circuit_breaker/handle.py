"""What can be asked of, and done to, the breaker of a decorated function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from agentperf._engine.hosting import Host
from agentperf._engine.keyed import named_by
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.site import Target
from agentperf._engine.waiting import in_one_go
from agentperf.abc.waiting import Waiting
from agentperf.errors import ConfigurationError
from agentperf.policies.circuit_breaker.decorator import CircuitBreaker
from agentperf.policies.circuit_breaker.machine import Machine, State, Tell
from agentperf.policies.circuit_breaker.telling import teller
from agentperf.policies.circuit_breaker.windows import Tally

if TYPE_CHECKING:
    from agentperf._engine.stores import HandleReach
    from agentperf.policies.circuit_breaker.shared.circuit import SharedCircuit

_BY_REQUEST = {
    state.value: state
    for state in (State.CLOSED, State.OPEN, State.FORCED_OPEN, State.DISABLED, State.SHADOW)
}


class BreakerHandle:
    """The breaker of one decorated function, on the host that is current when the handle is made.

    The arguments of a call only matter for a breaker with `by=`, and then all that a call needs
    have to be there. A breaker in a store is looked at and changed there, for all processes, which
    blocks; the methods that begin with `a` are awaited instead.
    """

    def __init__(
        self,
        host: Host,
        target: Target,
        policy: CircuitBreaker,
        leading: tuple[Any, ...] = (),
        *,
        operation: str | None = None,
    ) -> None:
        self._host = host
        self._policy = policy
        self._key_of = policy.key_of(target)
        self._target = target
        self._leading = leading
        self._operation = operation or target.operation
        self._name = policy.name or target.operation

    def state(self, *args: Any, **kwargs: Any) -> str:
        """Return `closed`, `open`, `half-open`, `forced-open`, `disabled` or `shadow`.

        Of a breaker in a store that fails, the state that it has in this process.
        """
        return self._looked_at(args, kwargs).state.value

    async def astate(self, *args: Any, **kwargs: Any) -> str:
        """Return the same as `state`, without holding an event loop up."""
        return (await self._look(self._loop, args, kwargs)).state.value

    def states(self) -> dict[Any, str]:
        """Return the state of each circuit of a breaker with `by=`, by the value it belongs to.

        A breaker without `by=` has one circuit, which stands under None. Nobody is asked: of a
        breaker in a store these are the circuits of calls of this process, as it knows them.
        """
        if self._policy.store is not None:
            circuits = self._policy.shared_circuits(self._host)
            known = circuits.known() if self._key_of else [(None, circuits.one)]
            return self._named([(key, circuit.state) for key, circuit in known])
        own = self._policy.circuits(self._host)
        if self._key_of is None:
            return {None: own.single.state.value}
        return self._named([(key, machine.state) for key, machine in own.by_key.items()])

    def _named(self, states: list[tuple[Hashable, State]]) -> dict[Any, str]:
        named: dict[Any, str] = {}
        for key, state in states:
            name = named_by(self._policy.by, self._target, key)
            # 1 and True are two circuits, but one key of a dict.
            named[key if name in named else name] = state.value
        return named

    def tally(self, *args: Any, **kwargs: Any) -> Tally:
        """Return the figures of the window: calls, failures, slow calls and their shares.

        Of a breaker in a store those of all processes, as far as they have told it.
        """
        return self._figures(self._looked_at(args, kwargs))

    async def atally(self, *args: Any, **kwargs: Any) -> Tally:
        """Return the same as `tally`, without holding an event loop up."""
        return self._figures(await self._look(self._loop, args, kwargs))

    def force(self, state: str, *args: Any, **kwargs: Any) -> None:
        """Put the breaker into a state.

        Args:
            state: `"forced-open"` refuses all calls, `"disabled"` lets all pass unwatched,
                `"shadow"` lets all pass and only tells what it would have done, until another
                state is asked for. `"open"` opens it for its usual time; `"closed"` closes it with
                no memory.
            *args: Arguments of a call.
            **kwargs: The same.

        Raises:
            ConfigurationError: There is no such state, or the store has to be awaited.
            BackendError: The store fails; nobody knows whether it did so.
        """
        in_one_go(self._force(None, state, args, kwargs))

    async def aforce(self, state: str, *args: Any, **kwargs: Any) -> None:
        """Do the same as `force`, without holding an event loop up."""
        await self._force(self._loop, state, args, kwargs)

    def trip(self, *args: Any, **kwargs: Any) -> None:
        """Open the breaker, as if too many calls had failed just now.

        For `open_for` the first time, and for twice as long each further time until it has closed.
        """
        self.force("open", *args, **kwargs)

    async def atrip(self, *args: Any, **kwargs: Any) -> None:
        """Do the same as `trip`, without holding an event loop up."""
        await self.aforce("open", *args, **kwargs)

    def reset(self, *args: Any, **kwargs: Any) -> None:
        """Close the breaker and forget what it remembers."""
        self.force("closed", *args, **kwargs)

    async def areset(self, *args: Any, **kwargs: Any) -> None:
        """Do the same as `reset`, without holding an event loop up."""
        await self.aforce("closed", *args, **kwargs)

    # -- in memory or in a store

    @property
    def _loop(self) -> Waiting:
        return LoopWaiting(self._host.clock)

    def _machine(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Machine:
        circuits = self._policy.circuits(self._host)
        if self._key_of is None:
            return circuits.single
        return circuits.by_key[self._key_of((*self._leading, *args), kwargs)]

    def _circuit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedCircuit:
        circuits = self._policy.shared_circuits(self._host)
        if self._key_of is None:
            return circuits.one
        return circuits.of(self._key_of((*self._leading, *args), kwargs))

    def _reach(self, waiting: Waiting | None) -> HandleReach:
        from agentperf._engine.stores import HandleReach

        return HandleReach(self._host, self._operation, self._policy.stores(self._host), waiting)

    def _looked_at(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Machine:
        machine: Machine = in_one_go(self._look(None, args, kwargs))
        return machine

    async def _look(
        self, waiting: Waiting | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Machine:
        if self._policy.store is None:
            return self._machine(args, kwargs)
        circuit, tell = self._circuit(args, kwargs), self._teller()
        try:
            await circuit.ask(self._reach(waiting), self._host.clock.now, tell)
        except ConfigurationError:
            raise
        except Exception:  # noqa: BLE001 - the reach has told of it
            return circuit
        return circuit

    async def _force(
        self,
        waiting: Waiting | None,
        state: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        if state not in _BY_REQUEST:
            known = ", ".join(f'"{name}"' for name in _BY_REQUEST)
            raise ConfigurationError(f"state={state!r}: one of {known}")
        to, clock, tell = _BY_REQUEST[state], self._host.clock, self._teller()
        if self._policy.store is None:
            self._machine(args, kwargs).force(to, clock.now(), tell)
            return
        circuit = self._circuit(args, kwargs)
        await circuit.ask(self._reach(waiting), clock.now, tell, circuit.by_request(to))

    def _teller(self) -> Tell:
        return teller(self._host, self._operation, self._name)

    def _figures(self, machine: Machine) -> Tally:
        return machine.figures(self._host.clock.now())

    def __repr__(self) -> str:
        counts = Counter(self.states().values())
        shown = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        single = self._key_of is None
        return f"<breaker: {next(iter(counts)) if single else shown or 'no circuit yet'}>"
