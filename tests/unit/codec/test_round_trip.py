"""What is stored comes back: equal, and of the same types all the way down."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import fractions
import math
import uuid
import zoneinfo

import numpy as np
import pytest
from hypothesis import given, settings

from agentperf import Usage
from agentperf.codec import decode, encode
from tests.unit.codec.strategies import VALUES, Colour, Level, Right, same

PARIS = zoneinfo.ZoneInfo("Europe/Paris")
EXAMPLES = [
    None,
    True,
    0,
    -(2**63),
    2**64 - 1,
    2**64,
    -(2**63) - 1,
    10**400,
    -0.0,
    math.inf,
    math.nan,
    "",
    "a\ud800b",
    "\U0001f600",
    b"",
    b"\xff",
    bytearray(b"ab"),
    [],
    [1, [2, (3, {4})]],
    (),
    (1,),
    {"a": (1, 2), "b": {3}},
    {1: "a", None: "b", (1, 2): "c", b"d": 1, 1.5: 2, frozenset({1}): 3},
    {"b": 1, "a": 2},
    {"\ud800": 2**70},
    [2**70, "x", -1],
    set(),
    {1, "a", (1, 2)},
    frozenset({frozenset({1})}),
    collections.OrderedDict(b=1, a=2),
    collections.defaultdict(list, a=[1]),
    collections.defaultdict(None, a=1),
    collections.Counter("banana"),
    collections.Counter(a=-1),
    collections.deque([1, (2,)], maxlen=4),
    collections.deque(),
    dt.date(2026, 2, 28),
    dt.time(1, 2, 3, 4),
    dt.time(1, 2, tzinfo=dt.UTC, fold=1),
    dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=PARIS),
    dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(seconds=3661), "odd")),
    dt.datetime(1, 1, 1),  # noqa: DTZ001 - a naive one too
    dt.timedelta(days=-1, microseconds=1),
    dt.UTC,
    PARIS,
    decimal.Decimal("1.10"),
    decimal.Decimal("-0"),
    decimal.Decimal("sNaN12"),
    decimal.Decimal("-Infinity"),
    decimal.Decimal("1E+999999"),
    uuid.UUID(int=7),
    complex(1.5, -0.0),
    fractions.Fraction(-1, 3),
    range(1, 10, 2),
    Colour.RED,
    Level.LOW,
    Right.READ | Right.WRITE,
    [0.5] * 31,
    [0.5] * 32,
    [0.5] * 32 + [1],
    [0.5] * 32 + [np.float64(0.5)],
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(10)[::2],
    np.array(3),
    np.zeros((0, 3)),
    np.array(["2026-01-01"], "M8[D]"),
    np.array(["ab", "c"]),
    np.array([b""]),
    np.float64(0.1),
    np.int64(-1),
    np.datetime64("2026-01-01T00:00"),
    Usage(1, 2, 3, 0.5),
]


@pytest.mark.parametrize("value", EXAMPLES, ids=ascii)
def test_examples(value):
    """Values of every kind, and those that are known to go wrong elsewhere."""
    assert same(decode(encode(value)), value)


@given(VALUES)
@settings(max_examples=300, deadline=None)
def test_any_value(value):
    """Whatever is made of supported parts comes back the same."""
    assert same(decode(encode(value)), value)


def test_order_of_a_dict_is_kept():
    """A dict remembers in what order it was filled."""
    assert list(decode(encode({"b": (), "a": ()}))) == ["b", "a"]


def test_an_array_belongs_to_the_reader():
    """What was read may be written to."""
    array = decode(encode(np.zeros(3)))
    array[0] = 1
    assert array.flags.owndata
