"""What is read out of replies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.policies.rate_limited.replies import (
    Left,
    Lesson,
    lesson_of,
    lesson_of_error,
    lesson_of_reply,
)

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class Reply:
    """A response of some client."""

    def __init__(self, status, **headers):
        self.status_code = status
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}


class Refused(Exception):
    """An error of some client."""

    def __init__(self, status, code=None, **headers):
        super().__init__(status)
        self.code = code
        self.response = Reply(status, **headers)


def test_the_headers_of_both_families():
    """By dimension, in the order of a limiter's."""
    openai = {
        "X-RateLimit-Limit-Requests": "500",
        "X-RateLimit-Remaining-Requests": "499",
        "X-RateLimit-Reset-Requests": "120ms",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert lesson_of(openai, NOW).left == {0: Left(499, 500, 0.12), 1: Left(0, None, 360.0)}
    anthropic = {
        "anthropic-ratelimit-requests-remaining": "3",
        "anthropic-ratelimit-input-tokens-limit": "40000",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-01-01T00:00:07Z",
        "anthropic-ratelimit-output-tokens-remaining": "12",
    }
    assert lesson_of(anthropic, NOW).left == {0: Left(3), 2: Left(0, 40_000, 7.0), 3: Left(12)}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("1h2m3s", 3723.0),
        ("1.5", 1.5),
        ("0", 0.0),
        (str(int(NOW) + 9), 9.0),
        ("2020-01-01T00:00:00Z", 0.0),
        ("soon", None),
        ("1s later", None),
        ("-5", None),
        ("", None),
        ("٣s", None),
    ],
)
def test_when_it_is_there_again(text, seconds):
    """In any of the forms that there are; what can't be read is passed over."""
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": text}
    assert lesson_of(headers, NOW).left == {0: Left(0, None, seconds)}


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "9" * 5000, "", "٣"])
def test_what_is_no_number_is_passed_over(text):
    """Headers may come from anywhere."""
    assert not lesson_of({"x-ratelimit-remaining-requests": text}, NOW)


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_nothing_in_a_header_fails(headers, text):
    """Whatever stands there."""
    headers |= {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": text}
    lesson = lesson_of({**headers, "retry-after": text}, NOW, refused=True)
    assert lesson.wait is None or 0 <= lesson.wait <= 86_400


def test_how_long_a_refusal_asks_to_wait():
    """As it says, or until what is used up is there again."""
    assert lesson_of_error(Refused(429, retry_after="7"), NOW) == Lesson({}, True, 7.0)
    assert lesson_of_error(Refused(429, retry_after_ms="250"), NOW) == Lesson({}, True, 0.25)
    assert lesson_of_error(Refused(429), NOW) == Lesson({}, True, None)
    assert lesson_of_error(Refused(429, retry_after="31536000"), NOW).wait == 86_400
    used_up = Refused(
        429,
        x_ratelimit_remaining_requests="5",
        x_ratelimit_reset_requests="1h",
        x_ratelimit_remaining_tokens="0",
        x_ratelimit_reset_tokens="9s",
    )
    assert lesson_of_error(used_up, NOW).wait == 9.0


def test_other_errors_teach_nothing():
    """Unless they say how long the upstream has too much to do."""
    for error in (ValueError(), Refused(500), Refused(503), Refused(400, retry_after="5")):
        assert lesson_of_error(error, NOW) is None
    assert lesson_of_error(Refused(429, code="insufficient_quota", retry_after="5"), NOW) is None
    assert lesson_of_error(Refused(529, retry_after="5"), NOW) == Lesson(wait=5.0)


def test_replies_with_headers():
    """A response, or what holds one."""
    reply = Reply(200, x_ratelimit_remaining_requests="4")
    holder = type("Parsed", (), {"http_response": reply})()
    for one in (reply, holder):
        assert lesson_of_reply(one, NOW) == Lesson({0: Left(4)})
    assert lesson_of_reply(Reply(429, retry_after="3"), NOW) == Lesson({}, True, 3.0)
    for other in ("text", None, object(), {"headers": {}}):
        assert lesson_of_reply(other, NOW) is None
