"""Calls that are larger than a whole burst."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentperf
from agentperf import RateLimitExceeded, RequestTooLarge, Usage, rate_limited
from agentperf.testing import FakeClock, fresh_host


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


def sized(oversize, requests="10/s", **options):
    """Let calls count as many requests as they say."""
    limit = rate_limited(requests, cost="size", max_wait="1h", oversize=oversize, **options)
    return limit(lambda size: None)


def let_in(clock, function, sizes):
    """Call one after the other; return when each was let in, from the first."""
    began, seen = clock.now(), []
    for size in sizes:
        function(size)
        seen.append(round(clock.now() - began, 6))
    return seen


def test_it_is_an_error_unless_said_otherwise(clock):
    """The error says how to let it run."""
    with pytest.raises(RequestTooLarge, match='oversize="borrow"'):
        rate_limited("10/s", cost="size")(lambda size: None)(11)


def test_borrowing_waits_for_a_full_burst_and_leaves_a_debt(clock):
    """A call of 25 at ten a second: full after half a second, paid for two and a half later."""
    work = sized("borrow")
    assert let_in(clock, work, [5, 25, 1]) == [0, 0.5, 2.1]
    assert agentperf.handle(work).limiter.remaining(1)["requests"] == 0


def test_borrowing_looks_at_each_rate_by_itself(clock):
    """A rate that has room for all of it is not filled up first."""
    work = sized("borrow", ["10/s", "100/min"])
    assert let_in(clock, work, [80, 20]) == [0, 8.0]
    assert let_in(clock, work, [20]) == [pytest.approx(4.0, abs=0.01)]


def test_borrowing_at_once_or_not_at_all(clock):
    """Who doesn't wait runs only if the burst is full now."""
    work = rate_limited("10/s", cost="size", on_limit="raise", oversize="borrow")(lambda size: None)
    work(25)
    with pytest.raises(RateLimitExceeded):
        work(25)
    clock.advance(2.5)
    work(25)


def test_a_clamped_call_takes_what_fits_ever(clock):
    """Each large call takes a whole burst and no more."""
    assert let_in(clock, sized("clamp"), [25, 25, 1]) == [0, 1, 1.1]


@pytest.mark.parametrize("oversize", ["borrow", "clamp"])
def test_what_an_answer_used_counts_in_full(clock, oversize):
    """The truth is paid, whatever was reserved."""
    limit = rate_limited(tokens="100/min", cost="size", oversize=oversize)
    work = limit(lambda size: Usage(size, 0))
    work(250)
    assert agentperf.handle(work).limiter.remaining(1) == {"tokens": -150}


@pytest.mark.parametrize("oversize", ["borrow", "clamp"])
def test_what_failed_is_given_back(clock, oversize):
    """As much as was taken."""
    work = rate_limited("10/s", cost="size", oversize=oversize, concurrency=1)(lambda size: 1 / 0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            work(25)
    assert agentperf.handle(work).limiter.remaining(1) == {"requests": 10, "concurrency": 1}


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_borrowing_keeps_the_rate_in_the_long_run(sizes):
    """Before each call, everything let in so far is paid for but one burst."""
    clock = FakeClock()
    with fresh_host(clock):
        began, taken = clock.now(), 0
        work = sized("borrow")
        for size in sizes:
            work(size)
            passed = clock.now() - began
            assert taken + min(size, 10) <= passed * 10 + 10 + 1e-6
            taken += size


def test_other_words_are_refused():
    """The error names the parameter."""
    with pytest.raises(agentperf.ConfigurationError, match="oversize='explode'"):
        rate_limited("1/s", oversize="explode")
