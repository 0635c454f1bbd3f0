"""Copies that share nothing that could change."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import decimal
import enum
import pathlib
import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf._base.copying import copied, is_immutable


class Colour(enum.Enum):
    """A few constants."""

    RED = 1


class Text(str):
    """A text that can have attributes."""

    __slots__ = ("note",)


@dataclasses.dataclass(frozen=True)
class Frozen:
    """Frozen, but who knows what is in it."""

    items: list[int]


IMMUTABLE = [
    None,
    True,
    1,
    1.5,
    2j,
    "text",
    b"bytes",
    ...,
    range(3),
    (),
    (1, ("a", None)),
    frozenset({1, (2,)}),
    Colour.RED,
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    dt.timedelta(1),
    decimal.Decimal(1),
    uuid.UUID(int=1),
    pathlib.PurePosixPath("/a"),
    re.compile("a"),
    len,
    copied,
    str,
]
MUTABLE = [
    [],
    {},
    set(),
    bytearray(),
    ([],),
    (1, {}),
    Text("a"),
    Frozen([]),
    object(),
    memoryview(b""),
]


@pytest.mark.parametrize("value", IMMUTABLE, ids=lambda value: type(value).__name__)
def test_what_nobody_can_change(value):
    """It may be shared, and its copy is itself."""
    assert is_immutable(value)
    assert copied(value) == value


@pytest.mark.parametrize("value", MUTABLE, ids=lambda value: type(value).__name__)
def test_what_somebody_could_change(value):
    """Also where it only holds something that could change."""
    assert not is_immutable(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


def parts(value):
    """Everything that could be changed in a value, itself included."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from parts(item)
    elif isinstance(value, list | tuple):
        if isinstance(value, list):
            yield value
        for item in value:
            yield from parts(item)


@given(JSON)
def test_a_copy_is_equal_and_shares_nothing_that_can_change(value):
    """As `copy.deepcopy` makes it."""
    twin = copied(value)
    assert twin == value == copy.deepcopy(value)
    assert not {id(part) for part in parts(value)} & {id(part) for part in parts(twin)}


def test_objects_are_copied_in_depth():
    """Sets, dataclasses, and what is in them."""
    value = {"frozen": Frozen([1]), "set": {1}, "in": [bytearray(b"x")]}
    twin = copied(value)
    twin["frozen"].items.append(2)
    twin["set"].add(2)
    twin["in"][0].extend(b"y")
    assert value == {"frozen": Frozen([1]), "set": {1}, "in": [bytearray(b"x")]}


def test_a_value_that_contains_itself():
    """The copy contains the copy."""
    value = [1]
    value.append(value)
    twin = copied(value)
    assert twin is not value
    assert twin[1] is twin


def test_what_cannot_be_copied():
    """Its own error comes out."""
    with pytest.raises(TypeError):
        copied([(i for i in ())])
