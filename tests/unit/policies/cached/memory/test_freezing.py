"""`copy="freeze"`: everybody gets one value, and nobody can change it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import gc
import threading
from types import MappingProxyType
from typing import NamedTuple

import anyio
import hypothesis.strategies as st
import pytest
from hypothesis import given

from agentperf import Cache, cached, errors, handle
from agentperf.events import CacheRefused
from agentperf.policies.cached.memory.freezing import frozen
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.unit.policies.cached.calls import PLAIN, Counted, outcome

pytestmark = pytest.mark.anyio


class Point(NamedTuple):
    """A tuple of a class of its own."""

    name: str
    places: list


class Colour(enum.Enum):
    """A value by name."""

    RED = 1


@dataclasses.dataclass(frozen=True)
class Answer:
    """What can't be changed, but for what it holds."""

    words: list
    of: dt.date = dt.date(2020, 1, 1)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    """The same with slots."""

    words: list


@dataclasses.dataclass
class Open:
    """What can be changed."""

    words: list


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, [2]], (1, (2,))),
        ({"a": [1], "b": {"c": set()}}, {"a": (1,), "b": {"c": frozenset()}}),
        ({1, 2}, frozenset({1, 2})),
        (bytearray(b"a"), b"a"),
        (([1],), ((1,),)),
        (Point("a", [1]), Point("a", (1,))),
        (Answer(["a"]), Answer(("a",))),
        (Slotted(["a"]), Slotted(("a",))),
        (Colour.RED, Colour.RED),
        (None, None),
    ],
)
def test_what_becomes_of_values(value, expected):
    """Equal but for its containers, and the same the second time."""
    made = frozen(value)
    assert made == expected
    assert type(made) is (MappingProxyType if isinstance(value, dict) else type(expected))
    assert frozen(made) == expected


@pytest.mark.parametrize(
    "value", [(1, ("a",)), frozenset({1}), Answer(()), "text", dt.date(2020, 1, 1), ()]
)
def test_what_is_immutable_stays_the_object_it_is(value):
    """There is nothing to copy."""
    assert frozen(value) is value


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.frozensets(st.text()),
)


@given(_json)
def test_no_part_can_be_changed(value):
    """Whatever it is made of."""

    def check(part):
        assert type(part) not in (list, dict, set, bytearray)
        if isinstance(part, MappingProxyType):
            part = part.values()
        if not isinstance(part, str) and hasattr(part, "__iter__"):
            for each in part:
                check(each)

    check(frozen(value))


def test_the_original_reaches_nothing():
    """A view of a dict is one of a copy, also of another view."""
    original = {"a": [1]}
    made, again = frozen(original), frozen(MappingProxyType(original))
    original["a"].append(2)
    original["b"] = 1
    assert made == again == {"a": (1,)}


def test_arrays_are_made_read_only():
    """A copy, which can't be made writable again."""
    numpy = pytest.importorskip("numpy")
    original = numpy.array([1.0, 2.0])
    made = frozen({"vector": original})["vector"]
    original[0] = 5
    assert made.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        made[0] = 5
    with pytest.raises(ValueError, match="WRITEABLE"):
        made.setflags(write=True)
    with pytest.raises(errors.UncacheableValueError):
        frozen(numpy.array([[]], dtype=object))


def _circle():
    circle = []
    circle.append(circle)
    return circle


@pytest.mark.parametrize(
    "make", [lambda: Open([]), threading.Lock, lambda: [object()], lambda: iter([]), _circle]
)
@pytest.mark.parametrize("colour", PLAIN)
async def test_what_cannot_be_frozen_is_returned_but_not_kept(fresh_host, colour, make):
    """It is told, as for what can't be copied."""
    gc.collect()  # what earlier tests left can't be cleared away in the depths of a circle
    source = Counted(lambda _: make())
    f = cached(copy="freeze")(source.function(colour))
    with recorded(CacheRefused) as log:
        value = f()
        value = await value if colour == "async" else value
    assert type(value) is type(make())
    assert handle(f).cache.stats().stored == 0
    assert [event.reason for event in log] in (["it can't be frozen"], ["it can be read only once"])


@pytest.mark.parametrize("colour", PLAIN)
async def test_everybody_gets_the_same_object(fresh_host, colour):
    """Who computed it, who waited, who had a hit, and who looks into the cache."""
    source = Counted(lambda _: {"words": ["a"]})
    f = cached(copy="freeze")(source.function(colour))
    first = await outcome(f())
    assert first == {"words": ("a",)}
    second = await outcome(f())
    assert second is await outcome(f()) is handle(f).cache.peek()
    assert second == first
    with pytest.raises(TypeError):
        second["words"] = 1
    assert source.calls == 1


async def test_a_follower_gets_it_too(fresh_host):
    """Without a copy of its own."""

    @cached(copy="freeze")
    async def f():
        await anyio.wait_all_tasks_blocked()
        return [[1]]

    seen = []

    async def call():
        seen.append(await f())

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(call)
    assert seen == [((1,),)] * 3
    assert len({id(value) for value in seen}) == 1


def test_it_goes_with_the_other_options():
    """Old answers, items of batches, a cache without a decorator."""
    clock = FakeClock()
    with fresh_host(clock):

        @cached("10s", copy="freeze", per_item="texts", tags="all")
        def embed(texts):
            return [[text] for text in texts]

        assert embed(["a"]) == embed(["a"]) == [("a",)]
        kept = Cache(copy="freeze")
        kept.set("a", [1])
        assert kept.get("a") == (1,)
        assert kept.get_or_compute("b", lambda: [2]) == (2,)
        with pytest.raises(errors.UncacheableValueError, match="a Open can't be frozen"):
            kept.set("c", Open([]))


def test_where_it_makes_no_sense_it_is_refused():
    """On backends, which keep bytes, and for streams."""
    with pytest.raises(errors.ConfigurationError, match='copy="freeze" hands out'):
        cached(copy="freeze", backend="sqlite:x.db")
    with pytest.raises(errors.ConfigurationError, match='copy="freeze" can\'t serve'):

        @cached(copy="freeze")
        def stream():
            yield 1
