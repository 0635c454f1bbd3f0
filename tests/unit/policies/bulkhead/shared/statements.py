"""Random statements of processes, for tests of the decision on places in either language."""

from __future__ import annotations

from hypothesis import strategies as st

from agentperf.policies.bulkhead.shared.decision import Terms

HOLDERS = [1.0, 2.0, 3.0, float(2**53 - 1)]

_passed = st.one_of(
    st.just(0), st.integers(0, 900_000), st.integers(0, 6_000_000), st.integers(-5_000_000, 10**8)
)


def statements(most=40):
    """Make lists of microseconds that pass, and of what somebody states then."""
    return st.lists(
        st.tuples(
            _passed,
            st.sampled_from([*HOLDERS, 0.0]),
            st.integers(0, 30),
            st.integers(0, 9),
            st.integers(0, 9),
            st.sampled_from([None, 0, 1, 5]),
        ),
        min_size=1,
        max_size=most,
    )


def terms():
    """Make numbers of places, with leases of some length."""
    return st.builds(Terms, st.integers(1, 9), st.sampled_from([0.7, 5.0, 15.0]))
