"""What can be asked of the hedges of a decorated function."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf._engine.hosting import Host
from agentperf._engine.site import Target
from agentperf.policies.hedged.decorator import Hedged


@dataclass(frozen=True, slots=True)
class HedgeStats:
    """The figures of hedging, at one moment.

    Attributes:
        hedged: Calls that had more than one attempt, and have ended; those that were cancelled
            don't count, nor do those whose other attempts a policy refused.
        won: Those of them in which a hedge was faster than the first attempt.
        refused: Hedges that were due and that a budget did not allow.
        delay: Seconds after which a call is hedged now; None while that is not known.
        resting: Whether nothing is hedged for a while, because hedges won too seldom.
    """

    hedged: int
    won: int
    refused: int
    delay: float | None
    resting: bool

    @property
    def win_rate(self) -> float:
        """The share of hedged calls that a hedge won, 0 to 1; 0 before any."""
        return self.won / self.hedged if self.hedged else 0.0


class HedgesHandle:
    """The hedges of one decorated function, on the host that was current at its making."""

    def __init__(self, host: Host, target: Target, policy: Hedged) -> None:
        self._host = host
        self._hedges = policy.hedges(host, target)

    def stats(self) -> HedgeStats:
        """Return the figures of now; functions that share hedges by name share them."""
        hedges = self._hedges
        return HedgeStats(
            hedged=hedges.tally.hedged,
            won=hedges.tally.won,
            refused=hedges.tally.turned_down,
            delay=hedges.pace.delay(),
            resting=hedges.pace.rests(self._host.clock.now()),
        )

    def __repr__(self) -> str:
        stats = self.stats()
        return f"<hedges: {stats.hedged} calls hedged, {stats.won} won by the hedge>"
