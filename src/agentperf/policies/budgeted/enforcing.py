"""What makes every pipeline of a host mind budgets, from the first one that is opened there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agentperf._engine.bindings import Bindings, Step
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site
from agentperf.policies.budgeted.layer import AroundLayer, InsideLayer


@dataclass(frozen=True, eq=False)
class _Around(Policy):
    """Around every pipeline: deadlines and repetitions."""

    kind = "budgeted"

    def bind(self, site: Site, inner: Step) -> Step:
        """Put it around `inner`."""
        return AroundLayer(site).bound(inner)


@dataclass(frozen=True, eq=False)
class _Inside(Policy):
    """In every pipeline, right around the function: calls, tokens and money."""

    kind = "budgeted"

    def bind(self, site: Site, inner: Step) -> Step:
        """Put it around `inner`."""
        return InsideLayer(site).bound(inner)


def mind_budgets(bindings: Bindings[Any]) -> None:
    """Have all pipelines mind budgets; who never opens one doesn't pay for it."""
    if not bindings.around:
        bindings.surround((_Around(),), (_Inside(),))
