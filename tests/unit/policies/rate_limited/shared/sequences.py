"""Random lives of a limit, for tests of its decision in either language."""

from __future__ import annotations

from hypothesis import strategies as st

from agentperf._base.rates import rates
from agentperf.policies.rate_limited.bucket import Limits


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
