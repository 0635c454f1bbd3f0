"""Copies of values, made so that whoever changes one changes nobody else's."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import re
import types
import uuid
from typing import Any

_IMMUTABLE: frozenset[type] = frozenset(
    {
        type(None),
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        range,
        type(...),
        type(NotImplemented),
        dt.date,
        dt.datetime,
        dt.time,
        dt.timedelta,
        dt.timezone,
        decimal.Decimal,
        fractions.Fraction,
        uuid.UUID,
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        pathlib.PosixPath,
        pathlib.WindowsPath,
        re.Pattern,
        types.FunctionType,
        types.BuiltinFunctionType,
        type,
    }
)


def is_immutable(value: object) -> bool:
    """Whether nobody can change `value`, nor anything in it, so that it may be shared."""
    kind = type(value)
    if kind in _IMMUTABLE:
        return True
    if kind is tuple or kind is frozenset:
        return all(is_immutable(item) for item in value)  # type: ignore[attr-defined]
    return isinstance(value, enum.Enum)


def copied(value: Any) -> Any:
    """Return a deep copy; what is immutable is not copied, and what is one object stays one.

    Raises:
        Exception: Whatever the value's own copying raises, where it can't be copied.
    """
    return _tree_copy(value, {})


def _tree_copy(value: Any, copies: dict[int, Any]) -> Any:
    # JSON-like values are most of what is cached, and this is several times faster than deepcopy.
    kind = type(value)
    if kind in _IMMUTABLE:
        return value
    if kind is not dict and kind is not list:
        return copy.deepcopy(value, copies)
    if (made := copies.get(id(value))) is not None:
        return made
    if kind is list:
        made = copies[id(value)] = []
        made.extend([x if type(x) in _IMMUTABLE else _tree_copy(x, copies) for x in value])
    else:
        made = copies[id(value)] = {}
        for key, x in value.items():
            made[key] = x if type(x) in _IMMUTABLE else _tree_copy(x, copies)
    return made
