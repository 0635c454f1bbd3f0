"""What can be asked of, and done to, the breaker of a decorated function."""

from __future__ import annotations

from collections import Counter
from typing import Any

from agentperf._engine.hosting import Host
from agentperf._engine.site import Target
from agentperf.errors import ConfigurationError
from agentperf.policies.circuit_breaker.decorator import CircuitBreaker
from agentperf.policies.circuit_breaker.machine import Machine, State
from agentperf.policies.circuit_breaker.telling import teller
from agentperf.policies.circuit_breaker.windows import Tally

_BY_REQUEST = {
    state.value: state
    for state in (State.CLOSED, State.OPEN, State.FORCED_OPEN, State.DISABLED, State.SHADOW)
}


class BreakerHandle:
    """The breaker of one decorated function, on the host that is current when the handle is made.

    The arguments of a call only matter for a breaker with `by=`, and then all that a call needs
    have to be there.
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
        self._circuits = policy.circuits(host)
        self._key_of = policy.key_of(target)
        self._leading = leading
        self._operation = operation or target.operation
        self._name = policy.name or target.operation

    def _machine(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Machine:
        if self._key_of is None:
            return self._circuits.single
        return self._circuits.by_key[self._key_of((*self._leading, *args), kwargs)]

    def state(self, *args: Any, **kwargs: Any) -> str:
        """Return `closed`, `open`, `half-open`, `forced-open`, `disabled` or `shadow`."""
        return self._machine(args, kwargs).state.value

    def states(self) -> dict[Any, str]:
        """Return the state of each circuit of a breaker with `by=`, by the value it belongs to.

        A breaker without `by=` has one circuit, which stands under None.
        """
        if self._key_of is None:
            return {None: self._circuits.single.state.value}
        return {key: machine.state.value for key, machine in self._circuits.by_key.items()}

    def tally(self, *args: Any, **kwargs: Any) -> Tally:
        """Return the figures of the window: calls, failures, slow calls and their shares."""
        return self._machine(args, kwargs).tally

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
            ConfigurationError: There is no such state.
        """
        if state not in _BY_REQUEST:
            known = ", ".join(f'"{name}"' for name in _BY_REQUEST)
            raise ConfigurationError(f"state={state!r}: one of {known}")
        tell = teller(self._host, self._operation, self._name)
        self._machine(args, kwargs).force(_BY_REQUEST[state], self._host.clock.now(), tell)

    def trip(self, *args: Any, **kwargs: Any) -> None:
        """Open the breaker, as if too many calls had failed just now."""
        self.force("open", *args, **kwargs)

    def reset(self, *args: Any, **kwargs: Any) -> None:
        """Close the breaker and forget what it remembers."""
        self.force("closed", *args, **kwargs)

    def __repr__(self) -> str:
        counts = Counter(self.states().values())
        shown = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        single = self._key_of is None
        return f"<breaker: {next(iter(counts)) if single else shown or 'no circuit yet'}>"
