"""The typed handle on a decorated function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from agentperf._engine.current import current_host
from agentperf._engine.pipeline import Pipeline, pipeline_of
from agentperf._engine.policy import Policy
from agentperf._engine.site import operation_of
from agentperf._host import Host
from agentperf.errors import ConfigurationError
from agentperf.policies.budgeted import Budgeted, BudgetHandle
from agentperf.policies.bulkhead import Bulkhead, BulkheadHandle
from agentperf.policies.cached import Cached
from agentperf.policies.cached.handle import CacheHandle
from agentperf.policies.circuit_breaker import BreakerHandle, CircuitBreaker
from agentperf.policies.hedged import Hedged, HedgesHandle
from agentperf.policies.rate_limited import LimiterHandle, RateLimited
from agentperf.policies.timed import Timed
from agentperf.telemetry import Decision, OperationStats

if TYPE_CHECKING:
    from agentperf.policies.cached.explaining import CacheExplanation

P = TypeVar("P", bound=Policy)


class Handle:
    """Everything agentperf knows and can do about one decorated function, on the current host."""

    def __init__(self, function: Callable[..., Any], pipeline: Pipeline, instance: object) -> None:
        self._function = function
        self._pipeline = pipeline
        self._leading: tuple[object, ...] = () if instance is None else (instance,)

    @property
    def pipeline(self) -> tuple[Policy, ...]:
        """The policies, outermost first, with those that the current host's settings add."""
        return tuple(p for p in self._pipeline.completed(current_host()) if isinstance(p, Policy))

    @property
    def operation(self) -> str:
        """The name the calls are counted under."""
        return operation_of(self.pipeline, self._pipeline.target)

    def stats(self) -> OperationStats:
        """Return the figures of the operation; all zero before its first call.

        Raises:
            ConfigurationError: The function is not timed.
        """
        if self._first(Timed) is None:
            raise self._without("timed", "@timed")
        return cast(Host, current_host()).operation_stats(self.operation)

    @property
    def cache(self) -> CacheHandle:
        """The outermost cache of the function.

        Raises:
            ConfigurationError: The function is not cached.
        """
        policy = self._first(Cached)
        if policy is None:
            raise self._without("cached", "@cached(ttl=60)")
        return CacheHandle(
            current_host(),
            self._pipeline.target,
            policy,
            self._function,
            self._leading,
            operation=self.operation,
        )

    def recent(self) -> tuple[Decision, ...]:
        """Return what the layers decided lately, oldest first.

        Retries, refusals, waits, changes of a breaker and slow calls are remembered from the start;
        hits, misses, settled tokens, compressed prompts and the end of each call from the first
        time this is asked, as they cost every call a little.
        """
        recent = cast(Host, current_host()).recent
        return recent.of(self.operation, self._pipeline.target.operation)

    def explain(self, *args: Any, **kwargs: Any) -> CacheExplanation:
        """Tell how the key of a call with these arguments is made; see `CacheHandle.explain`.

        Raises:
            ConfigurationError: The function is not cached.
            UncacheableArgumentError: An argument has no key by value.
        """
        return self.cache.explain(*args, **kwargs)

    @property
    def limiter(self) -> LimiterHandle:
        """The outermost limiter of the function.

        Raises:
            ConfigurationError: The function is not rate limited.
        """
        policy = self._first(RateLimited)
        if policy is None:
            raise self._without("rate_limited", '@rate_limited("500/min")')
        return LimiterHandle(
            current_host(), self._pipeline.target, policy, self._leading, self.operation
        )

    @property
    def bulkhead(self) -> BulkheadHandle:
        """The outermost bulkhead of the function.

        Raises:
            ConfigurationError: The function has none.
        """
        policy = self._first(Bulkhead)
        if policy is None:
            raise self._without("behind a bulkhead", "@bulkhead(8)")
        return BulkheadHandle(current_host(), policy)

    @property
    def hedges(self) -> HedgesHandle:
        """The outermost hedges of the function.

        Raises:
            ConfigurationError: The function is not hedged.
        """
        policy = self._first(Hedged)
        if policy is None:
            raise self._without("hedged", "@hedged")
        return HedgesHandle(current_host(), self._pipeline.target, policy)

    @property
    def budget(self) -> BudgetHandle:
        """The outermost budget of the function.

        Raises:
            ConfigurationError: The function has none.
        """
        policy = self._first(Budgeted)
        if policy is None:
            raise self._without("budgeted", "@budgeted(usd=0.50)")
        return BudgetHandle(current_host(), policy)

    @property
    def breaker(self) -> BreakerHandle:
        """The outermost circuit breaker of the function.

        Raises:
            ConfigurationError: The function has none.
        """
        policy = self._first(CircuitBreaker)
        if policy is None:
            raise self._without("behind a circuit breaker", "@circuit_breaker")
        return BreakerHandle(
            current_host(),
            self._pipeline.target,
            policy,
            self._leading,
            operation=self.operation,
        )

    def _first(self, kind: type[P]) -> P | None:
        return next((p for p in self.pipeline if isinstance(p, kind)), None)

    def _without(self, policy: str, example: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self._pipeline.target.operation} is not {policy}; decorate it with {example}"
        )

    def __repr__(self) -> str:
        kinds = ", ".join(type(policy).__name__ for policy in self.pipeline)
        return f"<handle of {self.operation}: {kinds}>"


def handle(function: Callable[..., Any]) -> Handle:
    """Return the handle on a decorated function or bound method.

    Example:
        agentperf.handle(answer).cache.invalidate("what is new?")

    Raises:
        ConfigurationError: The function is not decorated by agentperf.
    """
    instance = getattr(function, "__self__", None) if inspect.ismethod(function) else None
    inner = function.__func__ if inspect.ismethod(function) else function
    pipeline = pipeline_of(inner)
    if pipeline is None:
        name = getattr(function, "__qualname__", repr(function))
        raise ConfigurationError(
            f"{name} is not decorated by agentperf, or another decorator hides it; put one of ours "
            "above it, such as @timed, and hand in what it returned"
        )
    return Handle(function, pipeline, instance)
