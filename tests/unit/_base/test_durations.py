"""Durations as people write them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf import ConfigurationError
from agentperf._base.durations import UNITS, seconds


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (30, 30.0),
        (0.5, 0.5),
        ("250ms", 0.25),
        ("7us", 7e-6),
        ("1s", 1.0),
        ("5m", 300.0),
        ("5min", 300.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("1.5h", 5400.0),
        ("1h30m", 5400.0),
        ("1h 30m 10s", 5410.0),
        (" 5 m ", 300.0),
        ("5 minutes", 300.0),
        ("1 hour", 3600.0),
        ("1 hour 30 minutes", 5400.0),
        ("2days", 172800.0),
        ("30 secs", 30.0),
        ("1 microsecond", 1e-6),
        (dt.timedelta(minutes=5), 300.0),
        (dt.timedelta(microseconds=1), 1e-6),
    ],
)
def test_what_they_mean(written, meant):
    """Numbers are seconds; text has units; timedeltas are what they are."""
    assert seconds(written, "ttl") == pytest.approx(meant, rel=1e-12)


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            "",
            "5",
            "m",
            "5 parsecs",
            "5m!",
            "-5m",
            "+5m",
            "1e3s",
            "5,5s",
            "m5",
            "5M",
            "..5s",
            "5 minutess",
            "5 weeks",
        ),
        *(True, False, None, [], b"5m", 5j, object()),
        *(0, -1, 0.0, -0.5, "0s", "0.0ms"),
        *(float("nan"), float("inf"), float("-inf"), 10**400, "9" * 400 + "s"),
        *(dt.timedelta(0), dt.timedelta(seconds=-1)),
    ],
    ids=lambda wrong: repr(wrong)[:20],
)
def test_what_is_wrong(wrong):
    """It is refused, with the parameter's name and a good example."""
    with pytest.raises(ConfigurationError, match=r"^ttl=") as refused:
        seconds(wrong, "ttl")
    assert '"250ms"' in str(refused.value)


def test_no_time_at_all():
    """Only where that means something."""
    assert seconds(0, "linger", zero=True) == seconds("0s", "linger", zero=True) == 0.0
    with pytest.raises(ConfigurationError, match="zero or more"):
        seconds(-1, "linger", zero=True)


@given(st.integers(1, 10**6), st.sampled_from(sorted(UNITS)))
def test_parts_add_up(number, unit):
    """Text in several parts is the sum of its parts."""
    one = seconds(f"{number}{unit}", "ttl")
    assert one == pytest.approx(number * UNITS[unit])
    assert seconds(f"{number} {unit} 1s", "ttl") == pytest.approx(one + 1)


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_refused(text):
    """No other error comes out, and no duration is below zero or endless."""
    try:
        assert 0 < seconds(text, "ttl") < float("inf")
    except ConfigurationError as refused:
        assert "ttl=" in str(refused)  # noqa: PT017 - either is right
