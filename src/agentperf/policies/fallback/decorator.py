"""The decorator `fallback`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from agentperf._base.options import refuse_unknown
from agentperf._engine.bindings import Step
from agentperf._engine.policy import Policy
from agentperf._engine.resuming import Resume, check_resume, checked_resume
from agentperf._engine.site import Site, Target
from agentperf.errors import ConfigurationError
from agentperf.policies.fallback.core import Failures, checked_failures
from agentperf.policies.fallback.layer import FallbackLayer
from agentperf.policies.fallback.link import Link

F = TypeVar("F", bound=Callable[..., Any])

_EXAMPLE = 'fallback needs what answers instead: @fallback(ask_the_small_model, "Try later.")'


@dataclass(frozen=True, eq=False)
class Fallback(Policy):
    """Has something else answer when a call fails; made by `fallback`."""

    kind = "fallback"

    links: tuple[Link, ...]
    on: Failures | None = None
    resume: Resume | None = None

    def __call__(self, function: F) -> F:
        """Decorate a function, method or callable; its signature stays as it was."""
        if not callable(function) and not hasattr(type(function), "__get__"):
            raise ConfigurationError(_EXAMPLE)  # @fallback, without anything that answers
        return super().__call__(function)

    def check(self, target: Target) -> None:
        """Refuse links that can't answer for a function."""
        for link in self.links:
            link.check(target)
        check_resume(self.resume, target)

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the fallback around `inner`."""
        name = self.name or site.operation
        return FallbackLayer(site, self.links, self.on, self.resume, name).bound(inner)


def fallback(
    *targets: Any,
    model: str | Sequence[str] | None = None,
    on: Failures | None = None,
    resume: Resume | None = None,
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Fallback:
    """Have something else answer when a call fails: another model, another function, or a value.

    The links of the chain are asked in turn until one answers. Which failures are answered is
    decided by `agentperf.classify`: rate limits, overload, server errors, lost connections,
    timeouts and the refusals of other policies are, and prompts that are too long for a model;
    wrong requests, programming errors and errors that nobody knows are not. Cancellation ends
    everything at once. A stream falls back only until its first item was handed over, unless
    `resume=` says how to go on; the call waits for that item.

    When all fail, the last error is raised; those before are its context.

    Args:
        *targets: Functions, which are called with the arguments of the call (for a method, its
            object first), or values, which are the answer as they are. Of a generator also the
            values must give items. A `Link` says more: for which failures it stands, and which
            arguments it changes.
        model: Models to ask in turn, before the targets: the same function is called once more,
            through the policies further in, with this as its `model`.
        on: Which failures to answer instead: exception types, a `Remedy` or a `Fault` that the
            classifier finds, a tuple of these, or a callable that is given the error.
        resume: Go on with a stream that broke: called with a list of the items handed over so far
            and the call's arguments, it returns the arguments to change by name, for a link that
            gives the items that are missing; None where that can't be. A value's items follow as
            they are.
        name: What events call it; the operation by default.
        enabled: False, or a callable that says False at a call, lets failures pass through.
        **unknown: Refused, with what was probably meant.

    Example:
        @agentperf.fallback("I can't answer that now.", model="gpt-4o-mini")
        async def ask(question: str, model: str = "gpt-4o") -> str: ...

    Raises:
        ConfigurationError: An option is malformed, or nothing answers instead; at decoration, a
            link changes what is no parameter, or can't be called as the function is; then or at the
            first call, an asynchronous function was to answer for a synchronous one.
    """
    refuse_unknown(fallback, unknown)
    links = (*_models(model), *(_link(target) for target in targets))
    if not links:
        raise ConfigurationError(_EXAMPLE)
    return Fallback(
        links,
        on=checked_failures(on),
        resume=checked_resume(resume),
        name=name,
        enabled=enabled,
    )


def _link(target: Any) -> Link:
    return target if isinstance(target, Link) else Link(target)


def _models(model: object) -> list[Link]:
    if model is None:
        return []
    models = [model] if isinstance(model, str) else model
    if isinstance(models, list | tuple) and models:
        names = [name for name in models if isinstance(name, str) and name]
        if len(names) == len(models):
            return [Link(model=name) for name in names]
    raise ConfigurationError(
        f'model={model!r}: a model or a list of them, such as model="gpt-4o-mini"'
    )
