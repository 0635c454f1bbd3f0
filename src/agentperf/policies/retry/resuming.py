"""How a call goes on where its stream broke."""

from __future__ import annotations

import inspect
from typing import Any

from agentperf._base.log import fault
from agentperf._engine.site import Target
from agentperf.policies.retry.options import Resume

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


def resumed(
    resume: Resume, given: list[Any], target: Target, args: Args, kwargs: Kwargs
) -> tuple[Args, Kwargs] | None:
    """Return the arguments of a call that gives the items after those; None where none can.

    Args:
        resume: What the user wrote.
        given: The items that were handed over; what the user gets is a list of its own.
        target: The function.
        args: The arguments of the first call.
        kwargs: The same.
    """
    try:
        changes = resume(list(given), *args, **kwargs)
        return None if changes is None else _changed(target.signature, changes, args, kwargs)
    except Exception as error:  # noqa: BLE001 - the error at hand is what the reader must see
        fault("retry.resume_failed", error)
        return None


def _changed(
    signature: inspect.Signature, changes: Any, args: Args, kwargs: Kwargs
) -> tuple[Args, Kwargs]:
    bound = signature.bind(*args, **kwargs)
    rest = next((p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD), None)
    for name, value in dict(changes).items():
        if name in signature.parameters:
            bound.arguments[name] = value
        elif rest is not None:
            bound.arguments[rest] = {**bound.arguments.get(rest, {}), name: value}
        else:
            raise TypeError(f"resume= returned {name!r}, which is no parameter")
    return bound.args, bound.kwargs
