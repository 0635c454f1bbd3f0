"""Options that nobody knows."""

from __future__ import annotations

import pytest

import agentperf


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: agentperf.cached(tll=60), r"cached has no option 'tll'; did you mean ttl=60\?"),
        (lambda: agentperf.timed(slwo=3), r"timed has no option 'slwo'; did you mean slow=3\?"),
        (lambda: agentperf.cached(bananas=1), r"'bananas'; there are ttl, key, ignore"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_what_was_meant(call, said):
    """An unknown option is refused before anything is decorated, with the nearest one there is."""
    with pytest.raises(agentperf.ConfigurationError, match=said):
        call()
