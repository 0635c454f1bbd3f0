"""The decorator `fallback`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from agentperf._base.options import refuse_unknown
from agentperf._engine.bindings import Step
from agentperf._engine.choosing import On, checked_on
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site, Target
from agentperf.errors import ConfigurationError
from agentperf.policies.fallback.layer import FallbackLayer

F = TypeVar("F", bound=Callable[..., Any])

_EXAMPLE = 'fallback needs what answers instead: @fallback(ask_the_small_model, "Try later.")'


@dataclass(frozen=True, eq=False)
class Fallback(Policy):
    """Has something else answer when a call fails; made by `fallback`."""

    kind = "fallback"

    targets: tuple[Any, ...]
    on: On | None = None

    def __call__(self, function: F) -> F:
        """Decorate a function, method or callable; its signature stays as it was."""
        if not callable(function) and not hasattr(type(function), "__get__"):
            raise ConfigurationError(_EXAMPLE)  # @fallback, without anything that answers
        return super().__call__(function)

    def check(self, target: Target) -> None:
        """Refuse values that can't stand for the stream that a function gives."""
        if not target.shape.streams:
            return
        for value in self.targets:
            if not callable(value) and (isinstance(value, str) or not isinstance(value, Iterable)):
                raise ConfigurationError(
                    f"{target.operation} gives its answer item by item; so must its fallback, "
                    f"such as fallback([{value!r}])"
                )

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the fallback around `inner`."""
        name = self.name or site.operation
        return FallbackLayer(site, self.targets, self.on, name).bound(inner)


def fallback(
    *targets: Any,
    on: On | None = None,
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Fallback:
    """Have something else answer when a call fails: another function, or a value.

    The targets are tried in turn until one answers. Which failures are answered is decided by
    `agentperf.classify`: rate limits, overload, server errors, lost connections, timeouts and the
    refusals of other policies are, and prompts that are too long for a model; wrong requests,
    programming errors and errors that nobody knows are not. Cancellation ends everything at once.
    A stream falls back only until its first item was handed over; the call waits for that item.

    When all fail, the last error is raised; those before are its context.

    Args:
        *targets: Functions, which are called with the arguments of the call (for a method, its
            object first), or values, which are the answer as they are. Of a generator also the
            values must give items.
        on: Which errors to answer instead: exception types, or a callable that is given the error.
        name: What events call it; the operation by default.
        enabled: False, or a callable that says False at a call, lets failures pass through.
        **unknown: Refused, with what was probably meant.

    Example:
        @agentperf.fallback(ask_the_small_model, "I can't answer that now.")
        async def ask(question: str) -> str: ...

    Raises:
        ConfigurationError: An option is malformed, or nothing answers instead; at a call, an
            asynchronous function was to answer for a synchronous one.
    """
    refuse_unknown(fallback, unknown)
    if not targets:
        raise ConfigurationError(_EXAMPLE)
    return Fallback(targets, on=checked_on(on), name=name, enabled=enabled)
