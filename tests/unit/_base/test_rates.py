"""Rates as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf import ConfigurationError
from agentperf._base.durations import UNITS
from agentperf._base.rates import Rate, rates


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("500/min", Rate(500, 60)),
        ("90_000/min", Rate(90_000, 60)),
        ("90,000 per minute", Rate(90_000, 60)),
        ("90k/min", Rate(90_000, 60)),
        ("90 K / min", Rate(90_000, 60)),
        ("1.5M/day", Rate(1_500_000, 86400)),
        ("0.5k/s", Rate(500, 1)),
        ("2.0/s", Rate(2, 1)),
        ("5/10s", Rate(5, 10)),
        ("500 per 10 seconds", Rate(500, 10)),
        ("60/Minute", Rate(60, 60)),
        ("60/hours", Rate(60, 3600)),
    ],
)
def test_what_they_mean(written, meant):
    """So many, in thousands or millions too, per so long."""
    assert rates(written, "tokens") == (meant,)
    assert rates([written, "9/s"], "tokens") == (meant, Rate(9, 1))


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "many", "5", "/min", "5/", "k/min", "5/fortnight", "5m/min", "5G/min", "-5/min"),
        *("0/min", "0k/min", "0.5/min", "1.0005k/min", "1..5k/min", "_/min"),
        *([], {}, 5, [5], [None], b"5/min"),
    ],
    ids=repr,
)
def test_what_is_wrong(wrong):
    """It is refused, with the parameter's name and a good example."""
    with pytest.raises(ConfigurationError, match=r"^tokens=") as refused:
        rates(wrong, "tokens")
    assert '"500/min"' in str(refused.value)


@given(st.integers(1, 10**9), st.sampled_from(["", "k", "K", "M"]), st.sampled_from(sorted(UNITS)))
def test_letters_and_units_multiply(number, letter, unit):
    """Each for itself."""
    times = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6}[letter]
    assert rates(f"{number}{letter}/{unit}", "tokens") == (Rate(number * times, UNITS[unit]),)
    thousandths = f"{number // 1000}.{number % 1000:03}"
    if times > 1:
        found = rates(f"{thousandths}{letter}/{unit}", "tokens")
        assert found == (Rate(number * times // 1000, UNITS[unit]),)


@given(st.text(max_size=30))
def test_any_text_is_a_rate_or_refused(text):
    """No other error comes out."""
    try:
        assert rates(text, "tokens")[0].limit >= 1
    except ConfigurationError as refused:
        assert "tokens=" in str(refused)  # noqa: PT017 - either is right
