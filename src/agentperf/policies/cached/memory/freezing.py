"""Values that nobody can change, made once of values that somebody could."""

from __future__ import annotations

import copy
import dataclasses
import operator
from types import MappingProxyType
from typing import Any

from agentperf._base.copying import is_immutable
from agentperf._engine.bindings import Step
from agentperf._engine.layers import Proceed
from agentperf._engine.site import Site
from agentperf.errors import UncacheableValueError

_SEQUENCES = (list, tuple)
_SETS = (set, frozenset)


def freezing(site: Site, inner: Step) -> Step:
    """Have `inner` give frozen values: whoever computes one gets what all others get.

    What can't be frozen comes as it is; it is refused where it would be stored.
    """

    async def run(proceed: Proceed, *call: Any) -> Any:
        value = await proceed(*call)
        try:
            return frozen(value)
        except UncacheableValueError:
            return value

    return site.driver.flow(run, inner)


def frozen(value: Any) -> Any:
    """Return an equal value that nobody can change, nor anything in it.

    Lists become tuples, sets frozensets, dicts read-only views of a copy, bytearrays bytes. Named
    tuples, frozen dataclasses and arrays of NumPy keep their class; what is immutable is returned
    as it is.

    Raises:
        UncacheableValueError: It holds something else.
    """
    try:
        return _frozen(value)
    except RecursionError:
        raise UncacheableValueError("it refers to itself, or is nested too deep") from None


def _frozen(value: Any) -> Any:
    kind = type(value)
    if kind in _SEQUENCES:
        items = tuple(map(_frozen, value))
        is_same = kind is tuple and all(map(operator.is_, items, value))
        return value if is_same else items
    if kind is dict or kind is MappingProxyType:
        return MappingProxyType({key: _frozen(held) for key, held in value.items()})
    if kind in _SETS:  # what is hashable there may still be changed
        members = frozenset(map(_frozen, value))
        return value if kind is frozenset and all(map(is_immutable, value)) else members
    if kind is bytearray:
        return bytes(value)
    if is_immutable(value):
        return value
    return _object(value, kind)


def _object(value: Any, kind: type[Any]) -> Any:
    make = getattr(kind, "_make", None) if issubclass(kind, tuple) else None
    if make is not None:
        return make(map(_frozen, value))
    if dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return _dataclass(value)
    if (kind.__module__, kind.__qualname__) == ("numpy", "ndarray") and not value.dtype.hasobject:
        array = value.copy()
        array.setflags(write=False)
        return array.view()  # of one that is read-only, no view can be made writable
    raise UncacheableValueError(
        f"a {kind.__qualname__} can't be frozen: return tuples, dicts, sets, frozen dataclasses "
        "(@dataclass(frozen=True)) or immutable values, or leave copy= out"
    )


def _dataclass(value: Any) -> Any:
    names = [field.name for field in dataclasses.fields(value)]
    held = {name: getattr(value, name) for name in names if hasattr(value, name)}
    others = {name: _frozen(old) for name, old in held.items()}
    if all(others[name] is old for name, old in held.items()):
        return value
    made = copy.copy(value)
    for name, new in others.items():
        object.__setattr__(made, name, new)
    return made
