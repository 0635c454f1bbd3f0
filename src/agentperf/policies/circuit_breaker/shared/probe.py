"""A probe of a circuit in a store: it runs on a lease, and its end is told."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from agentperf.policies.circuit_breaker.machine import HALF_OPEN
from agentperf.policies.circuit_breaker.shared.circuit import Outcome
from agentperf.policies.circuit_breaker.shared.decision import Request

if TYPE_CHECKING:
    from agentperf.policies.circuit_breaker.machine import Tell
    from agentperf.policies.circuit_breaker.shared.circuit import SharedCircuit
    from agentperf.policies.circuit_breaker.windows import Batch

NOBODYS = -1
"""The generation of a call that nobody watches."""

_LEASES = 2**53


class Probe:
    """The one call that a lease is for; its end is told to the store.

    Args:
        circuit: Whose probe it is.
    """

    state = HALF_OPEN
    generation = NOBODYS
    eager = True

    def __init__(self, circuit: SharedCircuit) -> None:
        self.home = circuit
        self.lease = float(random.randrange(1, _LEASES))
        self.version = 0.0

    @property
    def wanted(self) -> Request:
        """What is asked for it."""
        return Request(lease=self.lease, wants=1.0)

    @property
    def last_error(self) -> str | None:
        """What the last call that failed, failed with."""
        return self.home.last_error

    @last_error.setter
    def last_error(self, name: str | None) -> None:
        self.home.last_error = name

    def succeed(self, generation: int, now: float, seconds: float, tell: Tell) -> None:
        """Take a success."""
        self.settle(generation, now, False, seconds, tell=tell)

    def settle(
        self,
        generation: int,
        now: float,
        failed: bool,  # noqa: FBT001 - as a machine has it
        seconds: float,
        wait: float | None = None,
        *,
        late: bool = False,
        tell: Tell,
    ) -> None:
        """Take its outcome."""
        slow_after = self.home.rules.slow_after
        slow = late or (slow_after is not None and seconds > slow_after)
        told = ((0.0, 1.0, float(failed), float(slow)),)
        self._end(told, -1.0 if wait is None else max(0.0, wait))

    def drop(self, generation: int) -> None:
        """Give the lease back: it was cancelled."""
        self._end((), -1.0)

    def _end(self, told: tuple[Batch, ...], wait: float) -> None:
        self.home.owe(Outcome(self.version, Request(lease=self.lease, wait=wait), told))
