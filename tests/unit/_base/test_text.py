"""Durations and money for people."""

from __future__ import annotations

import math

import pytest

from agentperf._base.text import format_dollars, format_seconds, format_wait


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0us"),
        (0.0000021, "2.1us"),
        (0.0004567, "457us"),
        (0.25, "250ms"),
        (0.04561, "45.6ms"),
        (1.0, "1s"),
        (12.345, "12.3s"),
        (1234.5, "1,234s"),
        (-0.5, "-500ms"),
        (math.nan, "-"),
        (math.inf, "-"),
    ],
)
def test_a_duration_is_written_with_its_unit(seconds, text):
    """Three digits and the unit that makes them readable; a dash where there is no figure."""
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "0.25 s"), (59.96, "60 s"), (100, "100 s"), (86400.4, "86,400 s")],
)
def test_a_time_to_wait_is_written_in_seconds(seconds, text):
    """A day too, which three digits would write with an exponent."""
    assert format_wait(seconds) == text


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (0.0, "$0"),
        (0.000038, "$0.000038"),
        (0.00071, "$0.00071"),
        (0.0042, "$0.0042"),
        (0.00999, "$0.0100"),
        (0.042, "$0.0420"),
        (1234.5678, "$1,234.5678"),
        (3.8e-12, "$3.8e-12"),
    ],
)
def test_small_money_keeps_its_digits(dollars, text):
    """What a single call costs doesn't read as nothing."""
    assert format_dollars(dollars) == text
