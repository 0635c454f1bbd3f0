"""Random lives of a circuit in a store, for tests of its decision in either language."""

from __future__ import annotations

from hypothesis import strategies as st

from agentperf.policies.circuit_breaker.machine import Rules
from agentperf.policies.circuit_breaker.shared.decision import Known, Request

RULES = [
    Rules(minimum_calls=4, window=10, open_for=2.0, half_open_for=6.0),
    Rules(minimum_calls=3, window=5.0, open_for=0.7, probes=2, half_open_for=3.0),
    Rules(failure_rate=0.3, slow_rate=0.5, slow_after=1.0, window=25, minimum_calls=2, probes=1),
    Rules(failure_rate=1 / 3, window=0.9, minimum_calls=5, open_at_most=3.0, open_for=1.0),
    Rules(window=3, minimum_calls=20, probes=5),
]

PASSED = st.one_of(
    st.just(0.0),
    st.floats(0, 1),
    st.floats(0, 10),
    st.floats(-20, 100),
)
"""Seconds that pass between decisions; a clock may also be set."""


@st.composite
def told(draw):
    """Make batches of calls, as a process tells of them."""
    each = []
    for _ in range(draw(st.integers(0, 3))):
        calls = draw(st.integers(0, 30))
        bad = st.integers(0, calls)
        each.append((draw(st.floats(0, 12)), float(calls), float(draw(bad)), float(draw(bad))))
    return tuple(each)


WAITS = st.one_of(st.just(-1.0), st.floats(0, 900))
JITTERS = st.floats(0.9, 1.1)
LEASES = st.integers(1, 6).map(float)


@st.composite
def steps(draw):
    """Make what somebody asks of the store: how far back his knowledge is, and the rest."""
    ends = draw(st.booleans())
    request = Request(
        force=draw(st.sampled_from([-1.0] * 12 + [0.0, 1.0, 3.0, 4.0, 5.0])),
        lease=draw(LEASES) if ends or draw(st.booleans()) else 0.0,
        wait=draw(WAITS),
    )
    if request.lease and not ends:
        request = request._replace(wants=1.0)
    return draw(PASSED), draw(st.integers(-2, 2)), request, draw(JITTERS), draw(told())


def sequences():
    """Make lists of steps."""
    return st.lists(steps(), min_size=1, max_size=30)


def knowledge(answer, behind):
    """Return what a process knows that is some versions behind the last answer, or ahead."""
    if answer is None:
        return Known()
    version, state, left, openings, *_ = answer
    return Known(max(0.0, version - behind), state, left, openings)
