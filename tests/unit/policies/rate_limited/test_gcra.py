"""One rate as one number."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from agentperf._base.rates import Rate
from agentperf.policies.rate_limited.gcra import NANO, Gcra

steps = st.lists(st.tuples(st.integers(0, 3 * NANO), st.integers(1, 7)), min_size=1, max_size=60)
limits = st.builds(Rate, st.integers(1, 12), st.sampled_from([0.5, 1.0, 7.0, 60.0]))


class Slow:
    """A token bucket in exact fractions: fills at the rate, holds the burst."""

    def __init__(self, rate: Rate, burst: int) -> None:
        self.per_nano = Fraction(rate.limit, round(rate.period * NANO))
        self.burst = Fraction(burst)
        self.level = self.burst
        self.then = 0

    def at(self, now: int) -> None:
        """Let time pass."""
        self.level = min(self.burst, self.level + (now - self.then) * self.per_nano)
        self.then = now

    def admits(self, now: int, cost: int) -> bool:
        """Decide on a call."""
        self.at(now)
        if self.level < cost:
            return False
        self.level -= cost
        return True


@given(limits, st.integers(1, 10), steps)
def test_it_admits_what_a_bucket_of_exact_fractions_admits(rate, burst, calls):
    """Call by call the same decision as a token bucket computed without rounding."""
    gcra, slow, now = Gcra(rate, burst), Slow(rate, burst), 0
    for pause, cost in calls:
        now += pause
        assert (gcra.admit(now, cost) == 0) is slow.admits(now, cost)


@given(limits, st.integers(1, 10), steps)
def test_the_wait_it_names_is_exact(rate, burst, calls):
    """After the wait it fits, a nanosecond before it does not; what is refused consumes nothing."""
    gcra, now = Gcra(rate, burst), 0
    for pause, cost in calls:
        now += pause
        wait = gcra.wait(now, cost)
        assert gcra.wait(now, cost) == wait
        if cost > burst:
            continue
        if wait > 0:
            assert gcra.wait(now + wait - 1, cost) > 0
            assert gcra.wait(now + wait, cost) == 0
        assert (gcra.admit(now, cost) == 0) is (wait == 0)


@given(limits, st.integers(1, 10), steps)
def test_it_never_admits_more_than_rate_times_time_plus_burst(rate, burst, calls):
    """Over every stretch from the start, the promise holds."""
    gcra, now, admitted = Gcra(rate, burst), 0, 0
    for pause, cost in calls:
        now += pause
        admitted += cost if gcra.admit(now, cost) == 0 else 0
        assert admitted <= Fraction(now * rate.limit, round(rate.period * NANO)) + burst


def test_a_refund_gives_back_what_was_taken():
    """Taking and giving back leaves the rate as it was."""
    gcra = Gcra(Rate(10, 1.0))
    assert gcra.admit(NANO, 10) == 0
    assert gcra.remaining(NANO) == 0
    gcra.give(NANO, 4)
    assert gcra.remaining(NANO) == 4
    gcra.give(NANO, 100)
    assert gcra.remaining(NANO) == 10


def test_a_debt_is_waited_for():
    """What a call used beyond its reservation is paid by those after it."""
    gcra = Gcra(Rate(10, 1.0))
    gcra.take(0, 15)
    assert gcra.remaining(0) == -5
    assert gcra.wait(0, 1) == 6 * NANO // 10
