"""One link of a fallback's chain, as users write it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from agentperf._base.callables import signature_of
from agentperf._engine.resuming import takes_any
from agentperf._engine.site import Target
from agentperf._engine.substitutes import check_substitute
from agentperf.errors import ConfigurationError
from agentperf.policies.fallback.core import Failures, checked_failures

_ITSELF: Any = object()


class Link:
    """What answers in a `fallback`: with which arguments, and for which failures.

    Args:
        target: A function, or a value, as in `fallback`. Left out, the decorated function itself is
            called once more, through the policies further in.
        on: For which failures it stands, in place of the `on` of the fallback: a `Remedy` or a
            `Fault`, exception types, a tuple of these, or a callable that is given the error.
        **arguments: What the function is called with in place of the call's own arguments, by the
            names of its parameters.

    Example:
        agentperf.fallback(
            agentperf.Link(model="gpt-4.1", on=agentperf.Remedy.LARGER_CONTEXT),
            agentperf.Link(model="gpt-4o-mini"),
        )

    Raises:
        ConfigurationError: There is nothing to answer with, `on` is malformed, or arguments are
            given to a value.
    """

    def __init__(
        self, target: Any = _ITSELF, /, *, on: Failures | None = None, **arguments: Any
    ) -> None:
        if target is _ITSELF and not arguments:
            raise ConfigurationError(
                "Link() needs what answers: Link(ask_the_small_model), or arguments for the same "
                'function, as in Link(model="gpt-4o-mini")'
            )
        self.target = target
        self.on = checked_failures(on)
        self.arguments = arguments
        if arguments and not self.is_function:
            raise ConfigurationError(
                f"Link({target!r}, {next(iter(arguments))}=...): a value takes no arguments"
            )

    @property
    def is_itself(self) -> bool:
        """Whether the decorated function is called once more."""
        return self.target is _ITSELF

    @property
    def is_function(self) -> bool:
        """Whether something is called, rather than answered with as it is."""
        return self.is_itself or callable(self.target)

    def function(self) -> Callable[..., Any]:
        """Return what is called where another function, or a value, answers."""
        target = self.target
        return target if callable(target) else lambda *_, **__: target

    def signature(self, target: Target) -> inspect.Signature:
        """Return the signature of what is called in place of `target`."""
        return target.signature if self.is_itself else signature_of(self.target)

    def check(self, target: Target) -> None:
        """Refuse what can't answer for a function.

        Raises:
            ConfigurationError: It would give one value instead of items, can't be called as the
                function is, or there is no such parameter.
        """
        if self.is_function and not self.is_itself:
            check_substitute(self.target, target, "a fallback")
        if target.shape.streams and not self.is_function and not _gives_items(self.target):
            raise ConfigurationError(
                f"{target.operation} gives its answer item by item; so must its fallback, "
                f"such as fallback([{self.target!r}])"
            )
        signature = self.signature(target) if self.arguments else None
        for name in self.arguments:
            if signature is not None and not _takes(signature, name):
                what = target.operation if self.is_itself else repr(self.target)
                raise ConfigurationError(
                    f"{what} has no parameter {name!r} for the fallback to set: give it one, as in "
                    f"`def ask(prompt, {name}=...)`, or a function of its own"
                )


def _takes(signature: inspect.Signature, name: str) -> bool:
    found = signature.parameters.get(name)
    if found is None or found.kind in (found.VAR_POSITIONAL, found.VAR_KEYWORD):
        return takes_any(signature) is not None
    return True


def _gives_items(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)
