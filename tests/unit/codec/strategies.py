"""Values of every supported kind, for property tests, and what it means to come back the same."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import math
import zoneinfo
from typing import Any, NamedTuple

import attrs
import msgspec
import numpy as np
import pydantic
from hypothesis import strategies as st

from agentperf import Usage


class Colour(enum.Enum):
    """A member by name."""

    RED = 1.5
    BLUE = "blue"


class Level(enum.IntEnum):
    """A subclass of int."""

    LOW = 1


class Right(enum.Flag):
    """Members that combine."""

    READ = enum.auto()
    WRITE = enum.auto()


class Pair(NamedTuple):
    """A named tuple."""

    left: Any
    right: Any


@dataclasses.dataclass
class Answer:
    """An ordinary dataclass."""

    text: str
    items: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """A frozen one with slots."""

    x: Any


@attrs.define
class Box:
    """An attrs class, with slots."""

    content: Any


@attrs.frozen(slots=False)
class Lid:
    """A frozen one without."""

    content: Any


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A Struct."""

    cells: Any


class Model(pydantic.BaseModel):
    """A model that keeps what it doesn't know."""

    model_config = pydantic.ConfigDict(extra="allow")
    content: Any = None
    other: int = 3


ZONES = st.one_of(
    st.none(),
    st.just(dt.UTC),
    st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23)).map(dt.timezone),
    st.sampled_from(["Europe/Paris", "UTC", "America/New_York"]).map(zoneinfo.ZoneInfo),
)
TEXT = st.text(st.characters(exclude_categories=())) | st.just("\ud800")
ARRAYS = st.builds(
    lambda dtype, shape, order: np.asarray(np.ones(shape, dtype), order=order),
    st.sampled_from(["?", "i1", "<u8", ">i4", "f2", "f8", "c16", "M8[s]", "U3", "S2"]),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from("CF"),
)
HASHABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**80), 2**80),
    st.floats(),
    TEXT,
    st.binary(),
    st.dates(),
    st.times(timezones=ZONES),
    st.datetimes(timezones=ZONES),
    st.timedeltas(),
    ZONES,
    st.decimals(allow_nan=False),
    st.just(decimal.Decimal("-0.00")),
    st.fractions(),
    st.complex_numbers(),
    st.uuids(),
    st.builds(range, st.integers(-9, 9)),
    st.sampled_from([*Colour, *Level, *Right, Right.READ | Right.WRITE, Right(0)]),
    st.builds(Usage, st.integers(0, 9), cost_usd=st.none() | st.floats()),
)
LEAVES = st.one_of(
    HASHABLE,
    st.binary().map(bytearray),
    ARRAYS,
    st.sampled_from([np.float32(1.5), np.int64(3), np.bool_(True), np.str_("x")]),
    st.lists(st.floats(), min_size=30, max_size=40),
)
KEYS = HASHABLE | st.tuples(HASHABLE, HASHABLE) | st.builds(Point, HASHABLE)


def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Put values into containers and records."""
    return st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(TEXT, inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4).map(collections.OrderedDict),
        st.dictionaries(KEYS, inner, max_size=4).map(
            lambda items: collections.defaultdict(list, items)
        ),
        st.dictionaries(KEYS, st.integers(), max_size=4).map(collections.Counter),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
        st.lists(inner, max_size=3).map(lambda items: collections.deque(items, 5)),
        st.builds(Pair, inner, inner),
        st.builds(Answer, st.text(), inner),
        st.builds(Point, inner),
        st.builds(Box, inner),
        st.builds(Lid, inner),
        st.builds(lambda cells: Row(cells=cells), inner),
        st.builds(lambda content, more: Model(content=content, more=more), inner, inner),
    )


VALUES = st.recursive(LEAVES, grown, max_leaves=12)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.copysign(1, one) == math.copysign(1, other) and (one == other or one != one)  # noqa: PLR0124
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, np.ndarray):
        alike = one.dtype == other.dtype and one.shape == other.shape
        fortran = [array.flags.fnc for array in (one, other)]
        return alike and fortran[0] == fortran[1] and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return same_items(list(one.items()), list(other.items())) and same(
            getattr(one, "default_factory", None), getattr(other, "default_factory", None)
        )
    if isinstance(one, set | frozenset):
        return len(one) == len(other) and sorted(map(ascii, one)) == sorted(map(ascii, other))
    if isinstance(one, list | tuple | collections.deque):
        same_bound = getattr(one, "maxlen", None) == getattr(other, "maxlen", None)
        return same_bound and same_items(list(one), list(other))
    if isinstance(one, pydantic.BaseModel):
        return same(one.__getstate__(), other.__getstate__())
    if isinstance(one, dt.datetime | dt.time):
        naive = one.replace(tzinfo=None) == other.replace(tzinfo=None)
        return naive and one.fold == other.fold and same(one.tzinfo, other.tzinfo)
    if isinstance(one, decimal.Decimal):
        return one.as_tuple() == other.as_tuple()
    if names := getattr(type(one), "__struct_fields__", getattr(type(one), "__match_args__", ())):
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    return bool(one == other)


def same_items(one: list[Any], other: list[Any]) -> bool:
    """Whether two sequences hold the same, in the same order."""
    return len(one) == len(other) and all(map(same, one, other))
