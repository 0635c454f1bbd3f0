"""The decision of a shared limit is that of the bucket in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf._base.rates import Rate
from agentperf.policies.rate_limited.bucket import Bucket
from agentperf.policies.rate_limited.caution import LEAST
from agentperf.policies.rate_limited.replies import Lesson
from agentperf.policies.rate_limited.shared.decision import GCRA, HEED, Owed, Terms
from tests.unit.policies.rate_limited.shared.sequences import (
    LIMITS,
    limits,
    lives,
    question,
    sequences,
)

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
        for term, level in zip(terms.each, answer[4:], strict=True):
            left.setdefault(term.dimension, []).append(term.remaining(level))
        told = bucket.remaining(nanos)
        assert [min(each) for each in left.values()] == list(told.values())


@given(st.sampled_from(LIMITS), lives())
def test_it_is_as_careful_as_the_bucket_in_memory(limits, life):
    """After the same lessons the same calls would be let in at the same times."""
    terms, bucket, record = Terms(limits), Bucket(limits), None
    micros = START * 1_000_000
    for passed, asked, _, borrows in life:
        micros += max(0, passed)
        nanos, now = micros * 1000, micros / 1_000_000
        if isinstance(asked, Lesson):
            change = bucket.heed(nanos, asked)
            record, (old, new, _, pause) = HEED.apply(record, terms.learning(asked), now)
            if change is not None:
                assert (change.old, change.new) == pytest.approx((old, new))
                assert change.pause == pytest.approx(pause / 1_000_000, abs=1e-5)
            continue
        need, _ = asked
        record, (wait, *_) = GCRA.apply(record, terms.looking(need, borrows=borrows), now)
        there = bucket.outlook(nanos, need, 0, borrow=borrows)
        assert wait == pytest.approx(there / 1000, rel=1e-6, abs=100)
        if wait == there == 0:
            record, (wait, *_) = GCRA.apply(record, terms.arguments(need, borrows=borrows), now)
            assert wait == bucket.let_in(nanos, need, borrow=borrows) == 0


@given(st.sampled_from(LIMITS), lives())
def test_caution_in_a_store_ends(limits, life):
    """Nobody is held for longer than was asked, and in the end the record is as before."""
    terms, record, now, until = Terms(limits), None, float(START), float(START)
    for passed, asked, looks, borrows in life:
        now += max(0, passed) / 1_000_000
        decision, arguments = question(terms, asked, looks, borrows)
        record, answer = decision.apply(record, arguments, now)
        if isinstance(asked, Lesson):
            until = max(until, now + (asked.wait or 0.0))
            share, pause = answer[1], answer[3]
        else:
            share, pause = answer[2:4]
        assert LEAST <= share <= 1
        assert pause / 1_000_000 == pytest.approx(max(0.0, until - now), abs=1e-4)
        assert terms.life(share, pause) >= pause / 1_000_000
    record, _ = GCRA.apply(record, terms.looking(), max(now, until) + 100)
    assert len(record) == 1 + len(terms.each)


def test_of_one_moment_one_refusal_counts():
    """As in memory; and quiet time gives the rate back."""
    terms, record = Terms(limits("60/min")), None
    shares = []
    for after in (0, 2, 6, 12, 40):
        lesson = Lesson(refused=after < 40)
        record, (_, share, *_) = HEED.apply(record, terms.learning(lesson), START + after)
        shares.append(share)
    assert shares == pytest.approx([0.75, 0.75, 0.5625, 0.459375, 0.709375])


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
    record, (wait, tightest, _, _, *levels) = GCRA.apply(
        None, terms.arguments((1, 90, 90, 0)), START
    )
    assert (wait, tightest) == (0, -1)
    after, (wait, tightest, _, _, *again) = GCRA.apply(
        record, terms.arguments((1, 90, 90, 0)), START
    )
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
