"""About how many bytes a value holds: safe for any value, and quickly done with a large one."""

from __future__ import annotations

import gc
import sys
from collections.abc import Collection, Sequence
from itertools import islice
from types import BuiltinFunctionType, FunctionType, GetSetDescriptorType, ModuleType
from typing import Any

ENTRY = 300
"""Bytes of an entry itself, with its place in the table."""

LOOKED_AT = 2_000
"""So many objects of a value are weighed one by one; the others are taken to be like them."""

SAMPLE = 200
"""So many items of a container are looked at, evenly spread, and stand for the others."""

_OF_THE_PROGRAM = (type, ModuleType, FunctionType, BuiltinFunctionType)
_FLAT = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})


def weigh(*values: object) -> int:
    """Return about how many bytes values hold together, with all that can be reached from them.

    What is reached in several ways, or by a way back, counts once; classes, modules and functions
    belong to the program and don't count. No code of the values is run but their `__sizeof__`.

    Args:
        values: Anything.
    """
    seen: set[int] = set()
    pending: list[tuple[Any, float]] = [(value, 1.0) for value in values]
    total = counted = 0.0
    while pending and len(seen) < LOOKED_AT:
        thing, times = pending.pop()
        if id(thing) in seen or isinstance(thing, _OF_THE_PROGRAM):
            continue
        seen.add(id(thing))
        total += times * _shallow(thing)
        counted += times
        if type(thing) not in _FLAT:
            parts, share = _parts(thing)
            pending.extend((part, times * share) for part in parts)
    rest = sum(times for thing, times in pending if id(thing) not in seen)
    return round(total + rest * (total / counted if counted else 0.0))


def _shallow(thing: Any) -> int:
    try:
        size = sys.getsizeof(thing, 64)
        if type(getattr(type(thing), "nbytes", None)) is GetSetDescriptorType:
            return max(size, int(thing.nbytes))  # an array that lies in memory of its own
    except Exception:  # noqa: BLE001 - a `__sizeof__` of somebody else's
        return 64
    return size


def _parts(thing: Any) -> tuple[Sequence[Any], float]:
    """Return what an object refers to, or a sample of it, and for how many each stands."""
    kind = type(thing)
    if kind is dict:
        some, share = _sample(thing.items())
        return [part for item in some for part in item], share
    if kind in (list, tuple, set, frozenset):
        return _sample(thing)
    return _sample(gc.get_referents(thing))


def _sample(things: Collection[Any]) -> tuple[Sequence[Any], float]:
    if len(things) <= SAMPLE:
        return list(things), 1.0
    some = list(islice(things, 0, None, len(things) // SAMPLE))
    distinct = len({id(part) for part in some})
    # Few that come again and again are all there are; else there are more like them.
    return some, len(things) / len(some) if distinct > len(some) / 2 else 1.0
