"""How long answers will be, from how long they were."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentperf
from agentperf import Usage, rate_limited
from agentperf.policies.rate_limited.outputs import ENOUGH, KEPT, Outputs
from agentperf.testing import FakeClock, fresh_host


@pytest.fixture(autouse=True)
def host():
    """A fresh host."""
    with fresh_host(FakeClock()) as host:
        yield host


@given(st.lists(st.integers(0, 5000), max_size=200))
def test_it_is_the_quantile_of_the_last_ones(lengths):
    """Nine of ten are no longer; the same answers always give the same figure."""
    outputs = Outputs()
    for length in lengths:
        outputs.note(length)
    last = sorted(lengths[-KEPT:])
    if len(last) < ENOUGH:
        assert outputs.expected is None
    else:
        assert outputs.expected == last[math.ceil(0.9 * len(last)) - 1]


def running(limit, answers):
    """Make a function that tells what is reserved while it runs, and the list it tells it in."""
    reserved = []

    def ask(prompt, max_tokens=None):
        before = agentperf.handle(limited).limiter.remaining()["output_tokens"]
        reserved.append(limit - before)
        return Usage(1, next(answers))

    limited = rate_limited(output_tokens=f"{limit}/s")(ask)
    return limited, reserved


def test_what_is_reserved_follows_the_answers():
    """At first a guess, then what they were; a bound in the call always goes first."""
    ask, reserved = running(100_000, iter([40] * 8 + [0] * 3))
    clock_on = agentperf._engine.current.current_host().clock
    for _ in range(10):
        ask("why")
        clock_on.advance(10)
    ask("why", max_tokens=7)
    assert reserved == [512] * 8 + [40] * 2 + [7]


def test_operations_that_share_a_limit_learn_by_themselves():
    """Long answers of the one don't make those of the other long."""
    limit = rate_limited(tokens="1_000_000/min")

    @limit
    def short(prompt):
        return Usage(1, 5)

    @limit
    def long(prompt):
        return Usage(1, 4000)

    for _ in range(ENOUGH):
        short("a")
        long("a")
    buckets = agentperf.handle(short).limiter._buckets
    assert sorted(one.expected for one in buckets.outputs) == [5, 4000]


@pytest.mark.parametrize("before", [0, ENOUGH])
def test_what_is_expected_never_makes_a_call_too_large(before):
    """There is room for the prompt, so it is let in."""
    work = rate_limited(tokens="1000/s", max_wait="1h")(lambda prompt: Usage(1, 900))
    for _ in range(before):
        work("why")
    assert work("word " * 600)


def test_vectors_have_no_answer():
    """After some embeddings nothing is reserved for one."""
    work = rate_limited(tokens="10_000/s")(lambda text: [0.5, 0.25])
    for _ in range(ENOUGH):
        work("why")
    assert [one.expected for one in agentperf.handle(work).limiter._buckets.outputs] == [0]
