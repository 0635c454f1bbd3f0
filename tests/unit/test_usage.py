"""Usage: tokens and money that add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf import Usage

COUNTS = st.integers(0, 10**6)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, st.none() | st.integers(0, 100).map(float))


@given(USAGES, USAGES, USAGES)
def test_usages_add_up_in_any_order(one, two, three):
    """Nothing at all changes nothing."""
    assert one + two == two + one
    assert (one + two) + three == one + (two + three)
    assert one + Usage() == one
    assert (one + two).total_tokens == one.total_tokens + two.total_tokens


def test_an_unknown_cost_stays_unknown_until_somebody_knows():
    """It is not taken for nothing."""
    assert (Usage(1) + Usage(2)).cost_usd is None
    assert (Usage(1) + Usage(2, cost_usd=0.0)).cost_usd == 0.0
    assert (Usage(cost_usd=0.5) + Usage(cost_usd=0.25)).cost_usd == 0.75


def test_it_cannot_be_changed():
    """Nor added to anything else."""
    with pytest.raises(AttributeError):
        Usage().input_tokens = 1
    with pytest.raises(TypeError):
        Usage() + 1
