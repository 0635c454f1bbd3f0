"""What headers say of an upstream's limits."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf._engine.pushback import Left, limits_left, retry_after, until_reset

NOON = 1_795_176_000.0  # 2026-11-20T12:00:00Z
YEAR = 31_536_000.0


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": " 12 "}, 12.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 -0000"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Sat, 20 Nov 2027 12:00:00 GMT"}, YEAR),
        ({"retry-after": "Fri, 20 Nov 99999 12:00:30 GMT"}, None),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e300"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "1_000"}, None),
        ({"retry-after": "٣"}, None),
        ({}, None),
    ],
)
def test_what_the_upstream_asks_for(headers, wait):
    """Seconds, milliseconds or a date; a year is a year; nonsense is no answer."""
    assert retry_after(headers, now=NOON) == wait


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("120ms", 0.12),
        ("6m0s", 360.0),
        ("1m30s", 90.0),
        ("1h2m3s", 3723.0),
        ("1.5", 1.5),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("31536000", YEAR),
        (str(int(NOON) + 9), 9.0),
        (str((int(NOON) + 9) * 1000), 9.0),
        (str(int(NOON) - 9), 0.0),
        ("2026-11-20T12:00:30Z", 30.0),
        ("2026-11-20T13:00:30+01:00", 30.0),
        ("2026-11-20T12:00:30", 30.0),
        ("2020-01-01T00:00:00Z", 0.0),
        ("2027-11-20T12:00:00Z", YEAR),
        ("soon", None),
        ("1s later", None),
        ("1.2.3s", None),
        ("1e300", None),
        ("9" * 5000, None),
        ("", None),
        ("٣s", None),
    ],
)
def test_when_a_limit_is_whole_again(text, seconds):
    """In any of the forms that there are; a date without a zone is in universal time."""
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": text}
    assert limits_left(headers, NOON) == {"requests": Left(0, None, seconds)}
    assert until_reset(headers, NOON) == seconds


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_dates_mean_the_same_on_every_machine(zone, monkeypatch):
    """Whatever its own zone is."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system has no tzset")
    try:
        with monkeypatch.context() as patched:
            patched.setenv("TZ", zone)
            time.tzset()
            headers = {"ratelimit-remaining": "0", "ratelimit-reset": "2026-11-20T12:00:30"}
            assert until_reset(headers, NOON) == 30
    finally:
        time.tzset()


def test_the_limits_of_all_families():
    """By what they count."""
    openai = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert limits_left(openai, NOON) == {
        "requests": Left(499, 500, 0.12),
        "tokens": Left(0, None, 360.0),
    }
    anthropic = {
        "anthropic-ratelimit-requests-remaining": "3",
        "anthropic-ratelimit-input-tokens-limit": "40000",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-20T12:00:07Z",
        "anthropic-ratelimit-output-tokens-remaining": "12",
    }
    assert limits_left(anthropic, NOON) == {
        "requests": Left(3),
        "input_tokens": Left(0, 40_000, 7.0),
        "output_tokens": Left(12),
    }
    for name in ("x-ratelimit-", "ratelimit-"):
        others = {f"{name}limit": "60", f"{name}remaining": "59", f"{name}reset": "12"}
        assert limits_left(others, NOON) == {"": Left(59, 60, 12.0)}


def test_of_those_used_up_the_longest_counts():
    """The others don't keep anybody."""
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m30s",
        "x-ratelimit-remaining-tokens": "900",
        "x-ratelimit-reset-tokens": "6m0s",
        "ratelimit-remaining": "0",
        "ratelimit-reset": "12",
    }
    assert until_reset(headers, NOON) == 90
    assert until_reset({"ratelimit-remaining": "3", "ratelimit-reset": "12"}, NOON) is None
    assert until_reset({"ratelimit-reset": "12"}, NOON) is None


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "9" * 5000, "", "٣"])
def test_what_is_no_number_is_passed_over(text):
    """Some say -1 where they don't know."""
    assert limits_left({"x-ratelimit-remaining-requests": text}, NOON) == {}


@given(st.one_of(st.text(), st.from_regex(r"-?\d+(\.\d+)?(ms|s|m|h|d)?")))
def test_nothing_in_a_header_fails(text):
    """Whatever stands there, a wait is a number from nothing up."""
    names = ("retry-after", "retry-after-ms", "ratelimit-reset", "x-ratelimit-reset-tokens")
    headers = dict.fromkeys(names, text)
    headers |= {"ratelimit-remaining": "0", "x-ratelimit-remaining-tokens": "0"}
    for wait in (retry_after(headers, NOON), until_reset(headers, NOON)):
        assert wait is None or 0 <= wait < 1e21
