"""Everything agentperf raises, as one small tree.

    AgentPerfError
    ├── ConfigurationError            also a ValueError: an option or a decorated thing is wrong
    │   ├── PluginError               a plugin can't be loaded or clashes with another
    │   └── MissingExtraError         also an ImportError: an optional package is not installed
    ├── CallRejected                  a policy refused the call before it was made
    │   ├── RateLimitExceeded
    │   │   └── RequestTooLarge       it could never fit the limit
    │   ├── CircuitOpen
    │   ├── BulkheadFull
    │   ├── BudgetExceeded
    │   └── StoreUnavailable
    ├── CallTimeout                   also a TimeoutError
    ├── BackendError                  a cache backend or store failed; the cause is chained
    ├── UncacheableArgumentError      also a TypeError: an argument has no key by value
    ├── UncacheableValueError         also a TypeError: a result can't be stored
    ├── CacheMissError                also a LookupError: only a cached answer was allowed
    ├── SharedStreamError             a stream that several read can't go on for this reader
    └── ContextWindowExceeded         also a ValueError: what must stay of a prompt is too much

    OrderWarning                      a UserWarning: policies stand in an order that does harm

Exceptions of the decorated function always pass through unchanged. Every error here pickles.
"""

from __future__ import annotations

from typing import Any

DISTRIBUTION = "agentperf-sdk"
"""What to install; the import name is `agentperf`."""


def _rebuild(kind: type[AgentPerfError], message: str, state: dict[str, Any]) -> AgentPerfError:
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class AgentPerfError(Exception):
    """Base of all errors that agentperf itself raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), str(self), dict(self.__dict__))


class ConfigurationError(AgentPerfError, ValueError):
    """An option, a parameter or the decorated object is wrong; the message shows a good example."""


class PluginError(ConfigurationError):
    """A plugin can't be loaded, or two plugins offer the same name."""


class MissingExtraError(ConfigurationError, ImportError):
    """A feature needs an optional package that is not installed.

    Attributes:
        extra: The extra that brings it, as in `pip install 'agentperf-sdk[demo]'`.
    """

    def __init__(self, feature: str, extra: str, package: str) -> None:
        super().__init__(
            f"{feature} needs the package {package!r}: pip install '{DISTRIBUTION}[{extra}]'"
        )
        self.extra = extra


class CallRejected(AgentPerfError):
    """A policy refused a call before it was made.

    Attributes:
        policy: The kind of policy that refused, such as `"circuit_breaker"`.
        policy_name: The name under which that policy keeps its state.
        retry_after: Seconds until another try makes sense; None when that is not known.
    """

    def __init__(
        self, message: str, *, policy: str = "", name: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.policy = policy
        self.policy_name = name
        self.retry_after = retry_after


class RateLimitExceeded(CallRejected):
    """The call doesn't fit the limit now.

    Attributes:
        limit: What it doesn't fit, such as `"60/min requests"`, `"concurrency"` or `"the queue"`.
        key: A digest of the value of `by=` that the limit is kept for; empty without `by=`.
    """

    def __init__(
        self,
        message: str,
        *,
        policy: str = "",
        name: str = "",
        retry_after: float | None = None,
        limit: str = "",
        key: str = "",
    ) -> None:
        super().__init__(message, policy=policy, name=name, retry_after=retry_after)
        self.limit = limit
        self.key = key


class RequestTooLarge(RateLimitExceeded):
    """The call is larger than the limit and could never be admitted."""


class CircuitOpen(CallRejected):
    """The circuit breaker is open: the upstream is taken to be unhealthy."""


class BulkheadFull(CallRejected):
    """All places of the bulkhead and of its queue are taken.

    Attributes:
        key: A digest of the value of `by=` that the places are for; empty without `by=`.
    """

    def __init__(
        self,
        message: str,
        *,
        policy: str = "",
        name: str = "",
        retry_after: float | None = None,
        key: str = "",
    ) -> None:
        super().__init__(message, policy=policy, name=name, retry_after=retry_after)
        self.key = key


class BudgetExceeded(CallRejected):
    """The call would break a budget of money, tokens, calls or time.

    Attributes:
        limit: Which limit: `"usd"`, `"tokens"`, `"calls"`, `"deadline"` or `"max_repeats"`.
        spent: How much of it is spent: dollars, tokens, calls or seconds.
        allowed: How much it allows.
    """

    def __init__(
        self,
        message: str,
        *,
        policy: str = "budgeted",
        name: str = "",
        retry_after: float | None = None,
        limit: str = "",
        spent: float = 0,
        allowed: float = 0,
    ) -> None:
        super().__init__(message, policy=policy, name=name, retry_after=retry_after)
        self.limit = limit
        self.spent = spent
        self.allowed = allowed


class StoreUnavailable(CallRejected):
    """Shared state is out of reach and the policy is told to refuse then."""


class CallTimeout(AgentPerfError, TimeoutError):
    """A call, its first item or the gap between two items took too long.

    Attributes:
        policy: The kind of policy that bounds the time, such as `"timeout"`.
        policy_name: The name of that policy, or the operation it stands before.
        limit: Which of its limits ran out, such as `"total"`, `"first_item"` or `"gap"`.
        seconds: How long that limit is.
    """

    def __init__(
        self,
        message: str = "",
        *,
        policy: str = "",
        name: str = "",
        limit: str = "",
        seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.policy = policy
        self.policy_name = name
        self.limit = limit
        self.seconds = seconds


class BackendError(AgentPerfError):
    """A cache backend or a store failed; the cause is chained."""


class UncacheableArgumentError(AgentPerfError, TypeError):
    """An argument has no key by value.

    Attributes:
        function: The decorated function.
        parameter: The parameter whose argument can't be keyed.
    """

    def __init__(self, message: str, *, function: str = "", parameter: str = "") -> None:
        super().__init__(message)
        self.function = function
        self.parameter = parameter


class UncacheableValueError(AgentPerfError, TypeError):
    """A result can't be stored."""


class CacheMissError(AgentPerfError, LookupError):
    """Only a cached answer was allowed and there is none."""


class SharedStreamError(AgentPerfError):
    """A stream that several share can't go on for this reader; the message says why.

    It fell too far behind, or wants to send something into what others read too, or an item can be
    had only once, or who drove the stream was interrupted.
    """


class ContextWindowExceeded(AgentPerfError, ValueError):
    """What must stay of a prompt is more than it may have."""


class OrderWarning(UserWarning):
    """Policies stand around a function in an order that does harm; the message shows the fix."""
