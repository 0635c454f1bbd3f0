"""What tells calls apart for policies with `by=`: their arguments, and who they are for."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import fields
from typing import Any

from agentperf._base.keys import key_maker
from agentperf._base.options import By
from agentperf._engine.scope import Scope, active
from agentperf._engine.site import Target
from agentperf.errors import ConfigurationError

KeyOf = Callable[[tuple[Any, ...], dict[str, Any]], Hashable]

OF_SCOPE = "scope."
"""What names begin with that mean a part of the scope: a parameter's name holds no dot."""


def keyed_by(by: By | None, target: Target) -> KeyOf | None:
    """Return what gives the key of a call; None where all calls share one.

    Raises:
        ConfigurationError: `by` names neither a parameter nor a part of the scope.
    """
    if by is None:
        return None
    names = (by,) if isinstance(by, str) else () if callable(by) else tuple(by)
    parts = tuple(_part(name) for name in names if name.startswith(OF_SCOPE))
    if not parts:
        return key_maker(target.operation, target.signature, key=by, option="by")
    arguments = tuple(name for name in names if not name.startswith(OF_SCOPE))
    of_call = _of_arguments(arguments, target)

    def key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        scope = active.get()
        return *(getattr(scope, part) for part in parts), of_call(args, kwargs)

    return key


def named_by(by: By | None, target: Target, key: Hashable) -> Hashable:
    """Return the value that a key of `keyed_by` stands for, as the user knows it.

    One that several names or fields make is a tuple of theirs: of a template in its order, else in
    the order of `by`.
    """
    from agentperf._base.keys.thawing import thawed  # only who looks needs it

    if by is None or callable(by):
        return thawed(key)
    names = (by,) if isinstance(by, str) else tuple(dict.fromkeys(by))
    parts: Any = key
    if isinstance(by, str) and ("{" in by or "}" in by):
        return _one_or_all([thawed(part) for part in parts[1:]])  # the template comes first
    scoped = [name for name in names if name.startswith(OF_SCOPE)]
    arguments = [name for name in target.signature.parameters if name in names]
    values: list[Any] = []
    if scoped:
        *values, parts = parts  # as `keyed_by` has put them
    values += parts if len(arguments) > 1 else [parts] * len(arguments)
    found = dict(zip([*scoped, *arguments], map(thawed, values), strict=True))
    return _one_or_all([found[name] for name in names])


def _one_or_all(values: list[Hashable]) -> Hashable:
    return values[0] if len(values) == 1 else tuple(values)


def _of_arguments(names: tuple[str, ...], target: Target) -> KeyOf:
    if not names:
        return lambda *_: None
    return key_maker(target.operation, target.signature, key=names, option="by")


def _part(name: str) -> str:
    known = [field.name for field in fields(Scope)]
    part = name.removeprefix(OF_SCOPE)
    if part not in known:
        there = ", ".join(f'"{OF_SCOPE}{one}"' for one in known)
        raise ConfigurationError(f"by={name!r} is no part of the scope; there are {there}")
    return part
