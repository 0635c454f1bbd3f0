"""Weights: about right, bounded in work, and safe with anything."""

from __future__ import annotations

import sys
import threading
import types
from dataclasses import dataclass

import pytest

from agentperf.policies.cached.memory.weighing import LOOKED_AT, weigh


@dataclass(slots=True)
class Slotted:
    """With slots."""

    text: str


class Plain:
    """With a dict."""

    def __init__(self, text):
        self.text = text


class Odd:
    """Says nothing sensible of itself."""

    def __hash__(self):
        raise SystemExit("no code of the value's own is run")

    def __sizeof__(self):
        raise RuntimeError

    @property
    def nbytes(self):
        """Would be run by whoever looks for arrays."""
        raise SystemExit("no code of the value's own is run")


LONG = "x" * 10_000


@pytest.mark.parametrize(
    "value",
    [
        LONG,
        LONG.encode(),
        [LONG],
        (LONG,),
        {LONG},
        {"a": LONG},
        {LONG: 1},
        Slotted(LONG),
        Plain(LONG),
        types.SimpleNamespace(a=[Plain((LONG,))]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_value_holds_counts(value):
    """Wherever it is."""
    assert 10_000 < weigh(value) < 11_500


def test_what_is_shared_counts_once():
    """Also between what is weighed together."""
    assert weigh([LONG] * 150, LONG) < 15_000
    assert weigh([LONG] * 100_000) < 900_000


def test_a_ring_has_an_end():
    """A value that holds itself."""
    ring = [LONG]
    ring.append(ring)
    ring.append({"back": ring})
    assert 10_000 < weigh(ring) < 11_000


@pytest.mark.parametrize("items", [1_000, 30_000, 1_000_000])
def test_a_large_value_is_estimated(items):
    """A sample stands for the rest, within a third."""
    numbers = [float(n) for n in range(items)]
    true = sys.getsizeof(numbers) + 24 * items
    assert abs(weigh(numbers) - true) < true / 3


def test_many_parts_are_estimated():
    """Beyond so many objects, the rest is taken to be like what was seen."""
    rows = [{"id": n, "name": f"name {n}", "tags": [f"tag {n}"] * 3} for n in range(3_000)]
    true = sum(
        sys.getsizeof(row)
        + 28
        + sys.getsizeof(row["name"])
        + sys.getsizeof(row["tags"])
        + sys.getsizeof(row["tags"][0])
        for row in rows
    )
    assert true / 2 < weigh(rows) < 2 * true


def test_the_work_is_bounded(monkeypatch):
    """Whatever is reached, no more than so many objects are looked at."""
    looked = []
    real = sys.getsizeof
    monkeypatch.setattr(sys, "getsizeof", lambda *a: looked.append(a) or real(*a))
    deep = None
    for _ in range(100_000):
        deep = [deep]
    assert weigh(deep) > 0
    assert len(looked) <= LOOKED_AT
    while deep:  # taken apart by hand: so deep a value would overflow the stack
        deep = deep[0]


@pytest.mark.parametrize(
    "value", [Odd(), threading.Lock(), sys, int, print, (n for n in [1]), None]
)
def test_anything_can_be_weighed(value):
    """Locks, modules, classes, generators; what belongs to the program weighs nothing."""
    assert 0 <= weigh(value) < 5_000
    assert weigh(sys, int, print) == 0


def test_arrays_count_what_they_hold():
    """Also those that hand out a view."""
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(10_000)
    assert 80_000 <= weigh(array) < 81_000
    assert 80_000 <= weigh(array[:]) < 165_000
