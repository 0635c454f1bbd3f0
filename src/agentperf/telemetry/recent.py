"""What was decided lately: a short memory of events per operation."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from agentperf.events import (
    CacheHit,
    CacheMiss,
    CallDelayed,
    CallEnded,
    CallRefused,
    CallRepeated,
    CallTimedOut,
    CircuitChanged,
    ConcurrencyChanged,
    Event,
    FellBack,
    HedgeEnded,
    HedgeSkipped,
    HedgeStarted,
    LeaseSettled,
    LimitChanged,
    PromptCompressed,
    RetryGaveUp,
    RetryScheduled,
    SlowCall,
)

RARE = (
    CallDelayed,
    CallRefused,
    CallRepeated,
    CallTimedOut,
    CircuitChanged,
    ConcurrencyChanged,
    FellBack,
    HedgeEnded,
    HedgeSkipped,
    HedgeStarted,
    LimitChanged,
    RetryGaveUp,
    RetryScheduled,
    SlowCall,
)
"""Events of calls that took a turn: remembered from the start, since they cost others nothing."""

EVERY = (CacheHit, CacheMiss, CallEnded, LeaseSettled, PromptCompressed)
"""Events of each call: remembered from the first time that somebody asks."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing that a layer decided.

    Attributes:
        at: Seconds since the epoch.
        event: What was decided.
    """

    at: float
    event: Event

    def __str__(self) -> str:
        return f"{self.event}"


class Recent:
    """The last decisions on each operation.

    Args:
        subscribe: Ends in a subscription to events.
        wall: Seconds since the epoch.
        each: How many to remember for an operation.
        operations: How many operations to remember.
    """

    def __init__(
        self,
        subscribe: Callable[..., Callable[[], None]],
        wall: Callable[[], float],
        *,
        each: int = 100,
        operations: int = 500,
    ) -> None:
        self._subscribe = subscribe
        self._wall = wall
        self._each = each
        self._operations = operations
        self._order = itertools.count()
        self._decisions: dict[str, deque[tuple[int, Decision]]] = {}
        self._attentive = False
        subscribe(self._remember, *RARE)

    def of(self, *operations: str) -> tuple[Decision, ...]:
        """Return what was decided lately, in the order it happened; watch each call from now on."""
        if not self._attentive:
            self._attentive = True
            self._subscribe(self._remember, *EVERY)
        kept = [self._decisions[name].copy() for name in {*operations} if name in self._decisions]
        found = itertools.chain.from_iterable(kept)
        return tuple(decision for _, decision in sorted(found, key=lambda each: each[0]))

    def _remember(self, event: Event) -> None:
        decisions = self._decisions.get(event.operation)
        if decisions is None:
            if len(self._decisions) >= self._operations:
                return
            decisions = self._decisions.setdefault(event.operation, deque(maxlen=self._each))
        decisions.append((next(self._order), Decision(self._wall(), event)))
