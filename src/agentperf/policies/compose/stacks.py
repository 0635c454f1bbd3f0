"""Several policies as one decorator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from agentperf._engine.decorate import decorate
from agentperf._engine.order import place
from agentperf._engine.policy import Policy
from agentperf.errors import ConfigurationError
from agentperf.policies.circuit_breaker import circuit_breaker
from agentperf.policies.retry import retry
from agentperf.policies.timed import timed

F = TypeVar("F", bound=Callable[..., Any])


class Stack:
    """Policies that are applied together, outermost first; made by `stack`."""

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        self.policies = policies

    def __call__(self, function: F) -> F:
        """Decorate a function with all of them."""
        decorated: F = decorate(self.policies, function)
        return decorated

    def __repr__(self) -> str:
        return f"stack({', '.join(type(policy).__name__ for policy in self.policies)})"


def stack(*policies: Policy | Stack, **options: object) -> Stack:
    """Make one decorator of several, outermost first.

    `stack(timed(), cached(ttl=60))` decorates as `@timed()` above `@cached(ttl=60)` does. The
    policies stay the same objects: what they share between functions, they share through the stack
    too. Options belong to the policies; `stack` has none.

    Example:
        upstream = agentperf.stack(agentperf.timed(), agentperf.cached(ttl="5m"))

        @upstream
        def search(query: str) -> list[str]: ...

    Raises:
        ConfigurationError: Nothing is given, something that is not a policy, or an option of one.
    """
    flat = _policies("stack(timed(), cached(ttl=60))", policies, options)
    if not flat:
        raise ConfigurationError("stack() needs policies, such as stack(timed(), cached(ttl=60))")
    return Stack(flat)


def _policies(
    example: str, given: tuple[object, ...], options: Mapping[str, object]
) -> tuple[Policy, ...]:
    """List the policies, also those of stacks.

    Raises:
        ConfigurationError: Something is not a policy, or there are options.
    """
    for option, value in options.items():
        raise ConfigurationError(f"{option}={value!r} is an option of a policy, as in {example}")
    flat: list[Policy] = []
    for policy in given:
        if isinstance(policy, Stack):
            flat.extend(policy.policies)
        elif isinstance(policy, Policy):
            flat.append(policy)
        else:
            raise ConfigurationError(
                f"{policy!r} is not a policy; call the decorators, and put what comes out above "
                f"the function: @{example}"
            )
    return tuple(flat)


def resilient(*policies: Policy | Stack, **options: object) -> Stack:
    """Make one decorator of several, in the order in which they work together best.

    Outermost first: timed, budgeted, fallback, cached, compress_prompt, hedged, retry, bulkhead,
    rate_limited, circuit_breaker, timeout. So answers from the cache cost nothing, every attempt
    needs a place and a permit of its own and has its own time, and the breaker sees each of them.
    Without arguments, `@resilient()`: timed, retry and circuit_breaker with their defaults. Options
    belong to the policies; `resilient` has none.

    Example:
        upstream = agentperf.resilient(
            agentperf.retry(attempts=4),
            agentperf.cached(ttl="10m"),
            agentperf.rate_limited("500/min"),
        )

    Raises:
        ConfigurationError: Something is not a policy or an option of one, or there are two of a
            kind.
    """
    given = _policies("resilient() or @resilient(retry(attempts=4))", policies, options)
    given = given or (timed(), retry(), circuit_breaker())
    kinds = [policy.kind for policy in given]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise ConfigurationError(
                f"resilient() was given {kind} twice; which is to stand outside can be said with "
                "stack(...) only"
            )
    return Stack(tuple(sorted(given, key=lambda policy: place(policy.kind))))
