"""What can be asked of the bulkhead of a decorated function."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf._engine.hosting import Host
from agentperf.policies.bulkhead.decorator import Bulkhead


@dataclass(frozen=True, slots=True)
class BulkheadStats:
    """The figures of one bulkhead on one host, at one moment.

    Attributes:
        limit: How many places there are.
        in_use: How many of them are taken; more than there are for a while after an adaptive limit
            was lowered.
        waiting: Calls that wait for one.
        rejected: Calls that were refused so far.
    """

    limit: int
    in_use: int
    waiting: int
    rejected: int


class BulkheadHandle:
    """The bulkhead of one decorated function, on the host that was current at its making."""

    def __init__(self, host: Host, policy: Bulkhead) -> None:
        self._places = policy.compartment(host).places

    def stats(self) -> BulkheadStats:
        """Return the figures of now."""
        places = self._places
        return BulkheadStats(places.limit, places.in_use, places.waiting, places.refused)

    def __repr__(self) -> str:
        places = self._places
        return f"<bulkhead: {places.in_use} of {places.limit}, {places.waiting} waiting>"
