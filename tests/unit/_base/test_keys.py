"""What freezes, to what, and what refuses to."""

# ruff: noqa: D101, D102, D103 -- the things to be keyed need no words
from __future__ import annotations

import array
import asyncio
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import io
import ipaddress
import itertools
import json
import math
import operator
import pathlib
import pickle
import re
import socket
import sys
import threading
import types
import typing
import uuid
import zoneinfo

import attrs
import msgspec
import numpy as np
import openai
import pydantic
import pytest
import wrapt
from hypothesis import given
from hypothesis import strategies as st

from agentperf._base.keys import Unkeyable, digest, freeze, qualified_name
from agentperf.errors import UncacheableArgumentError


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Name(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    ONE = 1


class Right(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Marker(enum.Enum):
    FIRST = object()
    SECOND = object()  # noqa: PIE796


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Items(list):  # type: ignore[type-arg]
    pass


class Table(dict):  # type: ignore[type-arg]
    pass


class Point(typing.NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Plain:
    a: int
    b: object = None


@dataclasses.dataclass
class Twin:
    a: int
    b: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    a: int
    b: object = None


class MoreThanPlain(Plain):
    """A plain subclass of a dataclass: what it adds is no field."""

    def __init__(self, a: int, extra: object) -> None:
        super().__init__(a)
        self.extra = extra


@attrs.define
class Attrs:
    a: int
    b: object = None


class Struct(msgspec.Struct):
    a: int
    b: object = None


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    a: int
    b: object = None
    _secret: int = pydantic.PrivateAttr(default=0)

    @functools.cached_property
    def twice(self) -> int:
        return self.a * 2


class OtherModel(pydantic.BaseModel):
    a: int
    b: object = None


class Client:
    """Has no value of its own."""

    def call(self) -> None: ...


class Tenant:
    def __init__(self, name: object) -> None:
        self.name = name

    def __agentperf_key__(self) -> object:
        return self.name

    def call(self) -> None: ...


class OtherTenant(Tenant):
    pass


class Fixed:
    __agentperf_key__ = "v1"


class Computed:
    def __init__(self, name: object) -> None:
        self.name = name

    @property
    def __agentperf_key__(self) -> object:
        return self.name


class Private(dict):  # type: ignore[type-arg]
    __agentperf_key__ = None


class KeyedList(list):  # type: ignore[type-arg]
    def __agentperf_key__(self) -> object:
        return len(self)


class Zone(dt.tzinfo):
    def __init__(self, hours: int = 1) -> None:
        self.hours = hours

    def utcoffset(self, moment: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(hours=self.hours)


class Unset:
    """The class of a sentinel, as SDKs have one."""


UNSET = Unset()


def function() -> None: ...


def other_function() -> None: ...


def local_point(fields: str) -> typing.Any:
    return collections.namedtuple("Local", fields)  # noqa: PYI024


def local_class(field: str) -> typing.Any:
    @dataclasses.dataclass
    class Local:
        pass

    return dataclasses.make_dataclass("Local", [(field, int)], bases=(Local,))


MOMENT = dt.datetime(2026, 3, 1, 12)  # noqa: DTZ001
PARIS = zoneinfo.ZoneInfo("Europe/Paris")
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
GRID = np.arange(6, dtype="<i4").reshape(2, 3)

DISTINCT: list[object] = [
    *(
        [1, 2],
        (1, 2),
        {1, 2},
        frozenset({1, 2}),
        "1:2",
        "[1, 2]",
        b"1:2",
        [2, 1],
        [1, [2]],
        [[1], 2],
    ),
    *(1, True, 1.0, "1", 1j, complex(1), decimal.Decimal(1), fractions.Fraction(1), Number(1)),
    *(0, False, 0.0, -0.0, "", None, b"", [], (), {}, set(), frozenset(), "None", "()", "n"),
    *(complex(0.0, -0.0), complex(-0.0, 0.0), math.inf, -math.inf, math.nan, "nan", "inf"),
    *(
        b"x",
        "x",
        bytearray(b"x"),
        memoryview(b"x"),
        array.array("b", b"x"),
        ["x"],
        ("x",),
        Text("x"),
    ),
    *(b"x" * 5000, bytearray(b"x" * 5000), b"x" * 5001, "x" * 5000),
    *(Colour.RED, Colour.BLUE, Name.RED, "red", "RED", Text("red"), "Colour.RED"),
    *(Level.ONE, Right.READ, Right.READ | Right.WRITE, Right(0), Marker.FIRST, Marker.SECOND),
    *(
        decimal.Decimal("1.0"),
        decimal.Decimal("1.00"),
        decimal.Decimal("NaN"),
        decimal.Decimal("sNaN"),
    ),
    *(decimal.Decimal("-0"), decimal.Decimal(0), decimal.Decimal("Infinity")),
    *({"a": 1}, {"a": True}, {"b": 1}, {1: "a"}, {True: "a"}, [("a", 1)], {("a", 1)}, {"a": None}),
    *(collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1), {"a": 1, "b": 2}),
    *(Table(a=1), types.MappingProxyType({"a": 1}), collections.Counter(a=1)),
    *(collections.defaultdict(int, a=1), types.SimpleNamespace(a=1), collections.UserDict(a=1)),
    *(collections.deque([1, 2]), collections.deque([1, 2], maxlen=2), Items([1, 2])),
    *(Point(1, 2), Point(2, 1), local_point("x y")(1, 2), local_point("y x")(1, 2)),
    *(
        Plain(1),
        Plain(2),
        Plain(1, ""),
        Twin(1),
        Slotted(1),
        Attrs(1),
        Struct(1),
        {"a": 1, "b": None},
    ),
    *(MoreThanPlain(1, 2), MoreThanPlain(1, 3), local_class("p")(1), local_class("q")(1)),
    *(Model(a=1), Model(a=2), Model(a=1, c=3), Model(a=1, b={"c": 3}), OtherModel(a=1)),
    *(MOMENT, MOMENT.replace(fold=1), MOMENT.replace(tzinfo=dt.UTC), MOMENT.replace(tzinfo=PARIS)),
    *(MOMENT.replace(tzinfo=BERLIN), MOMENT.replace(tzinfo=Zone()), MOMENT.replace(tzinfo=Zone(2))),
    *(MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=1))), MOMENT.isoformat(), MOMENT.date()),
    *(MOMENT.time(), MOMENT.time().replace(tzinfo=dt.UTC), MOMENT.time().replace(fold=1)),
    *(dt.timezone(dt.timedelta(hours=1), "CET"), dt.timezone(dt.timedelta(hours=1)), dt.UTC, PARIS),
    *(dt.timedelta(days=1), dt.timedelta(seconds=1), dt.timedelta(microseconds=1)),
    *(uuid.UUID(int=1), uuid.UUID(int=2), str(uuid.UUID(int=1))),
    *(pathlib.PurePosixPath("a/b"), pathlib.PureWindowsPath("a/b"), pathlib.Path("a/b"), "a/b"),
    *(ipaddress.ip_address("10.0.0.1"), ipaddress.ip_interface("10.0.0.1"), "10.0.0.1"),
    *(ipaddress.ip_network("10.0.0.1"), ipaddress.ip_address("::1"), ipaddress.ip_address("::1%a")),
    *(re.compile("a"), re.compile("a", re.IGNORECASE), re.compile(b"a"), "a", re.compile("b")),
    *(range(3), range(0, 4, 2), slice(3), slice(0, 3), slice("a", None), (None, 3, None)),
    *(function, other_function, len, str.upper, "x".upper, str, int, Plain, Plain(1).__init__),
    *(
        functools.partial(function),
        functools.partial(function, 1),
        functools.partial(function, a=1),
    ),
    *(operator.itemgetter, Tenant("a").call, Tenant("b").call, dict.fromkeys),
    *(list[int], list[str], int | None, typing.Literal[1], typing.Literal[True], type(None)),
    *(typing.Annotated[int, 1], typing.Annotated[int, 2], dict[str, list[int]], list),
    *(
        GRID,
        GRID.T,
        GRID.astype("<i8"),
        GRID.astype(">i4"),
        GRID.reshape(3, 2),
        GRID[0],
        GRID.tolist(),
    ),
    *(np.float64(1), np.float32(1), np.int64(1), np.str_("x"), np.bytes_(b"x"), np.bool_(True)),
    *(
        np.zeros(2),
        np.array([0.0, -0.0]),
        np.zeros(2, "datetime64[s]"),
        np.zeros(2, "datetime64[ms]"),
    ),
    *(
        np.zeros(1, [("a", "i4")]),
        np.zeros(1, [("b", "i4")]),
        np.array(["x"]),
        np.zeros(5000),
        np.ones(5000),
    ),
    *(
        Tenant("a"),
        Tenant("b"),
        Tenant(None),
        OtherTenant("a"),
        Fixed(),
        Computed("a"),
        KeyedList(),
    ),
    *(..., NotImplemented, UNSET, msgspec.UNSET, openai.NOT_GIVEN),
    *([openai.omit] if hasattr(openai, "omit") else []),  # from openai 2 on
    *(
        memoryview(b"abcd"),
        memoryview(b"abcd").cast("i"),
        memoryview(b"abcd").cast("B", (2, 2)),
        memoryview(b"abcd")[::2],
    ),
]


def equal_pairs() -> list[tuple[object, object]]:
    inner = np.arange(12).reshape(3, 4)
    model = Model(a=1)
    assert model.twice == 2
    return [
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        (frozenset({1, "a"}), frozenset({"a", 1})),
        (math.nan, float("-nan")),
        ([float("nan")], [math.nan]),
        (Plain(1, [2]), Plain(1, [2])),
        (Slotted(1, [2]), Slotted(1, [2])),
        (Attrs(1, [2]), Attrs(1, [2])),
        (Struct(1, [2]), Struct(1, [2])),
        (Model(a=1, c=3, d=4), Model(d=4, c=3, a=1)),
        (Model(a=1), Model(a=1, b=None)),
        (Model(a=1), model),
        (MoreThanPlain(1, {}), MoreThanPlain(1, {})),
        (MOMENT.replace(tzinfo=PARIS), MOMENT.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))),
        (MOMENT.replace(tzinfo=Zone(2)), MOMENT.replace(tzinfo=Zone(2))),
        (decimal.Decimal("1.50"), decimal.Decimal("1.50")),
        (uuid.UUID(int=7), uuid.UUID(str(uuid.UUID(int=7)))),
        (pathlib.Path("a") / "b", pathlib.Path("a/b")),
        (re.compile("a"), re.compile("a")),
        (inner[:, ::2], np.ascontiguousarray(inner[:, ::2])),
        (np.asfortranarray(inner), inner),
        (np.float32(0.5), np.float32(0.5)),
        (Tenant(["a"]), Tenant(["a"])),
        (Tenant("a").call, Tenant("a").call),
        (functools.partial(function, {"a": 1}), functools.partial(function, {"a": 1})),
        (int | None, int | None),
        (list[int], typing.List[int]),  # noqa: UP006
        (local_class("p")(1), local_class("p")(1)),
        (memoryview(b"abcd")[::2], memoryview(b"ac")),
        ("ab", str(b"ab", "ascii")),
    ]


def test_values_that_differ_in_anything_differ_in_their_keys() -> None:
    """No two of the distinct values share a frozen form or a digest, type differences included."""
    frozen = [freeze(value) for value in DISTINCT]
    same = [
        (DISTINCT[i], DISTINCT[j])
        for i, j in itertools.combinations(range(len(frozen)), 2)
        if frozen[i] == frozen[j] or digest(frozen[i]) == digest(frozen[j])
    ]
    assert same == []


@pytest.mark.parametrize(("left", "right"), equal_pairs(), ids=lambda value: type(value).__name__)
def test_values_equal_by_value_share_a_key(left: object, right: object) -> None:
    """Equal contents of equal types freeze alike, wherever they lie in memory."""
    assert freeze(left) == freeze(right)
    assert hash(freeze(left)) == hash(freeze(right))
    assert digest(freeze(left)) == digest(freeze(right))


def test_strings_and_none_freeze_to_themselves_and_all_else_to_tagged_tuples() -> None:
    """The two commonest values cost nothing, and nothing else can look like them."""
    text = str(b"prompt", "ascii")
    assert freeze(text) is text
    assert freeze(None) is None
    for value in DISTINCT:
        frozen = freeze(value)
        if type(value) is not str and value is not None:
            assert isinstance(frozen, tuple)
            assert type(frozen[0]) is str


def test_a_key_is_made_of_plain_immutable_values_only() -> None:
    """Whatever goes in, only exact builtins come out, so that a key can't change or lie."""
    allowed = {str, type(None), int, bytes, bool, tuple, frozenset}

    def check(frozen: object) -> None:
        assert type(frozen) in allowed
        if isinstance(frozen, tuple | frozenset):
            for member in frozen:
                check(member)

    for value in DISTINCT:
        check(freeze(value))


def test_members_that_freeze_alike_still_count() -> None:
    """A set of two nans is not the set of one, nor are other repetitions confused."""
    a, b = float("nan"), float("nan")
    assert freeze({a, b}) != freeze({a})
    assert freeze({a: 1, b: 1}) != freeze({a: 1})
    one, again, two = Client, Client, Tenant
    assert freeze({one, again, two}) == freeze({one, two})


def test_a_model_counts_its_private_values() -> None:
    """Two models with equal fields but different private values are different."""
    left, right = Model(a=1), Model(a=1)
    assert freeze(left) == freeze(right)
    right._secret = 5
    assert freeze(left) != freeze(right)


def test_what_a_subclass_of_a_builtin_holds_counts() -> None:
    """Attributes and slots that a subclass adds to a list or str tell its values apart."""

    class Tagged(list):  # type: ignore[type-arg]
        __slots__ = ("__tag",)

        def __init__(self, tag: str) -> None:
            self.__tag = tag

    left, right = Items([1]), Items([1])
    assert freeze(left) == freeze(right)
    left.unit = "s"  # type: ignore[attr-defined]
    assert freeze(left) != freeze(right)
    assert freeze(Tagged("a")) != freeze(Tagged("b"))
    assert freeze(Tagged("a")) == freeze(Tagged("a"))


def test_overridden_methods_of_a_subclass_dont_change_what_is_read() -> None:
    """A list that iterates over something else is still keyed by what it contains."""

    class Odd(list):  # type: ignore[type-arg]
        def __iter__(self) -> typing.Iterator[object]:
            return iter(["nothing"])

    class Loud(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "LOUD"

    assert freeze(Odd([1])) != freeze(Odd([2]))
    assert freeze(Loud("a")) != freeze(Loud("b"))


def test_large_contents_are_kept_as_digests() -> None:
    """A megabyte of argument makes no megabyte of key, and still counts to the last bit."""
    data = bytearray(1_000_000)
    frozen = [freeze(bytes(data)), freeze(data), freeze(memoryview(data)), freeze(np.array(data))]
    assert all(len(pickle.dumps(each)) < 200 for each in frozen)
    data[-1] = 1
    assert [
        freeze(bytes(data)),
        freeze(data),
        freeze(memoryview(data)),
        freeze(np.array(data)),
    ] != frozen
    assert freeze(bytes(1_000_000)) != freeze(bytes(1_000_001))


def test_own_key_wins_over_everything_but_exact_builtins() -> None:
    """`__agentperf_key__` decides for dataclasses, models and subclasses of builtins too."""

    @dataclasses.dataclass
    class Job:
        id: int
        started: float

        def __agentperf_key__(self) -> int:
            return self.id

    class Row(pydantic.BaseModel):
        id: int
        started: float

        def __agentperf_key__(self) -> int:
            return self.id

    assert freeze(Job(1, 2.0)) == freeze(Job(1, 3.0)) != freeze(Job(2, 2.0))
    assert freeze(Row(id=1, started=2.0)) == freeze(Row(id=1, started=3.0))
    assert freeze(KeyedList("ab")) == freeze(KeyedList("cd")) != freeze(KeyedList("a"))
    assert freeze(Tenant) != freeze(Fixed), "a class as a value is keyed by its name"


def test_own_key_none_on_a_class_refuses() -> None:
    """`__agentperf_key__ = None` says that values of the class have no key."""
    with pytest.raises(Unkeyable, match="Private object says so"):
        freeze(Private(a=1))


def test_an_error_of_the_own_key_passes_through() -> None:
    """The user's own exceptions are not ours to change."""

    class Broken:
        def __agentperf_key__(self) -> object:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        freeze(Broken())


async def coroutine() -> None: ...


def generator() -> typing.Iterator[int]:
    yield 1


def self_referential() -> list[object]:
    items: list[object] = []
    items.append({"again": items})
    return items


def deep(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


REFUSED: list[tuple[typing.Callable[[], object], str]] = [
    (object, "an object object can be told apart from others only by its address"),
    (Client, "a Client object"),
    (lambda: Client().call, "a Client object"),
    (lambda: lambda: None, "<lambda>"),
    (lambda: local_class("a"), "Local"),
    (generator, "used up by reading"),
    (lambda: iter([1]), "used up by reading"),
    (lambda: (x for x in "a"), "used up by reading"),
    (lambda: map(str, []), "used up by reading"),
    (lambda: io.StringIO("a"), "used up by reading"),
    (threading.Lock, "only by its address"),
    (threading.Thread, "only by its address"),
    (lambda: sys, "only by its address"),
    (lambda: np.array([object()]), "holds Python objects"),
    (lambda: np.array([(1, None)], [("a", "i4"), ("b", "O")]), "holds Python objects"),
    (self_referential, "refers to itself"),
    (lambda: deep(150), "nested more than 100 deep"),
    (lambda: wrapt.ObjectProxy("text"), "ObjectProxy"),
    (lambda: functools.partial(lambda: None), "<lambda>"),
    (lambda: types.MethodType(lambda self: None, "a"), "method"),
    ({}.values, "dict_values"),
    (lambda: Tenant(Client()), "a Client object"),
    (Unset, "an Unset object"),
    (lambda: Plain(1, Client()), "a Client object"),
    (lambda: Model(a=1, b=Client()), "a Client object"),
    (lambda: zoneinfo.ZoneInfo.from_file(_zone_file()), "from a file"),
]


def _zone_file() -> typing.BinaryIO:
    for folder in zoneinfo.TZPATH:
        path = pathlib.Path(folder, "UTC")
        if path.exists():
            return io.BytesIO(path.read_bytes())
    tzdata = pytest.importorskip("tzdata", reason="no time zone database on this system")
    return io.BytesIO((pathlib.Path(tzdata.__file__).parent / "zoneinfo/UTC").read_bytes())


@pytest.mark.parametrize(("make", "why"), REFUSED)
def test_what_has_no_value_of_its_own_is_refused(
    make: typing.Callable[[], object], why: str
) -> None:
    """The error says what can't be keyed and why; nothing is ever keyed by its address."""
    with pytest.raises(Unkeyable) as caught:
        freeze(make())
    assert why in str(caught.value)
    assert isinstance(caught.value, UncacheableArgumentError)
    assert not re.search(r"0x[0-9a-f]{6}", str(caught.value))


def test_coroutines_sockets_and_released_views_are_refused() -> None:
    """The same for what has to be cleaned up."""
    pending = coroutine()
    with pytest.raises(Unkeyable, match="awaited only once"):
        freeze(pending)
    pending.close()
    loop = asyncio.new_event_loop()
    future = loop.create_future()
    with pytest.raises(Unkeyable, match="awaited only once"):
        freeze(future)
    loop.close()
    with socket.socket() as connection, pytest.raises(Unkeyable, match="socket"):
        freeze(connection)
    view = memoryview(b"abc")
    view.release()
    with pytest.raises(Unkeyable, match="can't be read"):
        freeze(view)


def test_a_hundred_levels_are_deep_enough() -> None:
    """What is nested within the bound freezes."""
    assert freeze(deep(100)) != freeze(deep(99))


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ([0, 1, 2, {"client": Client()}], "[3]['client']"),
        (("a", [Client()]), "[1][0]"),
        ({7: Client()}, "[7]"),
        ({Client(): 1}, "[Client]"),
        ({frozenset({Client()})}, "{…}{…}"),
        (Plain(1, {"x": Client()}), ".b['x']"),
        (Slotted(1, Client()), ".b"),
        (Attrs(1, Client()), ".b"),
        (Struct(1, Client()), ".b"),
        (Model(a=1, b=[Client()]), ".b[0]"),
        (Tenant([Client()]), ".__agentperf_key__[0]"),
        (functools.partial(function, Client()), ".args[0]"),
        (types.SimpleNamespace(client=Client()), ".client"),
        (collections.deque([1, Client()]), "[1]"),
        (types.MappingProxyType({"a": Client()}), "['a']"),
    ],
)
def test_the_error_says_where(value: object, path: str) -> None:
    """The path leads from the value to the part that can't be keyed."""
    with pytest.raises(Unkeyable) as caught:
        freeze(value)
    assert caught.value.path == path


def test_long_paths_are_cut() -> None:
    """A structure that contains itself doesn't fill the message with its path."""
    with pytest.raises(Unkeyable) as caught:
        freeze(self_referential())
    assert caught.value.path.startswith("[0]['again'][0]")
    assert len(caught.value.path) <= 60


def test_the_error_pickles() -> None:
    """A worker process can hand it over."""
    with pytest.raises(Unkeyable) as caught:
        freeze([Client()])
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (type(again), str(again), again.path) == (Unkeyable, str(caught.value), "[0]")


def test_redefined_functions_and_classes_have_no_lasting_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that leads to another object by now can't stand for this one."""
    old_function, old_class = function, Client
    monkeypatch.setattr(sys.modules[__name__], "function", other_function)
    monkeypatch.setattr(sys.modules[__name__], "Client", Tenant)
    for value in (old_function, old_class):
        with pytest.raises(Unkeyable, match="can't be found in its module"):
            freeze(value)


def test_a_proxy_is_never_taken_for_what_it_pretends_to_be() -> None:
    """`__class__` may lie; only the real type takes the short way."""
    for pretended in ("text", 5, [1], {"a": 1}):
        with pytest.raises(Unkeyable):
            freeze(wrapt.ObjectProxy(pretended))


# A simple oracle for plain data: JSON-like text in which every value spells out its type.

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 2),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, math.nan]),
    st.text(max_size=4),
    st.sampled_from(["", "1", "n", "(", "int", "list", "None", "\ud800"]),
    st.binary(max_size=4),
    st.decimals(allow_nan=False),
    st.just(decimal.Decimal("NaN")),
    st.dates(),
    st.datetimes(timezones=st.one_of(st.none(), st.just(dt.UTC))),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([*Colour, *Name, *Level]),
)
hashables = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.tuples(inner), st.tuples(inner, inner), st.frozensets(inner, max_size=3)
    ),
    max_leaves=5,
)
trees = st.recursive(
    hashables,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(hashables, inner, max_size=3),
        st.sets(hashables, max_size=3),
        st.builds(Plain, st.integers(0, 2), inner),
        st.builds(Attrs, st.integers(0, 2), inner),
        st.builds(Struct, st.integers(0, 2), inner),
    ),
    max_leaves=12,
)


def spelt(value: typing.Any) -> str:
    """Write a value with its type, unambiguously; sets and dicts in the order of that text."""
    kind = type(value).__name__
    if isinstance(value, enum.Enum):
        content: object = value.name
    elif isinstance(value, dict):
        content = sorted([spelt(key), spelt(item)] for key, item in value.items())
    elif isinstance(value, set | frozenset):
        content = sorted(map(spelt, value))
    elif isinstance(value, list | tuple):
        content = list(map(spelt, value))
    elif isinstance(value, Plain | Attrs | Struct):
        content = [spelt(value.a), spelt(value.b)]
    elif isinstance(value, dt.datetime):
        content = [repr(value), value.fold]
    else:
        content = repr(value)
    return json.dumps([kind, content])


@given(trees, trees)
def test_frozen_forms_and_digests_are_equal_exactly_when_the_values_are(
    left: object, right: object
) -> None:
    """Freezing is injective and typed, against an oracle that shares no code with it."""
    same = spelt(left) == spelt(right)
    assert (freeze(left) == freeze(right)) is same
    assert (digest(freeze(left)) == digest(freeze(right))) is same


def rebuilt(value: typing.Any) -> typing.Any:
    """Make a copy whose dicts and sets were filled in the opposite order."""
    if isinstance(value, dict):
        return {rebuilt(key): rebuilt(item) for key, item in reversed(list(value.items()))}
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)([rebuilt(item) for item in reversed(list(value))][:: _order(value)])
    if isinstance(value, Plain | Attrs | Struct):
        return type(value)(value.a, rebuilt(value.b))
    return pickle.loads(pickle.dumps(value))  # noqa: S301


def _order(value: object) -> int:
    return -1 if isinstance(value, list | tuple) else 1


@given(trees)
def test_copies_share_the_key_whatever_the_order_of_insertion(value: object) -> None:
    """A copy built in another order, at other addresses, has the same key and digest."""
    copy = rebuilt(value)
    assert freeze(copy) == freeze(value)
    assert hash(freeze(copy)) == hash(freeze(value))
    assert digest(freeze(copy)) == digest(freeze(value))


@given(st.lists(scalars, min_size=1, max_size=4), st.data())
def test_changing_one_item_changes_the_key(items: list[object], data: st.DataObject) -> None:
    """No part of a value is overlooked."""
    position = data.draw(st.integers(0, len(items) - 1))
    other = data.draw(scalars.filter(lambda value: spelt(value) != spelt(items[position])))
    changed = [*items[:position], other, *items[position + 1 :]]
    assert freeze(changed) != freeze(items)
    assert freeze({"messages": changed}) != freeze({"messages": items})


def test_qualified_names() -> None:
    """A name is the module's and the qualified one, of the class for what has no name."""
    assert qualified_name(function) == f"{__name__}.function"
    assert qualified_name(Tenant.call) == f"{__name__}.Tenant.call"
    assert qualified_name(Tenant("a").call) == f"{__name__}.Tenant.call"
    assert qualified_name(Client) == qualified_name(Client()) == f"{__name__}.Client"
    assert qualified_name(len) == "builtins.len"
    assert qualified_name(str.upper) == "builtins.str.upper"


def test_a_value_is_not_recognised_by_importing_its_library() -> None:
    """Freezing needs none of the libraries whose values it knows."""
    import subprocess

    heavy = ["numpy", "pydantic", "msgspec", "attrs", "attr", "asyncio", "wrapt"]
    code = (
        "import sys; from agentperf._base.keys import freeze; freeze([1, {'a': 2.0}]);"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    source = pathlib.Path(sys.modules["agentperf._base.keys"].__file__ or "").parents[3]
    environment = {"PYTHONPATH": str(source), "SYSTEMROOT": str(pathlib.Path.home())}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
