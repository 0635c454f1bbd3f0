"""A limiter learns from what the upstream says."""

from __future__ import annotations

import contextlib
import http.client
import io

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentperf
from agentperf import RateLimitExceeded, rate_limited
from agentperf._base.rates import Rate
from agentperf.events import CallDelayed, LimitChanged
from agentperf.policies.rate_limited.caution import ASKED, LEAST, REFUSED, STRETCH, Caution
from agentperf.policies.rate_limited.gcra import NANO, Gcra
from agentperf.policies.rate_limited.replies import Lesson
from agentperf.testing import FakeClock, fail, faulty, fresh_host, recorded


class Reply:
    """A response of some client."""

    def __init__(self, status=200, **headers):
        self.status_code = status
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}


class Refused(Exception):
    """An error of some client."""

    def __init__(self, status=429, **headers):
        super().__init__(status)
        self.response = Reply(status, **headers)


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


def refuse(*errors):
    """Answer after some refusals."""
    return faulty(lambda *_: "fine", *(fail(error) for error in errors))


def let_in(clock, work, *args):
    """Call; return how long that took."""
    before = clock.now()
    with contextlib.suppress(Refused):
        work(*args)
    return round(clock.now() - before, 6)


def left(work, *args):
    """Return what is left."""
    return agentperf.handle(work).limiter.remaining(*args)


def test_a_refusal_pauses_everybody_and_then_they_go_slower(clock):
    """Seven seconds as asked, then one at a time at three quarters of the rate."""
    work = rate_limited("60/min")(refuse(Refused(retry_after="7")))
    assert [let_in(clock, work) for _ in range(4)] == [0, 7, 1.333333, 1.333333]


def test_a_refusal_that_names_no_time(clock):
    """There is no pause, but no burst either."""
    work = rate_limited("60/min")(refuse(Refused()))
    assert [let_in(clock, work) for _ in range(3)] == [0, 1.333333, 1.333333]


def test_a_pause_beyond_max_wait_is_refused_at_once(clock):
    """The error says why and until when."""
    work = rate_limited("60/min", max_wait=10)(refuse(Refused(retry_after="30")))
    let_in(clock, work)
    assert agentperf.handle(work).limiter.peek().wait == 30
    with pytest.raises(RateLimitExceeded, match="a pause that the upstream asked for") as caught:
        work()
    assert caught.value.retry_after == 30
    clock.advance(30)
    assert let_in(clock, work) == 0


def test_a_limit_of_places_pauses_too(clock):
    """There is nothing to be slowed down, but the wait is kept."""
    work = rate_limited(concurrency=2)(refuse(Refused(503, retry_after="4")))
    assert [let_in(clock, work) for _ in range(3)] == [0, 4, 0]
    assert left(work) == {"concurrency": 2}


def test_other_keys_go_on(clock):
    """What one key is told is not the others' business."""
    work = rate_limited("60/min", by=lambda user: user)(refuse(Refused(retry_after="7")))
    assert [let_in(clock, work, user) for user in "aba"] == [0, 0, 7]


def test_refusals_of_one_moment_count_once(clock):
    """And slowness goes away in time: a twentieth each five seconds."""
    work = rate_limited("60/min", burst=1)(refuse(*(Refused() for _ in range(3))))
    assert [let_in(clock, work) for _ in range(3)] == [0, 1.333333, 1.333333]
    share = agentperf.handle(work).limiter.share
    assert share() == 0.75
    clock.advance(5)
    assert share() == pytest.approx(0.8)
    clock.advance(60)
    assert share() == 1
    with recorded(CallDelayed) as log:
        assert [let_in(clock, work) for _ in range(3)] == [0, 1, 1]
    assert len(log.names()) == 2


def test_the_rate_never_goes_below_a_tenth(clock):
    """Even where each call is refused."""
    work = rate_limited("60/min")(refuse(*(Refused() for _ in range(30))))
    assert 5 < max(let_in(clock, work) for _ in range(31)) <= 10


def test_nothing_is_learned_without_learn(clock):
    """As before."""
    work = rate_limited("60/min", learn=None)(refuse(Refused(retry_after="7")))
    assert [let_in(clock, work) for _ in range(3)] == [0, 0, 0]


def test_no_more_is_left_than_a_reply_says(clock):
    """And never more than the limit allows; of several rates, the one that is named."""
    replies = iter(
        [
            Reply(x_ratelimit_remaining_requests="7"),
            Reply(x_ratelimit_remaining_requests="5000"),
            Reply(x_ratelimit_limit_requests="1000", x_ratelimit_remaining_requests="2"),
            Reply(),
        ]
    )
    work = rate_limited(["60/min", "1000/day"], learn="replies")(lambda: next(replies))
    seen = [(work(), left(work)["requests"])[1] for _ in range(4)]
    assert seen == [7, 6, 2, 1]


def test_limits_that_fill_up_all_the_time_are_not_waited_for_until_they_are_full(clock):
    """A reset says when all is there again: only where a call was refused is it waited for."""
    used_up = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "10s"}
    replies = iter([Reply(**used_up), Reply(429, **used_up), Reply()])
    work = rate_limited("60/min", learn="replies")(lambda: next(replies))
    assert [let_in(clock, work) for _ in range(3)] == [0, 1, 10]


def test_an_error_says_what_remains_too(clock):
    """Without another option."""
    error = Refused(x_ratelimit_remaining_tokens="10")
    work = rate_limited(tokens="600/min", cost=lambda: 100)(refuse(error))
    let_in(clock, work)
    assert left(work) == {"tokens": 10}


def test_answers_are_not_looked_at_unless_asked(clock):
    """A good call costs nothing more."""
    work = rate_limited("60/min")(lambda: Reply(x_ratelimit_remaining_requests="7"))
    work()
    assert left(work) == {"requests": 59}


def test_a_refusal_that_is_no_error(clock):
    """HTTP clients return it."""
    replies = iter([Reply(429, retry_after="7"), Reply()])
    work = rate_limited("60/min", learn="replies")(lambda: next(replies))
    assert [let_in(clock, work) for _ in range(2)] == [0, 7]


def test_headers_can_be_handed_over(clock):
    """Of the key that they belong to."""
    work = rate_limited("60/min", by="user")(lambda user: user)
    limiter = agentperf.handle(work).limiter
    limiter.learn({"anthropic-ratelimit-requests-remaining": "3", "Retry-After": "5"}, "anna")
    limiter.learn({"date": "today"}, "anna")
    assert [let_in(clock, work, user) for user in ("bert", "anna")] == [0, 5]


def test_pauses_and_slowness_are_told(clock):
    """Once for each cause; that the rates come back is not."""
    errors = [Refused(retry_after="7"), Refused(retry_after="7"), Refused(), Refused(529)]
    errors += [Refused(529, retry_after="20"), Refused(retry_after="60")]
    work = rate_limited(["60/min", "9/s"], name="upstream")(refuse(*errors))
    with recorded(LimitChanged) as log:
        for _ in range(len(errors) + 1):
            let_in(clock, work)
    assert [(event.old, event.new, event.pause) for event in log] == [
        (1.0, 0.75, 7.0),
        (0.75, 0.5625, 7.0),
        (0.5625, 0.421875, 0.0),
        (0.421875, 0.421875, 20.0),
        (0.421875, 0.31640625, 60.0),
    ]
    assert {event.name for event in log} == {"upstream"}
    reasons = [event.reason for event in log]
    assert reasons == [REFUSED, REFUSED, REFUSED, ASKED, REFUSED]


def test_a_pause_that_hardly_grows_is_not_told_again(clock):
    """Of many calls under way, each brings its refusal."""
    work = rate_limited("60/min")(lambda: None)
    limiter = agentperf.handle(work).limiter
    with recorded(LimitChanged) as log:
        for wait in ("7", "7.5", "8.5"):
            limiter.learn({"retry-after": wait})
            clock.advance(0.1)
    assert [event.pause for event in log] == [7.0, 8.5]
    assert [str(decision.event) for decision in agentperf.handle(work).recent()] == [
        str(event) for event in log
    ]


@pytest.mark.anyio
async def test_those_who_wait_go_on_in_their_order():
    """A pause holds them all; nobody is refused by the upstream for having come early."""
    clock = FakeClock()
    with fresh_host(clock):
        order: list[tuple[int, float]] = []

        @rate_limited("1/s", burst=2, max_wait="1h")
        async def work(number: int) -> None:
            order.append((number, round(clock.now() - began, 3)))
            if number == 1:
                await anyio.lowlevel.checkpoint()
                raise Refused(retry_after="10")

        async def quietly(number: int) -> None:
            with contextlib.suppress(Refused):
                await work(number)

        began = clock.now()
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(quietly, number)
                await clock.aadvance(0)
            await clock.aadvance(20)
        assert order == [(0, 0), (1, 0), (2, 10), (3, 11.333), (4, 12.667)]


def test_words_that_are_none():
    """The error names the parameter."""
    for learn in (True, "all"):
        with pytest.raises(agentperf.ConfigurationError, match="learn="):
            rate_limited("1/s", learn=learn)


rates = st.builds(Rate, st.integers(1, 50), st.sampled_from([0.5, 1.0, 60.0]))
shares = st.floats(LEAST, 1.0)
changes = st.tuples(st.integers(0, NANO), st.integers(1, 5), shares)


@given(rates, st.lists(changes, max_size=30))
def test_another_pace_never_gives_more(rate, steps):
    """Whatever the pace, no more is let in than at the full one; what is left stays left."""
    gcra, now, admitted = Gcra(rate), 0, 0
    for pause, cost, share in steps:
        now += pause
        admitted += cost if gcra.admit(now, cost) == 0 else 0
        assert admitted <= now * rate.limit / round(rate.period * NANO) + rate.limit + 1e-6
        before = gcra.remaining(now)
        gcra.go_at(now, share)
        assert before - 1 <= gcra.remaining(now) <= before


lessons = st.builds(Lesson, refused=st.booleans(), wait=st.one_of(st.none(), st.floats(0, 100.0)))


@given(st.lists(st.tuples(st.integers(0, 20 * NANO), lessons), max_size=30))
def test_caution_ends(steps):
    """After any refusals it holds nobody for longer than asked, and all is well in the end."""
    gcra = Gcra(Rate(10, 1.0))
    caution, now, until = Caution(), 0, 0
    for pause, lesson in steps:
        now += pause
        caution.over(now, [(0, gcra)])
        caution.heed(now, lesson, [(0, gcra)])
        until = max(until, now + round((lesson.wait or 0) * NANO))
        assert caution.pause(now) == until - now if until > now else caution.pause(now) == 0
        assert LEAST <= caution.share <= 1
    assert caution.over(max(now, until) + 20 * STRETCH, [(0, gcra)])
    assert gcra.wait(max(now, until) + 40 * STRETCH, 10) == 0
    assert gcra.go_at(0, 1.0) is None


def test_headers_of_the_standard_library_teach_too():
    """They are no mapping, but have names and values."""
    headers = http.client.parse_headers(io.BytesIO(b"retry-after: 7\r\n\r\n"))
    with fresh_host(FakeClock()):
        limited = agentperf.rate_limited("60/min")(lambda: None)
        limiter = agentperf.handle(limited).limiter
        limiter.learn(headers)
        assert limiter.peek().wait == pytest.approx(7)
