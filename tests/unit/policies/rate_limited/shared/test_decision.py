"""The decision of a shared limit is that of the bucket in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf._base.rates import Rate
from agentperf.policies.rate_limited.bucket import Bucket
from agentperf.policies.rate_limited.shared.decision import GCRA, Owed, Terms
from tests.unit.policies.rate_limited.shared.sequences import LIMITS, limits, sequences

NOTHING = (0, 0, 0, 0)
START = 1_700_000_000


@given(st.sampled_from(LIMITS), sequences())
def test_it_decides_as_the_bucket_in_memory_does(limits, sequence):
    """The same calls are let in, the same waits are told, the same is left."""
    terms, bucket, record = Terms(limits), Bucket(limits), None
    micros = START * 1_000_000
    for passed, need, unused, excess in sequence:
        micros += max(0, passed)
        nanos = micros * 1000
        record, answer = GCRA.apply(
            record, terms.arguments(need, Owed(unused, excess)), micros / 1_000_000
        )
        bucket.settle(nanos, unused, NOTHING)
        bucket.settle(nanos, NOTHING, excess)
        wait = bucket.take(nanos, need)
        assert answer[0] == -(-wait // 1000)
        left = {}
        for term, level in zip(terms.each, answer[2:], strict=True):
            left.setdefault(term.dimension, []).append(term.remaining(level))
        told = bucket.remaining(nanos)
        assert [min(each) for each in left.values()] == list(told.values())


@given(st.lists(st.integers(0, 4_000_000), min_size=1, max_size=200))
def test_no_more_than_rate_times_time_and_burst(passing):
    """However calls come, over any stretch of time."""
    terms, record, now, taken = Terms(limits("10/s", burst=5)), None, START * 1_000_000, []
    for passed in passing:
        now += passed
        record, answer = GCRA.apply(record, terms.arguments((1, 0, 0, 0)), now / 1_000_000)
        if answer[0] == 0:
            taken.append(now)
    for first, began in enumerate(taken):
        for count, ended in enumerate(taken[first:], 1):
            assert count <= 5 + (ended - began) * 10 / 1_000_000


def test_nothing_is_taken_of_one_rate_where_another_refuses():
    """All or nothing."""
    terms = Terms(limits("2/min", tokens="100/min"))
    record, (wait, tightest, *levels) = GCRA.apply(None, terms.arguments((1, 90, 90, 0)), START)
    assert (wait, tightest) == (0, -1)
    after, (wait, tightest, *again) = GCRA.apply(record, terms.arguments((1, 90, 90, 0)), START)
    assert (wait, tightest, again, after) == (48_000_000, 1, levels, record)


def test_a_clock_that_is_set_back_blocks_nobody():
    """What was taken stays taken, and levels fall on from the new time."""
    terms = Terms(limits("1/s"))
    record, _ = GCRA.apply(None, terms.arguments((1, 0, 0, 0)), START)
    record, (wait, *_) = GCRA.apply(record, terms.arguments((1, 0, 0, 0)), START - 3600)
    assert wait == 1_000_000
    _, (wait, *_) = GCRA.apply(record, terms.arguments((1, 0, 0, 0)), START - 3599)
    assert wait == 0


def test_a_record_of_another_shape_counts_as_none():
    """A key is never shared by different limits; should it be, the new one begins."""
    record, answer = GCRA.apply(
        (1.0, 2.0, 3.0), Terms(limits("1/s")).arguments((1, 0, 0, 0)), START
    )
    assert answer[0] == 0
    assert len(record) == 2


@pytest.mark.parametrize("rate", [Rate(90_000, 60.0), Rate(1_000_000, 60.0), Rate(1000, 86400.0)])
def test_usual_rates_stay_exact(rate):
    """Their numbers are far from where doubles begin to round."""
    (term,) = Terms(limits(rate)).each
    assert 16 * term.room < 2**53
