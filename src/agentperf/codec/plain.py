"""The kinds of Python's own types: containers, numbers, times."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import fractions
import itertools
import re
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any

from agentperf.codec.kinds import Code, Kind, checked
from agentperf.codec.refusals import Unstorable

_LONGEST_FRACTION = 10_000
"""Bits; reducing takes time that grows with their square."""

_FACTORIES: tuple[type | None, ...] = (None, list, dict, set, int, float, str, tuple, bool, bytes)
"""What a `defaultdict` may make its values with; stored as a number into this table."""

_ZONE = re.compile(r"[A-Za-z0-9_+\-]{1,32}(/[A-Za-z0-9_+\-]{1,32}){0,3}")
"""Names of time zones. They are looked up as files: nothing else may get there."""


# Mappings are written as keys and values in turn.


def _pairs(value: Mapping[Any, Any]) -> list[Any]:
    return list(itertools.chain.from_iterable(value.items()))


def _zipped(parts: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(parts[::2], parts[1::2], strict=True))


def _by_key(parts: list[Any], index: int) -> str:
    key = parts[index - index % 2]
    return f"[{key!r}]" if type(key) in {str, int} else f"[{type(key).__name__}]"


def _factory_and_pairs(value: collections.defaultdict[Any, Any]) -> list[Any]:
    factory: Any = value.default_factory
    if not any(factory is known for known in _FACTORIES):
        raise Unstorable("a defaultdict whose factory is no built-in type can't be stored")
    return [_FACTORIES.index(factory), _pairs(value)]


def _default_dict(parts: list[Any]) -> Any:
    number, pairs = parts
    factory = _FACTORIES[range(len(_FACTORIES)).index(checked(number, int))]
    return collections.defaultdict(factory, _zipped(checked(pairs, list)))


def _counter(parts: list[Any]) -> Any:
    counter: collections.Counter[Any] = collections.Counter()
    dict.update(counter, _zipped(parts))  # its own update adds up
    return counter


# Numbers and text


def _int_bytes(value: int) -> list[Any]:
    return [value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)]


def _int(parts: list[Any]) -> int:
    return int.from_bytes(checked(parts[0], bytes), "little", signed=True)


def _surrogates(parts: list[Any]) -> str:
    return str(checked(parts[0], bytes), "utf-8", "surrogatepass")


def _fraction_parts(value: fractions.Fraction) -> list[Any]:
    above, below = value.numerator, value.denominator
    if max(above.bit_length(), below.bit_length()) > _LONGEST_FRACTION:
        raise Unstorable(f"a Fraction of more than {_LONGEST_FRACTION} bits can't be stored")
    return [above, below]


def _fraction(parts: list[Any]) -> fractions.Fraction:
    above, below = (checked(part, int) for part in parts)
    if max(above.bit_length(), below.bit_length()) > _LONGEST_FRACTION:
        raise ValueError("a fraction that would take long to reduce")
    return fractions.Fraction(above, below)


# Times


def _zone_of(value: dt.datetime | dt.time) -> dt.tzinfo | None:
    zone = value.tzinfo
    if zone is None or type(zone) in {dt.timezone, zoneinfo.ZoneInfo}:
        return zone
    raise Unstorable(
        f"a time zone of type {type(zone).__name__} can't be stored; "
        "use datetime.timezone or zoneinfo.ZoneInfo"
    )


def _datetime_parts(value: dt.datetime) -> list[Any]:
    day = [value.year, value.month, value.day]
    return day + _time_parts(value)  # type: ignore[arg-type]


def _time_parts(value: dt.time) -> list[Any]:
    clock = [value.hour, value.minute, value.second, value.microsecond]
    return [*clock, _zone_of(value), value.fold]


def _offset_and_name(value: dt.timezone) -> list[Any]:
    return list(value.__getinitargs__())  # type: ignore[attr-defined]


def _zone_name(value: zoneinfo.ZoneInfo) -> list[Any]:
    key: Any = value.key  # None for one made from a file
    if key is None or not _ZONE.fullmatch(key):
        raise Unstorable("a ZoneInfo object without an ordinary name can't be stored")
    return [key]


def _zone_info(parts: list[Any]) -> zoneinfo.ZoneInfo:
    if not _ZONE.fullmatch(parts[0]):
        raise ValueError("no name of a time zone")
    return zoneinfo.ZoneInfo(parts[0])


def _made_by(make: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    return lambda parts: make(*parts)


PLAIN: Mapping[type, Kind] = {
    tuple: Kind(Code.TUPLE, list, tuple),
    set: Kind(Code.SET, list, set, lambda *_: "{…}"),
    frozenset: Kind(Code.FROZENSET, list, frozenset, lambda *_: "{…}"),
    dict: Kind(Code.DICT, _pairs, lambda parts: dict(_zipped(parts)), _by_key),
    collections.OrderedDict: Kind(
        Code.ORDERED_DICT,
        _pairs,
        lambda parts: collections.OrderedDict(_zipped(parts)),
        _by_key,
    ),
    collections.defaultdict: Kind(
        Code.DEFAULT_DICT, _factory_and_pairs, _default_dict, lambda *_: "{…}"
    ),
    collections.Counter: Kind(Code.COUNTER, _pairs, _counter, _by_key),
    collections.deque: Kind(
        Code.DEQUE,
        lambda value: [value.maxlen, *value],
        lambda parts: collections.deque(parts[1:], parts[0]),
        lambda _, index: f"[{index - 1}]",
    ),
    bytearray: Kind(
        Code.BYTEARRAY,
        lambda value: [bytes(value)],
        lambda parts: bytearray(checked(parts[0], bytes)),
    ),
    dt.datetime: Kind(
        Code.DATETIME,
        _datetime_parts,
        lambda parts: dt.datetime(*parts[:8], fold=parts[8]),  # noqa: DTZ001 - as it was
    ),
    dt.date: Kind(Code.DATE, lambda value: [value.year, value.month, value.day], _made_by(dt.date)),
    dt.time: Kind(Code.TIME, _time_parts, lambda parts: dt.time(*parts[:5], fold=parts[5])),
    dt.timedelta: Kind(
        Code.TIMEDELTA,
        lambda value: [value.days, value.seconds, value.microseconds],
        _made_by(dt.timedelta),
    ),
    dt.timezone: Kind(Code.TIMEZONE, _offset_and_name, _made_by(dt.timezone)),
    zoneinfo.ZoneInfo: Kind(Code.ZONE_INFO, _zone_name, _zone_info),
    decimal.Decimal: Kind(
        Code.DECIMAL,
        lambda value: [str(value)],
        lambda parts: decimal.Decimal(checked(parts[0], str)),
    ),
    uuid.UUID: Kind(
        Code.UUID,
        lambda value: [value.bytes],
        lambda parts: uuid.UUID(bytes=checked(parts[0], bytes)),
    ),
    complex: Kind(Code.COMPLEX, lambda value: [value.real, value.imag], _made_by(complex)),
    fractions.Fraction: Kind(Code.FRACTION, _fraction_parts, _fraction),
    range: Kind(Code.RANGE, lambda value: [value.start, value.stop, value.step], _made_by(range)),
}

# What msgpack has no room for, in values whose types it does know.
LARGE_INT = Kind(Code.INT, _int_bytes, _int)
SURROGATES = Kind(Code.STR, lambda value: [value.encode("utf-8", "surrogatepass")], _surrogates)

BY_CODE: Mapping[int, Kind] = {kind.code: kind for kind in (*PLAIN.values(), LARGE_INT, SURROGATES)}
