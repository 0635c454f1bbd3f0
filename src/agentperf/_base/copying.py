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
    """Return a deep copy; what is immutable is not copied.

    Raises:
        Exception: Whatever the value's own copying raises, where it can't be copied.
    """
    try:
        return _tree_copy(value)
    except RecursionError:
        return copy.deepcopy(value)  # it contains itself


def _tree_copy(value: Any) -> Any:
    # JSON-like values are most of what is cached, and this is three times faster than deepcopy.
    kind = type(value)
    if kind in _IMMUTABLE:
        return value
    if kind is dict:
        return {key: _tree_copy(item) for key, item in value.items()}
    if kind is list:
        return [_tree_copy(item) for item in value]
    return copy.deepcopy(value)
