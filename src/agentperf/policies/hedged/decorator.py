"""The decorator `hedged`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from agentperf._base.callables import is_decorated_bare
from agentperf._base.durations import Duration
from agentperf._base.options import Share, refuse_unknown
from agentperf._engine.attempts import attempt_budgets
from agentperf._engine.bindings import Step
from agentperf._engine.hosting import Host
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site, Target
from agentperf.errors import ConfigurationError
from agentperf.policies.hedged.layer import HedgeLayer, Hedges
from agentperf.policies.hedged.options import HedgeOptions, checked

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Hedged(Policy):
    """Makes attempts beside slow ones; made by `hedged`."""

    kind = "hedged"

    options: HedgeOptions

    def check(self, target: Target) -> None:
        """Refuse a synchronous function: nobody could stop the attempt that loses."""
        if not target.shape.is_async:
            raise ConfigurationError(
                f"{target.operation} is synchronous, and hedged is for asynchronous functions: a "
                "synchronous attempt that loses can't be stopped, and would be paid in full. Make "
                f"it asynchronous, as in: @hedged above `async def {_last(target.operation)}(...)`"
            )

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the hedges around `inner`."""
        hedges = self.hedges(site.host, site.target)
        others = attempt_budgets(site.host, site.target)
        return HedgeLayer(site, self.options, hedges, others).bound(inner)

    def hedges(self, host: Host, target: Target) -> Hedges:
        """Return what hedging remembers on `host`."""
        return host.state(
            Hedges,
            lambda: Hedges(self.options),
            owners=(self, target),
            name=self.name,
            options=self.options,
        )


def _last(operation: str) -> str:
    return operation.rpartition(".")[2]


@overload
def hedged(after: F, /) -> F: ...
@overload
def hedged(
    after: Duration = "p95",
    *,
    extra: int = 1,
    budget: Share | None = 0.1,
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
) -> Hedged: ...
def hedged(
    after: Any = "p95",
    *,
    extra: int = 1,
    budget: Share | None = 0.1,
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Any:
    """Make a second attempt when the first one is slow, and take the answer that comes first.

    For calls that may safely be made twice: by decorating you say that yours may. The attempt that
    loses is cancelled, and has ended before the call returns; what it spent is spent. When one
    attempt fails, the others go on; when all fail, the first one's error is raised with those of
    the others as notes. A wrong request fails at once. A stream is hedged up to its first item.

    Args:
        after: When a call is slow: a quantile of the durations of the last 200 successes, such as
            `"p95"` (nothing is hedged before there are 20), or a time above 0, such as `"300ms"`.
        extra: How many attempts beside the first, each so much later than the one before.
        budget: The share of calls that may have an extra attempt: each call that works earns so
            much of one, and ten are at hand at the start. At any moment no larger share of the
            calls under way has one, or ten where that is more. Where the function is retried too,
            both draw on the budget of the retries. None for no bound of its own.
        name: Share durations and budget among all functions that name it.
        enabled: False, or a callable that says False at a call, makes no extra attempts.
        **unknown: Refused, with what was probably meant.

    When of the last 20 hedged calls fewer than 4 were won by a hedge, the whole upstream is slow,
    and nothing is hedged for 30 seconds.

    Example:
        @agentperf.hedged(after="p95")
        async def search(query: str) -> list[str]: ...

    Raises:
        ConfigurationError: An option is malformed, or the function is synchronous.
    """
    refuse_unknown(hedged, unknown)
    if is_decorated_bare(after):
        return hedged()(after)
    return Hedged(checked(after=after, extra=extra, budget=budget), name=name, enabled=enabled)
