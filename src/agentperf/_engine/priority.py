"""Which of the waiting calls comes first: a priority is a head start in time.

So nobody is overtaken for ever, whatever comes: calls that come later than the head start of their
priority stand behind. Calls of one priority are served in the order they came.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from agentperf._base.callables import asked, refuse_async
from agentperf._base.keys.compiling import Part, compiled
from agentperf.errors import ConfigurationError

if TYPE_CHECKING:
    from agentperf._engine.bindings import Step
    from agentperf._engine.site import Target

Priority = str | Callable[..., float]
HeadStart = Callable[[tuple[Any, ...], dict[str, Any]], int]

STEP = 10_000_000_000
"""The head start of one step of priority over the next lower one, in nanoseconds."""
MOST = 10
"""Priorities go from `-MOST` to `MOST`, so that no head start is for ever."""


def head_starts(priority: Priority | None, target: Target) -> HeadStart | None:
    """Return what gives the head start of a call, in nanoseconds; None where all have the same.

    Args:
        priority: The parameter that holds it, or a callable over the call's arguments.
        target: The function.

    Raises:
        ConfigurationError: `priority` names no parameter.
    """
    if priority is None:
        return None
    name, signature = target.operation, target.signature
    if callable(priority):
        ask = partial(asked, priority, option="priority", function=name, signature=signature)
        return lambda args, kwargs: _head_start(ask(args, kwargs))
    if priority not in signature.parameters:
        raise ConfigurationError(
            f"priority={priority!r} is no parameter; use one of {', '.join(signature.parameters)}, "
            "or a callable such as priority=lambda prompt, **_: -1 if len(prompt) > 9000 else 0"
        )
    steps = compiled(name, signature, [Part(priority, _as_it_is)])
    return lambda args, kwargs: _head_start(steps(args, kwargs))


def minded(head_start: HeadStart | None, step: Step) -> Step:
    """Have the priority of every call looked at, so that a bad one doesn't wait to be noticed.

    Args:
        head_start: What gives it; None where nothing does.
        step: What lets calls in, and asks again for those that wait.
    """
    if head_start is None:
        return step

    def minding(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        head_start(args, kwargs)
        return step(args, kwargs)

    return minding


def _as_it_is(steps: Any) -> Any:
    return steps


def _head_start(steps: Any) -> int:
    number = isinstance(steps, int | float) and not isinstance(steps, bool)
    if not number or not -MOST <= steps <= MOST:
        raise ConfigurationError(
            f"priority= gave {steps!r}; a number from {-MOST} to {MOST}, higher ones come first"
        )
    return int(steps * STEP)


def checked_priority(priority: Priority | None) -> Priority | None:
    """Return what `priority=` says.

    Raises:
        ConfigurationError: It is nothing that could tell the priority of a call.
    """
    if callable(priority):
        refuse_async("priority", priority, "priority=lambda text, urgency=0: urgency")
        return priority
    if priority is None or isinstance(priority, str):
        return priority
    raise ConfigurationError(
        f"priority={priority!r}: the name of a parameter, or a callable over the call's "
        'arguments, priority="urgency"'
    )
