"""Values of every supported kind, for property tests, and what it means to come back the same."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import zoneinfo
from collections.abc import Callable
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
    for kind, parts in PARTS.items():
        if isinstance(one, kind):
            mine, others = parts(one), parts(other)
            return len(mine) == len(others) and all(map(same, mine, others))
    return bool(one == other)


def fields(value: Any) -> list[Any]:
    """Return what an instance of one of the classes above holds."""
    names = getattr(type(value), "__struct_fields__", None) or type(value).__match_args__
    return [getattr(value, name) for name in names]


def moment(value: Any) -> list[Any]:
    """Return the parts of a time; equal ones may differ in them."""
    return [value.replace(tzinfo=None).isoformat(), value.fold, value.tzinfo]


PARTS: dict[Any, Callable[[Any], list[Any]]] = {
    float: lambda x: [x.hex()],
    complex: lambda x: [x.real, x.imag],
    np.ndarray: lambda x: [x.dtype.str, *x.shape, x.flags.fnc, x.tobytes()],
    collections.defaultdict: lambda x: [x.default_factory, *x.items()],
    dict: lambda x: [*x.items()],
    set | frozenset: lambda x: sorted(map(ascii, x)),
    Pair: list,
    collections.deque: lambda x: [x.maxlen, *x],
    list | tuple: list,
    pydantic.BaseModel: lambda x: [*x.__getstate__().values()],
    dt.datetime | dt.time: moment,
    decimal.Decimal: lambda x: [*x.as_tuple()],
    Answer | Point | Box | Lid | Row | Usage: fields,
}
"""What of a value to compare, where `==` doesn't tell all; the first kind that fits counts."""
