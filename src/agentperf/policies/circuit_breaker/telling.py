"""Tells the host's subscribers of a breaker's changes."""

from __future__ import annotations

from agentperf._engine.hosting import Host
from agentperf.events import CircuitChanged
from agentperf.policies.circuit_breaker.machine import Change, Tell


def teller(host: Host, operation: str, name: str) -> Tell:
    """Make what tells of changes that a call of `operation` caused."""
    emit = host.bus.emitter(CircuitChanged)

    def tell(change: Change) -> None:
        if emit is not None:
            emit(
                CircuitChanged(
                    operation=operation,
                    name=name,
                    old=change.old.value,
                    new=change.new.value,
                    reason=change.reason,
                    calls=change.tally.calls,
                    failure_rate=change.tally.failure_rate,
                    slow_rate=change.tally.slow_rate,
                    open_for=change.open_for,
                )
            )

    return tell
