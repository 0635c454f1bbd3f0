"""All policies, in the order in which they belong around a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentperf._engine.policy import Policy
from agentperf.policies.cached import Cached, cached
from agentperf.policies.circuit_breaker import CircuitBreaker, circuit_breaker
from agentperf.policies.rate_limited import RateLimited, rate_limited
from agentperf.policies.retry import Retry, retry
from agentperf.policies.timed import Timed, timed


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of policy.

    Attributes:
        decorator: What users call, with options.
        policy: What it makes.
    """

    decorator: Callable[..., Any]
    policy: type[Policy]

    @property
    def name(self) -> str:
        """What users know it by."""
        return self.decorator.__name__


CANONICAL = (
    Kind(timed, Timed),
    Kind(cached, Cached),
    Kind(retry, Retry),
    Kind(rate_limited, RateLimited),
    Kind(circuit_breaker, CircuitBreaker),
)
"""Outermost first: what saves a call stands outside of what guards the calls that are made."""


def rank(policy: object) -> int | None:
    """Return the place of a policy in the canonical order; None for one that is not ours."""
    for place, kind in enumerate(CANONICAL):
        if isinstance(policy, kind.policy):
            return place
    return None
