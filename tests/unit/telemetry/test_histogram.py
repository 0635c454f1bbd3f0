"""The histogram: counting, quantiles, merging, and the ways out."""

from __future__ import annotations

import functools
import json
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.errors import ConfigurationError
from agentperf.telemetry.buckets import bucket_index
from agentperf.telemetry.histogram import Histogram

durations = st.floats(min_value=1e-9, max_value=1e6)
anything = st.floats(allow_nan=True, allow_infinity=True)
# Multiples of 1/1024 add up without rounding, so that histograms can be compared as a whole.
dyadic = st.integers(0, 2**30).map(lambda number: number / 1024)
histograms = st.builds(
    lambda values, scale: Histogram(scale).with_values(values),
    st.lists(dyadic),
    st.integers(0, 8),
)


def test_an_empty_histogram_has_no_figures():
    """Figures over no value are nan; counts are zero."""
    empty = Histogram()
    assert (empty.count, empty.sum, empty.ignored) == (0, 0.0, 0)
    assert math.isnan(empty.mean)
    assert math.isnan(empty.quantile(0.5))
    assert (empty.min, empty.max) == (math.inf, -math.inf)


def test_the_plain_figures_are_exact():
    """Count, sum, mean, smallest and largest value don't suffer from buckets."""
    histogram = Histogram().with_values([0.5, 0.0, 2.0, 1.5])
    assert (histogram.count, histogram.zero_count, histogram.sum) == (4, 1, 4.0)
    assert (histogram.min, histogram.max, histogram.mean) == (0.0, 2.0, 1.0)


def test_a_histogram_never_changes():
    """Counting values in gives another histogram; a batch of none gives the same one."""
    before = Histogram().with_values([1.0])
    after = before.with_values([2.0])
    assert (before.count, after.count) == (1, 2)
    assert after.with_values([]) is after


@given(st.lists(dyadic))
def test_a_batch_counts_like_its_values_one_by_one(values):
    """Many at once or one after the other: the same histogram."""
    one_by_one = functools.reduce(lambda h, value: h.with_values([value]), values, Histogram())
    assert Histogram().with_values(values) == one_by_one


@given(st.lists(anything), st.lists(anything))
def test_no_float_makes_counting_fail(first, second):
    """Negative durations count as zero, those that are not finite are ignored; all are counted."""
    values = first + second
    histogram = Histogram().with_values(first).with_values(second)
    finite = [max(value, 0.0) for value in values if math.isfinite(value)]
    assert histogram.count == len(finite)
    assert histogram.ignored == len(values) - len(finite)
    assert histogram.zero_count == finite.count(0.0)
    assert histogram.min == min(finite, default=math.inf)
    assert histogram.max == max(finite, default=-math.inf)
    assert histogram.sum == pytest.approx(sum(finite))


@given(
    st.lists(durations | st.just(0.0), min_size=1),
    st.floats(min_value=0.0, max_value=1.0),
    st.integers(0, 8),
)
def test_a_quantile_is_within_the_stated_error(values, q, scale):
    """It is as near as stated to the value of rank `ceil(q * count)` of the sorted data."""
    histogram = Histogram(scale).with_values(values)
    true = sorted(values)[max(math.ceil(q * len(values)), 1) - 1]
    assert abs(histogram.quantile(q) - true) <= true * histogram.relative_error * (1 + 1e-9)


def test_the_stated_error_of_the_default_is_about_one_percent():
    """Scale 5, the default, promises 1.09 %; the finest scale 0.14 %."""
    assert Histogram().relative_error == pytest.approx(0.0109, abs=5e-5)
    assert Histogram(8).relative_error == pytest.approx(0.0014, abs=5e-5)


@given(st.lists(durations, min_size=1))
def test_quantiles_rise_from_the_smallest_to_the_largest_value(values):
    """The ends are exact, and a higher share never gives a lower value."""
    histogram = Histogram().with_values(values)
    quantiles = [histogram.quantile(step / 20) for step in range(21)]
    assert quantiles == sorted(quantiles)
    assert (quantiles[0], quantiles[-1]) == (min(values), max(values))


def test_quantiles_among_zeros_are_zero():
    """Zeros lie below all buckets."""
    histogram = Histogram().with_values([0.0, 0.0, 0.0, 1.0])
    assert histogram.quantile(0.75) == 0.0
    assert histogram.quantile(0.76) == 1.0


@pytest.mark.parametrize("q", [-0.01, 1.01, 95, math.nan])
def test_a_quantile_of_no_share_is_refused(q):
    """The error names the parameter and shows a good value."""
    with pytest.raises(ConfigurationError, match=r"q=.*such as 0\.95"):
        Histogram().quantile(q)


@pytest.mark.parametrize("scale", [-1, 9])
def test_a_scale_out_of_range_is_refused(scale):
    """The error names the parameter and shows a good value."""
    with pytest.raises(ConfigurationError, match=r"scale=.*such as 5"):
        Histogram(scale)


@given(histograms, histograms, histograms)
def test_merging_is_associative_and_commutative(one, two, three):
    """In whatever order and grouping, of whatever scales: the same histogram."""
    assert one.merge(two).merge(three) == one.merge(two.merge(three))
    assert one.merge(two) == two.merge(one)


@given(st.lists(dyadic), st.lists(dyadic))
def test_merging_equals_counting_everything_in_one(one, two):
    """Nothing is lost between two histograms of the same scale."""
    merged = Histogram().with_values(one).merge(Histogram().with_values(two))
    assert merged == Histogram().with_values(one + two)


@given(st.lists(dyadic), st.integers(0, 8), st.integers(0, 8))
def test_downscaling_equals_counting_at_the_lower_scale(values, one, two):
    """A lower resolution is got afterwards just as exactly as from the start."""
    fine, coarse = max(one, two), min(one, two)
    downscaled = Histogram(fine).with_values(values).downscaled(coarse)
    assert downscaled == Histogram(coarse).with_values(values)


@pytest.mark.parametrize("scale", [6, -1])
def test_a_histogram_can_not_be_made_finer(scale):
    """The error says which scales there are to go to."""
    with pytest.raises(ConfigurationError, match=r"scale=.*from 0 to 5"):
        Histogram(5).downscaled(scale)


@given(st.lists(durations))
def test_the_dense_buckets_hold_every_count_at_its_index(values):
    """Offset and counts, as OTLP wants them, say the same as the buckets."""
    histogram = Histogram().with_values(values)
    offset, counts = histogram.dense_buckets()
    assert {offset + i: count for i, count in enumerate(counts) if count} == histogram.buckets
    assert sum(counts) + histogram.zero_count == histogram.count


def test_the_dense_buckets_begin_and_end_with_a_count():
    """The dense form is no wider than it must be."""
    offset, counts = Histogram(0).with_values([0.75, 3.0, 0.0]).dense_buckets()
    assert (offset, counts) == (bucket_index(0.75, 0), [1, 0, 1])
    assert Histogram().dense_buckets() == (0, [])


@given(histograms)
def test_it_survives_json_and_pickle(histogram):
    """What goes out as plain values comes back equal."""
    assert Histogram.from_dict(json.loads(json.dumps(histogram.to_dict()))) == histogram
    assert pickle.loads(pickle.dumps(histogram)) == histogram  # noqa: S301 - our own bytes


def test_the_plain_values_are_strict_json():
    """An empty histogram has no smallest and no largest value, and no infinity in its JSON."""
    assert Histogram().to_dict()["min"] is None
    json.dumps(Histogram().to_dict(), allow_nan=False)


def test_plain_values_that_do_not_fit_together_are_refused():
    """A count without an index is an error, not a guess."""
    broken = {**Histogram().with_values([1.0]).to_dict(), "indexes": []}
    with pytest.raises(ValueError, match="zip"):
        Histogram.from_dict(broken)


def test_it_shows_its_figures():
    """A histogram in a debugger tells what it holds."""
    histogram = Histogram().with_values([1.0, 1.0, 2.0])
    assert repr(histogram) == "<Histogram count=3, p50=1, p95=2, scale=5>"
