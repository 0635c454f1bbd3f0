"""Limits, as their users meet them."""

from __future__ import annotations

import threading

import anyio
import pytest

import agentperf
from agentperf.errors import ConfigurationError, RateLimitExceeded, RequestTooLarge
from agentperf.events import CallDelayed, CallRefused, LeaseSettled
from agentperf.policies.rate_limited import rate_limited
from agentperf.testing import FakeClock, fail, faulty, fresh_host, recorded
from agentperf.usage import Usage


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


def times(clock, function, calls):
    """Call one after the other; return when each was let in, from the first."""
    began, seen = clock.now(), []
    for call in calls:
        function(*call)
        seen.append(round(clock.now() - began, 6))
    return seen


def test_calls_within_the_burst_go_at_once_and_the_rest_at_the_rate(clock):
    """Two per second with a burst of two: the third waits half a second."""
    work = rate_limited("2/s", burst=2)(lambda: None)
    assert times(clock, work, [()] * 5) == [0, 0, 0.5, 1.0, 1.5]


def test_several_rates_hold_together(clock):
    """The tightest of them decides."""
    work = rate_limited(["10/s", "3/min"])(lambda: None)
    assert times(clock, work, [()] * 4) == [0, 0, 0, 20]


def test_raise_refuses_at_once_and_says_when(clock):
    """Nothing waits, nothing is consumed, and the error says what to do."""
    work = rate_limited("1/s", on_limit="raise", name="api")(lambda: 1)
    work()
    with recorded() as log:
        for _ in range(3):
            with pytest.raises(RateLimitExceeded, match="'api'") as caught:
                work()
            assert str(caught.value).endswith("later, in 1 s")
            assert caught.value.retry_after == 1.0
            assert (caught.value.policy, caught.value.policy_name) == ("rate_limited", "api")
    assert log.names() == ["CallRefused"] * 3
    clock.advance(1)
    assert work() == 1


def test_a_wait_beyond_max_wait_is_refused_at_once(clock):
    """Who would wait too long does not wait at all."""
    work = rate_limited("1/min", max_wait=10)(lambda: None)
    work()
    before = clock.now()
    with pytest.raises(RateLimitExceeded) as caught:
        work()
    assert clock.now() == before
    assert caught.value.retry_after == 60
    assert str(caught.value).endswith("later, in 60 s; max_wait is 10 s")


def test_a_long_wait_is_told_in_whole_seconds(clock):
    """And its figure has no digits beyond microseconds."""
    work = rate_limited("7/day", burst=1, max_wait=10)(lambda: None)
    work()
    with pytest.raises(RateLimitExceeded, match=r"in 12,343 s;") as caught:
        work()
    wait = caught.value.retry_after
    assert wait == round(wait, 6)
    assert wait >= 86400 / 7


def test_a_call_that_can_never_fit_is_an_error_at_once(clock):
    """It does not wait for ever, and it consumes nothing."""
    work = rate_limited(tokens="100/min", cost="size")(lambda size: size)
    with pytest.raises(RequestTooLarge, match="never fits"):
        work(101)
    assert work(100) == 100


def test_tokens_are_settled_by_the_usage_of_the_answer(clock):
    """What was reserved too much comes back, what was used too much is waited for."""
    answers = iter([Usage(10, 10), Usage(100, 80), Usage(1, 1)])
    limit = rate_limited(tokens="120/min", cost=lambda: 100, max_wait="1h")
    work = limit(lambda: next(answers))
    with recorded(LeaseSettled) as log:
        assert times(clock, work, [()] * 3) == [0, 0, 90]
    assert [event.used_tokens for event in log.of(LeaseSettled)] == [20, 180, 2]


def test_tokens_read_from_the_providers_cache_do_not_count(clock):
    """Providers don't count them either."""
    work = rate_limited(input_tokens="100/min", cost=lambda: 50)(lambda: Usage(90, 5, 90))
    assert times(clock, work, [()] * 4) == [0, 0, 0, 0]


def test_a_failed_call_gives_everything_back(clock):
    """Requests, tokens and places return."""
    limit = rate_limited("1/min", tokens="10/min", concurrency=1, cost=lambda: 10)
    work = limit(faulty(lambda: 1, fail(LookupError), fail(LookupError)))
    for _ in range(2):
        with pytest.raises(LookupError):
            work()
    assert times(clock, work, [()]) == [0]


def test_an_answer_without_usage_keeps_the_reservation(clock):
    """Nothing is known, so nothing is given back."""
    work = rate_limited(tokens="10/min", cost=lambda: 10)(lambda: "no usage")
    assert times(clock, work, [(), ()]) == [0, 60]


def test_a_stream_is_settled_by_its_last_usage_at_its_end(clock):
    """Until then the reservation holds."""

    @rate_limited(tokens="100/min", cost=lambda: 100, max_wait=0)
    def stream():
        yield "a"
        yield {"usage": {"prompt_tokens": 5, "completion_tokens": 5}}

    reading = stream()
    next(reading)
    with pytest.raises(RateLimitExceeded):
        next(stream())
    assert len(list(reading)) == 1
    with pytest.raises(RateLimitExceeded):
        next(stream())
    clock.advance(6)
    assert next(stream()) == "a"


def test_keys_have_limits_of_their_own(clock):
    """A wait on one key does not delay another."""
    work = rate_limited("1/min", by="user", max_wait=0)(lambda user: user)
    assert [work("a"), work("b")] == ["a", "b"]
    with pytest.raises(RateLimitExceeded):
        work("a")


def test_one_object_is_one_limit(clock):
    """Functions that share the object share what it allows; so do policies of one name."""
    limit = rate_limited("1/min", max_wait=0)
    one, two = limit(lambda: 1), limit(lambda: 2)
    one()
    with pytest.raises(RateLimitExceeded):
        two()
    named = [rate_limited("1/min", max_wait=0, name="shared")(lambda: 1) for _ in range(2)]
    named[0]()
    with pytest.raises(RateLimitExceeded):
        named[1]()


@pytest.mark.anyio
async def test_waiting_calls_are_served_in_their_order():
    """A large call is not overtaken for ever by small ones."""
    clock = FakeClock()
    with fresh_host(clock):
        order: list[int] = []

        @rate_limited(tokens="10/s", cost="size", max_wait="1h")
        async def work(size: int) -> None:
            order.append(size)

        async with anyio.create_task_group() as tasks:
            for size in (10, 9, 1, 1, 1):
                tasks.start_soon(work, size)
                await clock.aadvance(0)
            await clock.aadvance(10)
        assert order == [10, 9, 1, 1, 1]


@pytest.mark.anyio
async def test_a_cancelled_waiter_gives_its_place_up():
    """Those behind it wait no longer than if it had never come."""
    clock = FakeClock()
    with fresh_host(clock):
        done: list[float] = []

        @rate_limited("1/s", max_wait="1h")
        async def work() -> None:
            done.append(clock.now())

        await work()
        async with anyio.create_task_group() as doomed:
            for _ in range(3):
                doomed.start_soon(work)
            await clock.aadvance(0.1)
            doomed.cancel_scope.cancel()
        began = clock.now()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await clock.aadvance(5)
        assert done[-1] - began <= 1


@pytest.mark.anyio
async def test_concurrency_bounds_what_runs_at_once():
    """A place that is freed goes to the head of the queue, by cancellation too."""
    clock = FakeClock()
    with fresh_host(clock):
        running, most = 0, 0
        gate = anyio.Event()

        @rate_limited(concurrency=2, max_wait="1h")
        async def work() -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                await gate.wait()
            finally:
                running -= 1

        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as doomed:
                doomed.start_soon(work)
                await clock.aadvance(0)
                for _ in range(4):
                    tasks.start_soon(work)
                await clock.aadvance(0)
                doomed.cancel_scope.cancel()
            await clock.aadvance(0)
            assert running == 2
            gate.set()
            await clock.aadvance(0)
        assert most == 2


def test_threads_share_a_limit_exactly(clock):
    """Eight threads get no more than the burst between them."""
    work = rate_limited("50/h", max_wait=0)(lambda: None)
    let_in = []

    def hammer():
        for _ in range(20):
            try:
                work()
            except RateLimitExceeded:
                continue
            let_in.append(1)

    host = agentperf._engine.current.current_host()

    def run():
        with agentperf.use(host):
            hammer()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) == 50


def test_a_delay_is_told(clock):
    """Subscribers learn how long a call waited."""
    work = rate_limited("1/s")(lambda: None)
    with recorded(CallDelayed, CallRefused) as log:
        work()
        work()
    assert [event.waited for event in log.of(CallDelayed)] == [1.0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "needs a limit"),
        ({"requests": "ten a minute"}, "requests='ten a minute'"),
        ({"requests": "0/min"}, "at least one"),
        ({"requests": "5/fortnight"}, "length of time"),
        ({"requests": []}, "requests="),
        ({"tokens": 5}, "tokens=5"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"concurrency": True}, "concurrency=True"),
        ({"requests": "1/s", "burst": 0}, "burst=0"),
        ({"concurrency": 1, "burst": 3}, "burst="),
        ({"requests": "1/s", "on_limit": "explode"}, "on_limit='explode'"),
        ({"requests": "1/s", "max_wait": -1}, "max_wait=-1"),
        ({"requests": "1/s", "cost": 3}, "cost=3"),
    ],
)
def test_bad_options_are_refused_before_any_call(options, said):
    """The error names the parameter."""
    with pytest.raises(ConfigurationError, match=said.replace("(", r"\(")):
        rate_limited(**options)


def test_several_rates_by_position_are_refused():
    """The error shows the list that was meant."""
    with pytest.raises(ConfigurationError, match=r"rate_limited\(\['5/s', '100/min'\]\)"):
        rate_limited("5/s", "100/min")


@pytest.mark.parametrize("headers", [5, None, "retry-after: 5", [("retry-after", "5")]])
def test_only_headers_can_be_learned_from(clock, headers):
    """The error shows some."""
    limiter = agentperf.handle(rate_limited("1/s")(lambda text: text)).limiter
    with pytest.raises(ConfigurationError, match=r"^headers is a.*learn\(response\.headers\)"):
        limiter.learn(headers)


def test_names_of_parameters_are_checked_at_decoration():
    """A misspelt `by=` or `cost=` is found before any call."""
    for limit in (rate_limited("1/s", by="usr"), rate_limited(tokens="1/s", cost="sz")):
        with pytest.raises(ConfigurationError, match=r"usr|sz"):
            limit(lambda user, size: None)
    with pytest.raises(ConfigurationError, match=r"rate_limited\(\"500/min\"\)"):
        rate_limited(lambda: None)


def test_a_limiter_shows_its_limits():
    """As people write them."""
    limit = rate_limited(["60/min", "5/10s"], tokens="90_000/min", concurrency=8)
    shown = repr(agentperf.handle(limit(lambda text: text)).limiter)
    assert shown == "<limiter: 60/min requests, 5/10s requests, 90000/min tokens, 8 at once>"
