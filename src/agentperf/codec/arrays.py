"""The kinds of numpy: arrays and scalars of numbers, times and fixed-length text."""

from __future__ import annotations

import re
import sys
from typing import Any

from agentperf.codec.kinds import Code, Kind, checked
from agentperf.codec.refusals import Unstorable

_DTYPE = re.compile(
    r"\|b1|[|<>][iu]1|[<>][iu][248]|[<>]f[248]|[<>]c(8|16)"
    r"|[<>][mM]8\[(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\]|[|<>][SU][1-9]\d{0,5}"
)
"""The types of elements, as numpy spells them; what holds Python objects is not among them."""


def kind_of(value: Any) -> Kind | None:
    """Say how an array or a scalar of numpy is written; None for anything else."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if type(value) is numpy.ndarray:
        return ARRAY
    return SCALAR if isinstance(value, numpy.generic) else None


def _spelled(dtype: Any) -> str:
    if dtype.names or dtype.subdtype or not _DTYPE.fullmatch(dtype.str):
        raise Unstorable(
            f"an array of dtype {dtype} can't be stored; "
            "numbers, times and text of fixed length can"
        )
    return str(dtype.str)


def _array_parts(value: Any) -> list[Any]:
    fortran = value.flags.f_contiguous and not value.flags.c_contiguous
    order = "F" if fortran else "C"
    return [_spelled(value.dtype), order, list(value.shape), value.tobytes(order)]


def _array(parts: list[Any]) -> Any:
    import numpy as np

    spelled, order, shape, data = parts
    if not _DTYPE.fullmatch(checked(spelled, str)) or order not in {"C", "F"}:
        raise ValueError("no array of a known type")
    dtype = np.dtype(spelled)
    flat = np.frombuffer(checked(data, bytes), dtype)
    # A copy: what was read belongs to nobody and couldn't be changed.
    return flat.reshape(_sizes(shape), order=order).copy(order)


def _sizes(shape: Any) -> tuple[int, ...]:
    sizes = tuple(checked(size, int) for size in shape)
    if any(size < 0 for size in sizes):
        raise ValueError("a negative size")
    return sizes


def _scalar_parts(value: Any) -> list[Any]:
    spelled = _spelled(value.dtype)
    if value.dtype.type is not type(value):
        raise Unstorable(f"a {type(value).__name__} of numpy can't be stored; use a plain number")
    import numpy as np

    if np.dtype(spelled).type is not type(value):
        raise Unstorable(
            f"a numpy.{type(value).__name__} is stored like another type here; "
            "convert it with int(...) or float(...)"
        )
    return [spelled, value.tobytes()]


def _scalar(parts: list[Any]) -> Any:
    spelled, data = parts
    return _array([spelled, "C", [1], data])[0]


ARRAY = Kind(Code.ARRAY, _array_parts, _array)
SCALAR = Kind(Code.SCALAR, _scalar_parts, _scalar)
