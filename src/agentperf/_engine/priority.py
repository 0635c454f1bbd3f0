"""Which of the waiting calls comes first: a priority is a head start in time.

So nobody is overtaken for ever, whatever comes: calls that come later than the head start of their
priority stand behind. Calls of one priority are served in the order they came.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from agentperf._base.callables import refuse_async
from agentperf._engine.sizing import by_name
from agentperf.errors import ConfigurationError

Priority = str | Callable[..., float]
HeadStart = Callable[[tuple[Any, ...], dict[str, Any]], int]

STEP = 10_000_000_000
"""The head start of one step of priority over the next lower one, in nanoseconds."""
MOST = 10
"""Priorities go from `-MOST` to `MOST`, so that no head start is for ever."""


def head_starts(priority: Priority | None, signature: inspect.Signature) -> HeadStart | None:
    """Return what gives the head start of a call, in nanoseconds; None where all have the same.

    Args:
        priority: The parameter that holds it, or a callable over the call's arguments.
        signature: The function's parameters.

    Raises:
        ConfigurationError: `priority` names no parameter.
    """
    if priority is None:
        return None
    if callable(priority):
        ask = priority
        return lambda args, kwargs: _head_start(ask(*args, **kwargs))
    if priority not in signature.parameters:
        raise ConfigurationError(
            f"priority={priority!r} is no parameter; use one of {', '.join(signature.parameters)}, "
            "or a callable such as priority=lambda prompt, **_: -1 if len(prompt) > 9000 else 0"
        )
    return lambda args, kwargs: _head_start(by_name(signature, args, kwargs).get(priority))


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
