"""Retries, as their users meet them."""

from __future__ import annotations

import anyio
import openai
import pytest

import agentperf
from agentperf._engine.attempts import Budget
from agentperf.errors import CallTimeout, ConfigurationError
from agentperf.events import CallTimedOut, RetryGaveUp, RetryScheduled
from agentperf.policies.retry import Retry, retry
from agentperf.policies.retry.layer import Restarted
from agentperf.testing import FakeClock, cut, delay, fail, faulty, fresh_host, recorded, succeed


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


class Answer:
    """An HTTP answer, as far as the classifier looks."""

    def __init__(self, status: int, **headers: str) -> None:
        self.status_code = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class StatusError(Exception):
    """An error of a client library, by its shape."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(status)
        self.response = Answer(status, **headers)


def echo(value):
    """Give back what came in."""
    return value


def echo_back(items, value):
    """Change nothing."""
    return {}


def test_what_may_help_is_tried_again(clock):
    """Two lost connections, then the answer; the pauses grow and are jittered."""
    work = retry(faulty(echo, fail(ConnectionError), fail(TimeoutError)))
    with recorded(RetryScheduled) as log:
        assert work(7) == 7
    first, second = log.of(RetryScheduled)
    assert 0 <= first.wait <= 0.5
    assert 0 <= second.wait <= 1.0
    assert [first.attempt, second.attempt] == [1, 2]


@pytest.mark.parametrize("error", [TypeError("bug"), KeyError("x"), StatusError(400)])
def test_what_would_fail_again_is_not(clock, error):
    """Wrong requests and programming errors pass through at once, unchanged."""
    work = retry(faulty(echo, fail(error), repeat=True))
    with pytest.raises(type(error)) as caught, recorded(RetryScheduled) as log:
        work(1)
    assert caught.value is error
    assert log == []


def test_the_last_error_passes_through_as_it_is(clock):
    """No wrapper around it, and it is the last one."""
    errors = [ConnectionError(n) for n in range(3)]
    work = retry(faulty(echo, *map(fail, errors)))
    with pytest.raises(ConnectionError) as caught, recorded(RetryGaveUp) as log:
        work(1)
    assert caught.value is errors[2]
    assert [event.reason for event in log.of(RetryGaveUp)] == ["attempts"]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({"retry_after": "7"}, 7.0), ({"retry_after_ms": "250"}, 0.25), ({"retry_after": "0"}, 0.0)],
)
def test_a_wait_that_is_asked_for_is_kept_exactly(clock, headers, wait):
    """Neither jittered nor shortened."""
    work = retry(faulty(echo, fail(StatusError(429, **headers))))
    before = clock.now()
    work(1)
    assert clock.now() - before == pytest.approx(wait)


def test_an_upstream_that_asks_for_a_year_gets_no_retry(clock):
    """The error passes through at once."""
    work = retry(faulty(echo, fail(StatusError(503, retry_after="31536000"))))
    before = clock.now()
    with pytest.raises(StatusError), recorded(RetryGaveUp) as log:
        work(1)
    assert clock.now() == before
    assert [event.reason for event in log.of(RetryGaveUp)] == ["wait"]


def test_a_date_in_the_past_is_no_wait(clock):
    """It is retried at once."""
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    work = retry(faulty(echo, fail(StatusError(503, retry_after=past))))
    before = clock.now()
    assert work(1) == 1
    assert clock.now() == before


def test_total_bounds_a_running_attempt(clock):
    """An attempt of 30 s within 10 s in all ends after 10 s."""
    work = retry(total=10)(faulty(echo, delay(30)))
    before = clock.now()
    with pytest.raises(CallTimeout):
        work(1)
    assert clock.now() - before == 10


@pytest.mark.anyio
async def test_per_attempt_bounds_each_attempt():
    """The attempt that hangs is cancelled, the next one answers."""
    clock = FakeClock(autojump=True)
    with fresh_host(clock):

        async def aecho(value):
            return value

        work = retry(per_attempt=5)(faulty(aecho, delay(60)))
        before = clock.now()
        assert await work(3) == 3
        assert 5 <= clock.now() - before <= 5.5


def test_no_pause_reaches_past_the_total(clock):
    """The error is raised instead of sleeping into a deadline."""
    work = retry(total=5)(faulty(echo, fail(StatusError(429, retry_after="9"))))
    before = clock.now()
    with pytest.raises(StatusError), recorded(RetryGaveUp) as log:
        work(1)
    assert clock.now() == before
    assert [event.reason for event in log.of(RetryGaveUp)] == ["total"]


def test_the_budget_bounds_retries_to_a_share_of_calls(clock):
    """When everything fails, ten retries at the start and then none."""
    work = retry(attempts=5, budget=0.2)(faulty(echo, fail(ConnectionError), repeat=True))
    with recorded(RetryScheduled, RetryGaveUp) as log:
        for _ in range(50):
            with pytest.raises(ConnectionError):
                work(1)
    assert len(log.of(RetryScheduled)) == 10
    assert log.of(RetryGaveUp)[-1].reason == "budget"


def test_a_budget_grows_with_calls_that_work():
    """Five calls earn one retry at a fifth."""
    budget = Budget(0.2)
    while budget.spend() is None:
        budget.over()
    for _ in range(4):
        budget.earn()
    assert budget.spend() == "budget"
    budget.earn()
    budget.earn()
    assert budget.spend() is None


def test_a_call_saved_by_a_retry_earns_too(clock):
    """Every call that succeeds counts, by whichever attempt: one retry a call goes on for ever."""
    work = retry(budget=1.0)(faulty(echo, *[fail(ConnectionError), succeed()] * 30))
    assert [work(call) for call in range(30)] == list(range(30))


@pytest.mark.anyio
async def test_a_stream_that_begins_anew_is_bounded_too():
    """Its new attempt must give a first item in time."""
    clock = FakeClock(autojump=True)

    async def count():
        for number in range(3):
            yield number

    with fresh_host(clock):
        stream = retry(attempts=2, restart=True, per_attempt=5)(faulty(count, cut(2), delay(600)))()
        began = clock.now()
        with pytest.raises(CallTimeout):
            [item async for item in stream]
    assert clock.now() - began < 10


def test_on_says_what_to_retry(clock):
    """Types, or a predicate, in place of the classifier."""
    assert retry(on=KeyError)(faulty(echo, fail(KeyError)))(1) == 1
    assert (
        retry(on=lambda error: "again" in str(error))(faulty(echo, fail(ValueError("again"))))(2)
        == 2
    )
    with pytest.raises(ConnectionError):
        retry(on=KeyError)(faulty(echo, fail(ConnectionError)))(1)


def test_a_stream_is_retried_only_before_its_first_item(clock):
    """After it the error reaches the reader: no item comes twice."""

    def count():
        yield from range(4)

    assert list(retry(faulty(count, fail(ConnectionError)))()) == [0, 1, 2, 3]
    seen = []
    with pytest.raises(ConnectionError):
        seen.extend(retry(faulty(count, cut(2)))())
    reading = retry(faulty(count, cut(2)))()
    assert [next(reading), next(reading)] == [0, 1]
    with pytest.raises(ConnectionError):
        next(reading)


def tail(count, start=0):
    """Give numbers from a start."""
    yield from range(start, count)


async def atail(count, start=0):
    """The same, to be awaited."""
    for number in range(start, count):
        yield number


def after(items, count, start=0):
    """Go on behind what was given."""
    return {"start": len(items)}


def test_a_stream_goes_on_where_it_broke(clock):
    """Every item once, however often it breaks; the pauses are those of retries."""
    work = retry(resume=after, attempts=4)(faulty(tail, cut(2), cut(1), cut(0)))
    with recorded(RetryScheduled) as log:
        assert list(work(6)) == [0, 1, 2, 3, 4, 5]
    assert len(log.of(RetryScheduled)) == 3
    worn_out = retry(resume=after, attempts=2)(faulty(tail, cut(1), repeat=True))
    with pytest.raises(ConnectionError):
        list(worn_out(6))
    reading = retry(resume=after)(faulty(tail, cut(2)))(3)
    assert [next(reading), next(reading), next(reading)] == [0, 1, 2]


@pytest.mark.anyio
async def test_an_asynchronous_stream_goes_on_too():
    """The same code."""
    with fresh_host(FakeClock(autojump=True)):
        work = retry(resume=after)(faulty(atail, cut(2), cut(1)))
        assert [item async for item in work(5)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("resume", "logged"),
    [
        (lambda items, count: None, False),
        (lambda items, count: 1 / 0, True),
        (lambda items, count: {"begin": 3}, True),
    ],
)
def test_a_stream_that_can_not_go_on(clock, caplog, resume, logged):
    """Its reader gets the error that broke it, whatever `resume=` did."""
    given = []
    with pytest.raises(ConnectionError):
        given.extend(retry(resume=resume)(faulty(tail, cut(2)))(5))
    assert given == [0, 1]
    assert ("stream.resume_failed" in caplog.text) is logged


def test_a_conversation_is_not_continued(clock):
    """What was sent into a generator is lost with it."""
    calls = []

    @retry(resume=lambda items: calls.append(items) or {})
    def talk():
        yield (yield "hello")
        raise ConnectionError

    talking = talk()
    assert next(talking) == "hello"
    assert talking.send("you") == "you"
    with pytest.raises(ConnectionError):
        next(talking)
    assert calls == []


def test_no_pause_reaches_past_a_deadline_around_it(clock):
    """A timeout would only cut the pause off: the error itself is better, and comes now."""
    work = retry(faulty(echo, fail(StatusError(503, retry_after="9")), repeat=True))
    bounded = agentperf.timeout(total=5)(work)
    before = clock.now()
    with pytest.raises(StatusError), recorded(RetryGaveUp) as log:
        bounded(1)
    assert clock.now() == before
    assert [event.reason for event in log.of(RetryGaveUp)] == ["deadline"]


@pytest.mark.anyio
async def test_no_pause_on_a_loop_reaches_past_a_deadline():
    """The nearest of several counts; what they held for being over, they count no more."""
    clock = FakeClock(autojump=True)

    async def aecho(value):
        return value

    with fresh_host(clock), recorded(RetryGaveUp) as log:
        work = retry(faulty(aecho, fail(StatusError(503, retry_after="9")), repeat=True))
        for bounds in ({"total": 5}, {"total": 60}), ({"total": 60}, {"total": 5}):
            bounded = work
            for bound in bounds:
                bounded = agentperf.timeout(**bound)(bounded)
            before = clock.now()
            with pytest.raises(StatusError):
                await bounded(1)
            assert clock.now() == before
        again = retry(faulty(aecho, fail(StatusError(503, retry_after="9"))))
        assert await again(3) == 3
    assert [event.reason for event in log.of(RetryGaveUp)] == ["deadline", "deadline"]


CLIENT = openai.OpenAI(api_key="none", base_url="http://localhost:1", max_retries=2)


class Holder:
    """An object with a client."""

    def __init__(self, client):
        self.client = client

    def ask(self, question):
        """Ask it."""
        raise ConnectionError


def by_global(question):
    """Use a client of the module."""
    assert CLIENT.max_retries
    raise ConnectionError


def by_argument(client):
    """Use a client that is given."""
    raise ConnectionError


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (by_global, "x"),
        (by_argument, CLIENT),
        (by_argument, CLIENT.chat.completions),
        (Holder(CLIENT).ask, "x"),
    ],
)
def test_clients_that_retry_are_told_of_once(clock, caplog, function, argument):
    """As an argument, the object of a method, or a name around the function."""
    work = retry(function)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            work(argument)
    assert caplog.text.count("retry.client_retries_too") == 1
    assert "max_retries=0" in caplog.text


def test_clients_that_do_not_retry_are_fine(clock, caplog):
    """Nothing to say."""
    calm = CLIENT.with_options(max_retries=0)
    for work, argument in ((by_argument, calm), (Holder(calm).ask, "x"), (by_argument, "x")):
        with pytest.raises(ConnectionError):
            retry(work)(argument)
    assert "retry.client_retries_too" not in caplog.text


@pytest.mark.anyio
async def test_restart_tells_the_reader():
    """An item says that what came before is void."""

    async def count():
        for number in range(3):
            yield number

    with fresh_host(FakeClock(autojump=True)):
        items = [item async for item in retry(restart=True)(faulty(count, cut(2)))()]
    assert items[:2] == [0, 1]
    assert isinstance(items[2], Restarted)
    assert items[3:] == [0, 1, 2]


@pytest.mark.anyio
async def test_cancellation_is_never_retried():
    """It ends the call while it runs and while it pauses."""
    with fresh_host(FakeClock()):
        calls = 0

        @retry(attempts=5)
        async def work():
            nonlocal calls
            calls += 1
            await anyio.sleep_forever()

        with anyio.move_on_after(0.01):
            await work()
        assert calls == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attempts": 0}, "attempts=0"),
        ({"attempts": True}, "attempts=True"),
        ({"total": 0}, "total=0"),
        ({"per_attempt": "soon"}, "per_attempt='soon'"),
        ({"total": 5, "per_attempt": 10}, "longer than total"),
        ({"backoff": -1}, "backoff=-1"),
        ({"budget": 2}, "budget=2"),
        ({"on": 5}, "on=5"),
        ({"on": int}, "on="),
        ({"restart": "yes"}, "restart='yes'"),
        ({"resume": 5}, "resume=5"),
        ({"resume": anyio.sleep}, "resume="),
        ({"resume": echo_back, "restart": True}, "one of them"),
    ],
)
def test_bad_options_are_refused_before_any_call(options, said):
    """The error names the parameter."""
    with pytest.raises(ConfigurationError, match=said):
        retry(**options)


def test_retry_is_a_policy():
    """Called with options it gives an object that decorates."""
    assert isinstance(retry(attempts=2), Retry)


def test_a_predicate_that_fails_hides_no_error(clock, caplog):
    """The caller sees what went wrong upstream; the predicate's own fault is logged."""
    work = retry(on=lambda error: error.status_code == 503)(faulty(echo, fail(ConnectionError)))
    with pytest.raises(ConnectionError):
        work(1)
    assert "policy.on_failed" in caplog.text


@pytest.mark.anyio
async def test_times_that_are_up_are_told():
    """So that `recent()` explains them."""
    with fresh_host(FakeClock(autojump=True)), recorded(CallTimedOut) as log:

        async def aecho(value):
            return value

        work = retry(per_attempt=5, total=12, backoff=0)(faulty(aecho, delay(60), repeat=True))
        with pytest.raises(agentperf.CallTimeout):
            await work("hi")
        told = [type(decision.event).__name__ for decision in agentperf.handle(work).recent()]
    operation = agentperf.handle(work).operation
    assert [(event.operation, event.name) for event in log] == [(operation, operation)] * 3
    limits = [(event.limit, event.seconds) for event in log]
    assert limits == [("per_attempt", 5), ("per_attempt", 5), ("total", 12)]
    assert told.count("CallTimedOut") == 3


def test_times_of_synchronous_attempts_are_told():
    """The same."""
    clock = FakeClock(autojump=True)
    with fresh_host(clock), recorded(CallTimedOut) as log:
        work = retry(per_attempt=5, attempts=2, backoff=0)(faulty(echo, delay(60), repeat=True))
        with pytest.raises(agentperf.CallTimeout):
            work("hi")
    assert [event.limit for event in log] == ["per_attempt", "per_attempt"]
