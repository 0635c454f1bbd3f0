"""What can't be stored is refused, with its place and a way out; nothing is quietly simplified."""

# ruff: noqa: D101, D102 -- the things to be refused need no words
from __future__ import annotations

import array
import collections
import datetime as dt
import enum
import fractions
import io
import threading
from typing import Any

import numpy as np
import pydantic
import pytest

from agentperf.codec import Codec, encode
from agentperf.errors import UncacheableValueError
from tests.unit.codec.strategies import Answer, Box, Model, Pair, Point, Row


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Items(list):  # type: ignore[type-arg]
    pass


class Table(dict):  # type: ignore[type-arg]
    pass


class Moment(dt.datetime):
    pass


class Zone(dt.tzinfo):
    def utcoffset(self, _):
        return dt.timedelta(0)


def refusal(value: object) -> str:
    """Return what is said when a value is refused."""
    with pytest.raises(UncacheableValueError) as caught:
        encode(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Text("x"), "a Text object is a subclass of str and would come back as one; return str"),
        (Number(1), "subclass of int"),
        (Items([1]), "subclass of list"),
        (Table(a=1), "subclass of dict"),
        (Moment(2026, 1, 1), "subclass of datetime"),
        (dt.time(1, tzinfo=Zone()), "time zone of type Zone"),
        (collections.defaultdict(lambda: 1), "factory is no built-in type"),
        (lambda: 1, "a function can't be stored"),
        ((n for n in "ab"), "a generator is used up by reading it; return a list"),
        (iter([1]), "used up"),
        (object(), "an object object can't be stored; return data instead"),
        (threading.Lock(), "a lock object"),
        (io.BytesIO(b"x"), "BytesIO"),
        (ValueError("x"), "ValueError"),
        (int, "a type object"),
        (threading, "a module"),
        (memoryview(b"x"), "memoryview"),
        (array.array("d", [1.0]), "array"),
        (fractions.Fraction(1, 2**10_001), "10000 bits"),
        (pydantic.SecretStr("x"), "SecretStr"),
        (np.array([object()]), "an array of dtype object can't be stored"),
        (np.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")]), "dtype"),
        (np.ma.masked_array([1]), "a MaskedArray object is no plain array"),
        (np.array([b""], "V3"), "dtype"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_refused(value, said):
    """Each kind of thing that can't be stored says what it is, and nothing of its value."""
    assert said in refusal(value)


@pytest.mark.parametrize("value", [np.longlong(1), np.longdouble(1)])
def test_numbers_that_no_other_machine_has(value):
    """A scalar comes back as what it was, or is refused."""
    try:
        stored = encode(value)
    except UncacheableValueError:
        return
    assert type(Codec().decode(stored)) is type(value)


BAD = object()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (BAD, "in result:"),
        ([1, BAD], "in result[1]:"),
        ([[], [], [1, (2, BAD)]], "in result[2][1][1]:"),
        ({"a": {"b": BAD}}, "in result['a']['b']:"),
        ({"a": 1, ("x",): [BAD]}, "in result[tuple][0]:"),
        ({1: BAD}, "in result[1]:"),
        ({Number(1): 1}, "in result[Number]:"),
        ({"key", BAD}, "in result{…}:"),
        (Answer("x", [1, 2, 3, Box(BAD)]), "in result.items[3].content:"),
        ([Answer("x"), Answer("y", BAD)] * 4, "in result[1].items:"),
        (Pair(1, BAD), "in result.right:"),
        (Row(cells=BAD), "in result.cells:"),
        (Model(content=[BAD]), "in result.content[0]:"),
        (Model(surplus=BAD), "in result.model_extra['surplus']:"),
        (collections.deque([1, BAD]), "in result[1]:"),
        (collections.OrderedDict(a=BAD), "in result['a']:"),
        ([0.5] * 40 + [BAD], "in result[40]:"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_place_is_named(value, path):
    """The message leads through lists, dicts and fields to what is in the way."""
    assert refusal(value).startswith(
        f"{path} an object object can't" if "Number" not in path else path
    )


@pytest.mark.parametrize("bad", [Text("x"), Number(1), Items([1])], ids=repr)
def test_a_subclass_inside_is_not_flattened(bad):
    """What is seen through at the speed of C sees subclasses too."""
    for value in ([bad] * 40, {"a": [[1, bad]]}, [{"a": bad}] * 9, [Point(bad)] * 9, {"a": bad}):
        assert "subclass" in refusal(value)
    if not isinstance(bad, Items):
        for value in ({bad: 1}, [{bad: 1}] * 9, {"a": {None: 1, bad: 2}}):
            assert "subclass" in refusal(value)


def test_a_number_of_numpy_is_not_flattened():
    """It passes for a float, and comes back as what it is."""
    bad = np.float64(1)
    for value in ([bad] * 40, {"a": [[1, bad]]}, [{bad: bad}] * 9):
        assert repr(Codec().decode(encode(value))) == repr(value)


def test_a_member_that_its_enum_does_not_list():
    """One that the class makes up on the spot isn't known elsewhere."""

    class Open(enum.Enum):
        A = 1

        @classmethod
        def _missing_(cls, value):
            member = object.__new__(cls)
            member._name_, member._value_ = "NEW", value
            return member

    assert "doesn't list" in refusal(Open(3))


def test_circles_and_depth():
    """What holds itself, or is nested too deep, is refused in so many words."""
    circle: list[Any] = []
    circle.append(circle)
    around: dict[str, Any] = {}
    around["a"] = (around,)
    answer = Answer("x")
    answer.items = [answer]
    deep: Any = 1
    for _ in range(70):
        deep = (deep,)
    endless: Any = 1
    for _ in range(100_000):
        endless = [endless]
    for value in (circle, around, answer, deep, endless):
        assert "refers to itself or is nested more than 64 deep" in refusal(value)


def test_the_deepest_value_comes_back():
    """What may be written can be read, of every kind of container."""
    for wrap in (lambda x: [x], lambda x: (x,), lambda x: {"a": x}, Answer("x").__class__, Box):
        value: Any = 1
        for _ in range(60):
            value = wrap(value)
        assert Codec(types=[Answer, Box]).decode(encode(value)) == value


def test_a_long_path_is_cut():
    """A message stays readable."""
    value: Any = BAD
    for _ in range(40):
        value = {"quite_a_long_name": value}
    assert len(refusal(value)) < 400


def test_too_large():
    """There is a bound on what is written."""
    with pytest.raises(UncacheableValueError, match="more than max_bytes=100"):
        Codec(max_bytes=100).encode("x" * 200)
