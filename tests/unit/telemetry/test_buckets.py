"""The bucket index, held against exact arithmetic."""

from __future__ import annotations

import math
import sys
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.telemetry.buckets import (
    MAX_SCALE,
    bucket_index,
    bucket_middle,
    count_into,
    relative_error,
)

positive = st.floats(min_value=5e-324, max_value=sys.float_info.max, allow_subnormal=True)
scales = st.integers(0, MAX_SCALE)


def lies_in(value: float, index: int, scale: int) -> bool:
    """Whether `base ** index < value <= base ** (index + 1)`, without any rounding."""
    raised = Fraction(value) ** (1 << scale)
    return Fraction(2) ** index < raised <= Fraction(2) ** (index + 1)


def counted(values: list[float], scale: int) -> dict[int, int]:
    """What `count_into` makes of a batch."""
    counts: dict[int, int] = {}
    count_into(counts, sorted(values), scale)
    return counts


@given(positive, scales)
def test_a_value_lies_within_the_bounds_of_its_bucket(value, scale):
    """Any positive float, subnormal or huge, gets the very bucket of the definition."""
    assert lies_in(value, bucket_index(value, scale), scale)


@given(st.integers(-1074, 1023), scales)
def test_a_power_of_two_is_the_upper_bound_of_its_bucket(exponent, scale):
    """Upper bounds are inclusive, and powers of two are met exactly."""
    assert bucket_index(math.ldexp(1.0, exponent), scale) == (exponent << scale) - 1


@given(st.integers(-1022, 1022), st.integers(0, 31))
def test_the_floats_beside_a_boundary_are_told_apart(exponent, step):
    """The last float not above a boundary and the first one above it fall on either side."""
    index = 32 * exponent + step
    around = math.ldexp(math.exp2(step / 32), exponent)
    floats = [math.nextafter(around, 0.0), around, math.nextafter(around, math.inf)]
    above = [Fraction(value) ** 32 > Fraction(2) ** index for value in floats]
    assert above[0] is False
    assert above[2] is True
    assert [bucket_index(value, 5) for value in floats] == [index - 1 + each for each in above]


@given(positive, st.integers(1, MAX_SCALE))
def test_two_neighbours_make_one_bucket_of_the_next_lower_scale(value, scale):
    """Halving an index gives the index one scale below."""
    assert bucket_index(value, scale) >> 1 == bucket_index(value, scale - 1)


@given(st.floats(min_value=sys.float_info.min, max_value=sys.float_info.max), scales)
def test_the_middle_of_a_bucket_is_near_each_of_its_values(value, scale):
    """No value is further from the middle than the stated error."""
    middle = bucket_middle(bucket_index(value, scale), scale)
    assert abs(middle - value) <= value * relative_error(scale) * (1 + 1e-9)


@given(st.lists(positive, min_size=1), scales)
def test_a_batch_is_counted_like_its_values_one_by_one(values, scale):
    """However the batch is spread, cutting it gives the counts of looking each value up."""
    assert counted(values, scale) == Counter(bucket_index(value, scale) for value in values)


@given(st.lists(st.integers(0, 200), min_size=1), st.integers(-1022, 1015))
def test_a_dense_batch_is_cut_exactly_at_the_boundaries(steps, exponent):
    """Values on and right beside boundaries are counted where looking them up says."""
    values = [
        neighbour
        for step in steps
        for value in [math.ldexp(math.exp2(step / 32), exponent)]
        for neighbour in (value, math.nextafter(value, math.inf))
    ]
    assert counted(values, 5) == Counter(bucket_index(value, 5) for value in values)


@pytest.mark.parametrize(
    "values",
    [
        [sys.float_info.max],
        [sys.float_info.max, 1.5e308, 9e307],
        [sys.float_info.min, math.nextafter(sys.float_info.min, 1.0)],
        [5e-324, 1e-323, sys.float_info.min],
        [5e-324, sys.float_info.max],
        [number * 5e-324 for number in range(1, 500)],
    ],
)
def test_a_batch_at_the_end_of_the_float_range_is_counted(values):
    """The largest, the smallest and the subnormal floats need no special care from the caller."""
    assert counted(values, 5) == Counter(bucket_index(value, 5) for value in values)


def test_counts_are_added_to_those_that_are_there():
    """A batch comes on top of what was counted before."""
    counts = {-1: 2, 7: 1}
    count_into(counts, [1.0, 1.0], 5)
    assert counts == {-1: 4, 7: 1}
