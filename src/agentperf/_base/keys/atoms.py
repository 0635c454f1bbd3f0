"""Values that hold no other values, frozen.

Types outside the builtins are known by their qualified name, so that recognising a numpy array
imports no numpy.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from agentperf._base.keys.names import lasting_name
from agentperf._base.keys.unkeyable import Unkeyable

Freezer = Callable[[Any, int], Hashable]
"""Freezes a value of one type; the number says how deep what it holds would sit."""

_LARGE = 1024


def _content(data: bytes) -> Hashable:
    """Bytes as they are, or their digest when they are too large to keep in a key."""
    if len(data) <= _LARGE:
        return data
    from hashlib import blake2b

    digest = blake2b(data, digest_size=20, usedforsecurity=False).digest()
    return ("blake2b", len(data), digest)


def _memoryview(value: memoryview, _: int) -> Hashable:
    try:
        return ("memoryview", value.format, value.shape, _content(value.tobytes()))
    except ValueError as error:
        raise Unkeyable(f"a memoryview object can't be read: {error}") from None


def function(value: types.FunctionType | types.BuiltinFunctionType, _: int) -> Hashable:
    """Freeze a function that its module knows by name."""
    name = lasting_name(value)
    if name is None:
        raise Unkeyable(
            f"the function {value.__qualname__!r} can't be found in its module under that name, "
            "as is the rule with lambdas and with functions defined inside others"
        )
    return ("global", name)


def _zone_info(value: Any, _: int) -> Hashable:
    if value.key is None:
        raise Unkeyable("a ZoneInfo object made from a file has no name")
    return ("ZoneInfo", value.key)


def _array(value: Any, _: int) -> Hashable:
    dtype = value.dtype
    if dtype.hasobject:
        raise Unkeyable(f"an array of dtype {dtype} holds Python objects; pass a list instead")
    layout = repr(dtype.descr) if dtype.names else dtype.str
    return ("array", layout, value.shape, _content(value.tobytes()))


def _as_text(tag: str) -> Freezer:
    return lambda value, _: (tag, str(value))


# Subclasses come here too: what a subclass overrides must not change what is read.
BUILTIN_ATOMS: Mapping[type, Freezer] = {
    str: lambda value, _: str.__str__(value),
    bool: lambda value, _: ("bool", value),
    int: lambda value, _: ("int", int.__int__(value)),
    float: lambda value, _: ("float", float.hex(value)),
    complex: lambda value, _: ("complex", value.real.hex(), value.imag.hex()),
    bytes: lambda value, _: ("bytes", _content(memoryview(value).tobytes())),
    bytearray: lambda value, _: ("bytearray", _content(memoryview(value).tobytes())),
    memoryview: _memoryview,
    range: lambda value, _: ("range", value.start, value.stop, value.step),
    types.FunctionType: function,
}

NAMED_ATOMS: Mapping[str, Freezer] = {
    "array.array": lambda value, _: ("array.array", value.typecode, _content(value.tobytes())),
    "datetime.date": lambda value, _: ("date", value.isoformat()),
    "datetime.timedelta": lambda value, _: (
        "timedelta",
        value.days,
        value.seconds,
        value.microseconds,
    ),
    "decimal.Decimal": lambda value, _: ("Decimal", *value.as_tuple()),
    "fractions.Fraction": lambda value, _: ("Fraction", value.numerator, value.denominator),
    "numpy.generic": _array,
    "numpy.ndarray": _array,
    "pydantic.networks._BaseUrl": _as_text("url"),
    "pydantic_core._pydantic_core.Url": _as_text("url"),
    "re.Pattern": lambda value, _: (
        "Pattern",
        type(value.pattern).__name__,
        value.pattern,
        value.flags,
    ),
    "uuid.UUID": lambda value, _: ("UUID", value.hex),
    "zoneinfo.ZoneInfo": _zone_info,
    **{
        f"ipaddress.IPv{version}{what}": _as_text(f"IPv{version}{what}")
        for version in (4, 6)
        for what in ("Address", "Interface", "Network")
    },
    **{
        f"{module}.{name}": _as_text(name)
        for module in ("pathlib", "pathlib._local")
        for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
    },
}
