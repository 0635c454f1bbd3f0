"""A limit that is found out."""

from __future__ import annotations

import pytest

from agentperf.policies.bulkhead.adaptive import AdaptiveLimit


def answers(limit, count, seconds, *, now=0.0, in_use=None):
    """Let a number of calls be answered, with all places in use."""
    for _ in range(count):
        now += seconds
        limit.answered(now, seconds, limit.limit if in_use is None else in_use)
    return now


def test_a_drop_cuts_it_at_once_and_once_for_all_under_way():
    """Calls that began before the cut say nothing new."""
    limit = AdaptiveLimit(1, 20, 20)
    assert limit.dropped(now=10, start=9) == 14
    assert limit.dropped(now=11, start=9.5) == 14
    assert limit.dropped(now=12, start=10) == 10


def test_it_stays_within_its_bounds():
    """However much is dropped, and however well all goes."""
    limit = AdaptiveLimit(2, 12, 8)
    for now in range(50):
        limit.dropped(now, now)
    assert limit.limit == 2
    answers(limit, 5000, 1.0, now=100)
    assert limit.limit == 12


def test_it_grows_while_it_is_made_use_of():
    """Slowly, and not while most places are free."""
    limit = AdaptiveLimit(1, 100, 10)
    now = answers(limit, 100, 1.0, in_use=4)
    assert limit.limit == 10
    answers(limit, 100, 1.0, now=now)
    assert 12 <= limit.limit <= 30


def test_it_shrinks_when_answers_become_slow():
    """Slower than half as much again as usual."""
    limit = AdaptiveLimit(1, 40, 40)
    now = answers(limit, 300, 1.0)
    before = limit.limit
    now = answers(limit, 50, 1.3, now=now)
    assert limit.limit >= before
    answers(limit, 200, 4.0, now=now)
    assert limit.limit < before * 0.7


def test_it_finds_what_an_upstream_bears():
    """One that answers ten calls at once in a second, and queues the others."""
    limit = AdaptiveLimit(1, 100, 50)
    now = answers(limit, 200, 1.0, in_use=30)  # what is usual was learnt in quiet times
    for _ in range(2000):
        seconds = max(1.0, limit.limit / 10)
        now += seconds / limit.limit
        limit.answered(now, seconds, limit.limit)
    assert 8 <= limit.limit <= 30


@pytest.mark.parametrize("seconds", [0.0, 1e-9])
def test_answers_without_length(seconds):
    """On a clock that stands still nothing is divided by nothing."""
    limit = AdaptiveLimit(1, 10, 5)
    answers(limit, 50, seconds)
    assert limit.limit >= 5
