"""When to hedge, from what is remembered."""

from __future__ import annotations

import math
import threading

from hypothesis import given
from hypothesis import strategies as st

from agentperf.policies.hedged.core import MINIMUM, REST, TRIALS, WINDOW, Pace
from agentperf.policies.hedged.options import HedgeOptions, checked


def pace(after="p95") -> Pace:
    """Remember nothing yet."""
    return Pace(checked(after=after, extra=1, budget=0.1))


@given(
    st.lists(st.floats(0, 100), max_size=3 * WINDOW),
    st.sampled_from(["p50", "p95", "p99", "p99.9"]),
)
def test_the_quantile_is_that_of_the_window(durations, after):
    """Of the latest durations, the one that so many are no longer than."""
    mine = pace(after)
    for seconds in durations:
        mine.took(seconds)
    window = sorted(durations[-WINDOW:])
    if len(window) < MINIMUM:
        assert mine.delay() is None
    else:
        share = float(after[1:]) / 100
        assert mine.delay() == window[math.ceil(share * len(window)) - 1]


def test_a_time_is_a_time():
    """Whatever calls take."""
    mine = pace("300ms")
    assert mine.delay() == 0.3
    mine.took(9)
    assert mine.delay() == 0.3


@given(st.lists(st.booleans(), max_size=100))
def test_it_rests_when_hedges_win_too_seldom(outcomes):
    """Of the last twenty, fewer than four; it begins anew after that."""
    mine, kept = pace(), []
    for won in outcomes:
        kept.append(won)
        too_seldom = len(kept) >= TRIALS and sum(kept[-TRIALS:]) < 4
        assert mine.ended(10.0, won=won) is too_seldom
        if too_seldom:
            kept.clear()
            assert mine.rests(10.0 + REST - 0.1)
            assert not mine.rests(10.0 + REST)


def test_what_was_saved_is_estimated_from_longer_calls():
    """On average; nothing where none was longer."""
    mine = pace()
    for seconds in (1, 2, 3, 5):
        mine.took(seconds)
    assert mine.saved(2) == 2
    assert mine.saved(5) == 0


def test_threads_share_it():
    """Nothing is lost or torn."""
    mine = pace()

    def work() -> None:
        for number in range(2000):
            mine.took(number % 7)
            mine.delay()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mine._latest) == len(mine._in_order) == WINDOW
    assert sorted(mine._latest) == mine._in_order


def test_options_are_values():
    """Equal where equal things were said: a name can be shared."""
    assert checked(after="p95", extra=1, budget="10%") == HedgeOptions(0.95, None, 1, 0.1)
    assert checked(after="300ms", extra=2, budget=None) == HedgeOptions(None, 0.3, 2, None)
