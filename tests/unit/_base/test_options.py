"""Options that nobody knows."""

from __future__ import annotations

import pytest

import agentperf
from agentperf._base.options import share


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: agentperf.cached(tll=60), r"cached has no option 'tll'; did you mean ttl=60\?"),
        (lambda: agentperf.timed(slwo=3), r"timed has no option 'slwo'; did you mean slow=3\?"),
        (lambda: agentperf.cached(bananas=1), r"'bananas'; there are ttl, key, ignore"),
        (
            lambda: agentperf.circuit_breaker(failure_threshold=5),
            r"'failure_threshold'; there are failure_rate and minimum_calls",
        ),
        (lambda: agentperf.circuit_breaker(threshold=5), r"are failure_rate and minimum_calls"),
        (lambda: agentperf.retry(max_attempts=3), r"did you mean attempts=3\?"),
        (lambda: agentperf.retry(tries=3), r"did you mean attempts=3\?"),
        (lambda: agentperf.timeout(seconds=3), r"did you mean total=3\?"),
        (lambda: agentperf.timeout(first=3), r"did you mean first_item=3\?"),
        (
            lambda: agentperf.fallback("x", target="y"),
            r"'target'; targets stand without a name: fallback\('y'\)",
        ),
        (lambda: agentperf.fallback(targets=["y", 5]), r"without a name: fallback\('y', 5\)"),
        (lambda: agentperf.compress_prompt(target=200), r"'target'; there are arg, max_tokens"),
        (lambda: agentperf.compress("x", max_token=5), r"did you mean max_tokens=5\?"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_what_was_meant(call, said):
    """An unknown option is refused before anything is decorated, with the nearest one there is."""
    with pytest.raises(agentperf.ConfigurationError, match=said):
        call()


@pytest.mark.parametrize(
    ("written", "meant"), [(0.3, 0.3), ("30%", 0.3), (" 12.5 % ", 0.125), (1, 1.0), ("100%", 1.0)]
)
def test_shares(written, meant):
    """A number, or text as it stands in a configuration file."""
    assert share("rate", written, 0.2) == meant


@pytest.mark.parametrize("written", [0, "0%", -0.1, 1.5, "130%", "x", True, None, [0.5]])
def test_what_is_no_share(written):
    """The error shows both ways to write one."""
    with pytest.raises(agentperf.ConfigurationError, match=r'rate=0\.2 or "20%"'):
        share("rate", written, 0.2)


def test_nothing_at_all_can_be_a_share():
    """Where the caller says so."""
    assert share("rate", 0, 0.2, zero=True) == share("rate", "0%", 0.2, zero=True) == 0
