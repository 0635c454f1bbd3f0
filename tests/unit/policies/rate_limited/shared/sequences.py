"""Random lives of a limit, for tests of its decision in either language."""

from __future__ import annotations

from hypothesis import strategies as st

from agentperf._base.rates import rates
from agentperf._engine.pushback import Left
from agentperf.policies.rate_limited.bucket import Limits
from agentperf.policies.rate_limited.replies import Lesson
from agentperf.policies.rate_limited.shared.decision import GCRA, HEED, Owed


def limits(requests=None, tokens=None, output_tokens=None, burst=None):
    """Make limits of what users write."""
    each = (requests, tokens, None, output_tokens)
    return Limits(tuple(rates(one, "requests") for one in each), None, burst)


LIMITS = [
    limits("7/min"),
    limits("500/min", burst=3),
    limits(["10/s", "100/min", "1000/day"]),
    limits("60/min", tokens="90_000/min", output_tokens=["997/s", "20_000/hour"]),
    limits(tokens="999_983/day"),
    limits("3/0.7s", tokens="1/day"),
]

_sizes = st.tuples(
    st.integers(0, 3), st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 900)
)
_nothing = st.just((0, 0, 0, 0))
HOUR, YEAR = 3_600_000_000, 31_536_000_000_000
_passed = st.one_of(
    st.just(0),
    st.integers(0, 50),
    st.integers(0, 20_000_000),
    st.integers(-5_000_000, 10**11),
    st.sampled_from([-YEAR, -HOUR, -1, HOUR, YEAR]),
)


def sequences():
    """Make lists of microseconds that pass, of what a call needs, and of what is owed by others."""
    owed = st.one_of(_nothing, _sizes)
    return st.lists(st.tuples(_passed, _sizes, owed, owed), min_size=1, max_size=40)


_left = st.builds(Left, st.integers(0, 3000), st.sampled_from([None, 7, 100, 1000]))
_waits = st.one_of(st.none(), st.integers(0, 9 * 10**10).map(lambda micros: micros / 1_000_000))
lessons = st.builds(
    Lesson, st.dictionaries(st.integers(0, 3), _left, max_size=2), st.booleans(), _waits
)


def lives():
    """Make lists of microseconds that pass, and of what the store is then asked.

    That is a call's need and what is owed, or what a reply teaches; and two flags for calls:
    whether it only looks, and whether it borrows.
    """
    owed = st.builds(Owed, st.one_of(_nothing, _sizes), st.one_of(_nothing, _sizes))
    asked = st.one_of(st.tuples(_sizes, owed), lessons)
    step = st.tuples(_passed, asked, st.booleans(), st.booleans())
    return st.lists(step, min_size=1, max_size=30)


def question(terms, asked, looks, borrows):
    """Return the decision that a step of a life asks for, and its arguments."""
    if isinstance(asked, Lesson):
        return HEED, terms.learning(asked)
    if looks:
        return GCRA, terms.looking(*asked, borrows=borrows)
    return GCRA, terms.arguments(*asked, borrows=borrows)
