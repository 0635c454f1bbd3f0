"""Random lives of a shared budget, for tests of its decision in either language."""

from __future__ import annotations

from hypothesis import strategies as st

from agentperf.policies.budgeted.shared.decision import (
    Allowed,
    Figures,
    Purpose,
    Totals,
    Want,
    arguments,
)

_some = st.integers(0, 40)
_large = st.one_of(_some, st.integers(0, 2**45))
_limit = st.one_of(st.just(-1), st.integers(0, 300), st.integers(0, 2**45))
HOUR, YEAR = 3_600_000_000, 31_536_000_000_000
_passed = st.one_of(
    st.integers(0, 2_000_000),
    st.integers(-5_000_000, 10**9),
    st.integers(0, 2 * 10**9),
    st.sampled_from([-YEAR, -HOUR, HOUR, YEAR]),
)


def _total():
    return st.builds(Totals, _some, _some, _large, _large, _some, _some, _large, _large)


@st.composite
def sequences(draw):
    """Make lists of microseconds that pass, and of what the decision is asked for then."""
    allowed = Allowed(draw(_limit), draw(_limit), draw(_limit))
    per = draw(st.sampled_from([None, 1.5, 600.0, 86400.0]))
    steps = []
    for serial in range(1, draw(st.integers(1, 25))):
        told = draw(_total())
        takes = arguments(
            draw(st.sampled_from([Purpose.BEGIN, Purpose.BEGIN, Purpose.TELL, Purpose.RESET])),
            allowed,
            per,
            holder=draw(st.sampled_from([1, 2**53 - 1, 77])),
            serial=max(1, serial - draw(st.integers(0, 2))),
            floor=max(0, serial - draw(st.integers(1, 4))),
            known=draw(
                st.one_of(
                    st.just(Figures()),
                    st.builds(
                        Figures,
                        at=st.just(0),
                        began=st.integers(1_699_999_999_000_000, 1_700_000_500_000_000),
                        begun=_some,
                        returned=_some,
                        tokens=_large,
                        nano=_large,
                    ),
                )
            ),
            told=told,
            counted=draw(st.one_of(st.just(told), _total())),
            want=draw(st.builds(Want, st.integers(0, 1), _some, _large, _some, _large)),
        )
        steps.append((draw(_passed), takes))
    return steps
