"""The decorator `retry`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from agentperf._base.callables import is_decorated_bare
from agentperf._base.durations import Duration
from agentperf._base.options import Share, refuse_unknown
from agentperf._engine.attempts import Budget, attempt_budgets
from agentperf._engine.bindings import Step
from agentperf._engine.choosing import On
from agentperf._engine.hosting import Host
from agentperf._engine.policy import Policy
from agentperf._engine.resuming import Resume, check_resume
from agentperf._engine.site import Site, Target
from agentperf.errors import ConfigurationError
from agentperf.policies.retry.layer import RetryLayer
from agentperf.policies.retry.options import RetryOptions, checked

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Retry(Policy):
    """Makes failed calls again; made by `retry`."""

    kind = "retry"

    options: RetryOptions

    def check(self, target: Target) -> None:
        """Refuse a `resume=` that doesn't fit the function's parameters."""
        check_resume(self.options.resume, target)

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the retries around `inner`."""
        budget = self.budget(site.host, site.target)
        attempt_budgets(site.host, site.target).add(budget)
        return RetryLayer(site, self.options, budget).bound(inner)

    def budget(self, host: Host, target: Target) -> Budget:
        """Return the budget of retries on `host`."""
        share = self.options.budget
        return host.state(
            Budget,
            lambda: Budget(share),
            owners=(self, target),
            name=self.name,
            options=share,
        )


@overload
def retry(function: F, /) -> F: ...
@overload
def retry(
    *,
    on: On | None = None,
    attempts: int = 3,
    total: Duration | None = None,
    per_attempt: Duration | None = None,
    backoff: Duration = 0.5,
    max_backoff: Duration = 30,
    budget: Share | None = 0.2,
    restart: bool = False,
    resume: Resume | None = None,
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
) -> Retry: ...
def retry(
    function: Any = None,
    /,
    *,
    on: On | None = None,
    attempts: int = 3,
    total: Duration | None = None,
    per_attempt: Duration | None = None,
    backoff: Duration = 0.5,
    max_backoff: Duration = 30,
    budget: Share | None = 0.2,
    restart: bool = False,
    resume: Resume | None = None,
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Any:
    """Make a failed call again when that may help.

    What may help is decided by `agentperf.classify`: lost connections, timeouts, overload, rate
    limits and server errors are tried again, wrong requests and programming errors are not. A wait
    that the upstream asks for (`Retry-After`) is kept exactly; otherwise pauses grow exponentially,
    with full jitter. A stream is tried again only until its first item was handed over.
    Cancellation ends everything at once. When no attempt is left, the last error passes through as
    it is.

    Args:
        function: What is decorated, where no options are given.
        on: What to retry instead: exception types, or a callable that is given the error.
        attempts: How often to try in all.
        total: How long all attempts and pauses may take together; bounds a running attempt too.
            Of a stream only the time to its first item counts, here and for `per_attempt`.
        per_attempt: How long one attempt may take.
        backoff: Upper bound of the first pause; each further one is twice as long.
        max_backoff: Upper bound of every pause. An upstream that asks for a longer one gets no
            retry.
        budget: The share of calls that may be retries: each call that works earns so much of one,
            and ten are at hand at the start. At any moment no larger share of the calls under way
            is made again, or ten where that is more. None for no bound.
        restart: Begin a stream anew even after items were handed over. The reader is told by an
            item of the type `agentperf.Restarted`; what came before it is void.
        resume: Go on with a stream that broke: called with a list of the items handed over so far
            and the call's arguments, it returns the arguments to change by name, for a call that
            gives the items that are missing; None where that can't be. The reader notices nothing.
        name: Share one budget among all functions that name it.
        enabled: False, or a callable that says False at a call, makes no retries.
        **unknown: Refused, with what was probably meant.

    `total` and `per_attempt` need a synchronous call to run in a thread of its own, which goes on
    after the time is up; give the client its own timeout where it has one.

    Example:
        @agentperf.retry(attempts=4, total="20s")
        async def complete(prompt: str) -> str: ...

    Raises:
        ConfigurationError: An option is malformed or contradicts another.
        CallTimeout: At a call, the last attempt ran out of time.
    """
    refuse_unknown(retry, unknown)
    if is_decorated_bare(function):
        return retry()(function)
    if function is not None:
        raise ConfigurationError(
            f"retry({function!r}): options are given by name, as in retry(attempts=4)"
        )
    options = checked(
        on=on,
        attempts=attempts,
        total=total,
        per_attempt=per_attempt,
        backoff=backoff,
        max_backoff=max_backoff,
        budget=budget,
        restart=restart,
        resume=resume,
    )
    return Retry(options, name=name, enabled=enabled)
