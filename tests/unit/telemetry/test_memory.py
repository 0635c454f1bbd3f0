"""Growth of memory over calls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentperf.telemetry.memory import MemoryGrowth

deltas = st.lists(st.integers())


def test_nothing_measured_has_no_figures():
    """Without a measured call there is no largest growth."""
    assert MemoryGrowth() == MemoryGrowth(count=0, total_bytes=0, max_bytes=None)
    assert MemoryGrowth().mean_bytes == 0.0


def test_growth_is_counted_summed_and_its_largest_kept():
    """Calls that freed memory count too, and may be all there are."""
    assert MemoryGrowth().with_deltas([-50, 200]) == MemoryGrowth(2, 150, 200)
    assert MemoryGrowth().with_deltas([-50]).max_bytes == -50
    assert MemoryGrowth(4, 200, 90).mean_bytes == 50.0


@given(deltas, deltas)
def test_merging_equals_measuring_everything_in_one(one, two):
    """Nothing is lost between two."""
    merged = MemoryGrowth().with_deltas(one).merge(MemoryGrowth().with_deltas(two))
    assert merged == MemoryGrowth().with_deltas(one + two)
