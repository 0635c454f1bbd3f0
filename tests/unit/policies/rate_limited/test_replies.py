"""What is read out of replies."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentperf import classify
from agentperf._engine.pushback import Left
from agentperf.policies.rate_limited.replies import (
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


def learnt(error, now):
    """Give what an error teaches, as it is usually judged."""
    return lesson_of_error(error, classify(error, now=now), now)


def test_what_is_left_by_dimension():
    """In the order of a limiter's; what doesn't say what it counts is nobody's."""
    headers = {
        "X-RateLimit-Limit-Requests": "500",
        "X-RateLimit-Remaining-Requests": "499",
        "x-ratelimit-remaining-tokens": "0",
        "anthropic-ratelimit-input-tokens-remaining": "3",
        "x-ratelimit-remaining": "7",
    }
    assert lesson_of(headers, NOW).left == {0: Left(499, 500), 1: Left(0), 2: Left(3)}


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_nothing_in_a_header_fails(headers, text):
    """Whatever stands there."""
    headers |= {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": text}
    lesson = lesson_of({**headers, "retry-after": text}, NOW, refused=True)
    assert lesson.wait is None or 0 <= lesson.wait <= 86_400


def test_how_long_a_refusal_asks_to_wait():
    """As it says, or until what is used up is there again."""
    assert learnt(Refused(429, retry_after="7"), NOW) == Lesson({}, True, 7.0)
    assert learnt(Refused(429, retry_after_ms="250"), NOW) == Lesson({}, True, 0.25)
    assert learnt(Refused(429), NOW) == Lesson({}, True, None)
    assert learnt(Refused(429, retry_after="31536000"), NOW).wait == 86_400
    used_up = Refused(
        429,
        x_ratelimit_remaining_requests="5",
        x_ratelimit_reset_requests="1h",
        x_ratelimit_remaining_tokens="0",
        x_ratelimit_reset_tokens="9s",
    )
    assert learnt(used_up, NOW).wait == 9.0


def test_other_errors_teach_nothing():
    """Unless they say how long the upstream has too much to do."""
    for error in (ValueError(), Refused(500), Refused(503), Refused(400, retry_after="5")):
        assert learnt(error, NOW) is None
    assert learnt(Refused(429, code="insufficient_quota", retry_after="5"), NOW) is None
    assert learnt(Refused(529, retry_after="5"), NOW) == Lesson(wait=5.0)


def test_replies_with_headers():
    """A response, or what holds one."""
    reply = Reply(200, x_ratelimit_remaining_requests="4")
    holder = type("Parsed", (), {"http_response": reply})()
    for one in (reply, holder):
        assert lesson_of_reply(one, NOW) == Lesson({0: Left(4)})
    assert lesson_of_reply(Reply(429, retry_after="3"), NOW) == Lesson({}, True, 3.0)
    for other in ("text", None, object(), {"headers": {}}):
        assert lesson_of_reply(other, NOW) is None
