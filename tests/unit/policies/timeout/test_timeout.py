"""Timeouts, as their users meet them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading

import anyio
import pytest

import agentperf
from agentperf import CallTimeout, ConfigurationError, circuit_breaker, retry, timed, timeout
from agentperf.events import CallEnded, CallTimedOut
from agentperf.testing import FakeClock, delay, fail, faulty, fresh_host, hang, recorded
from tests.unit._engine.spies import Spy


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


@pytest.fixture
def jumping():
    """A clock that moves itself where tasks wait, on a fresh host."""
    clock = FakeClock(autojump=True)
    with fresh_host(clock):
        yield clock


def echo(value):
    """Give back what came in."""
    return value


async def aecho(value):
    """The same, awaited."""
    return value


def paced(clock, *gaps):
    """Give numbers, each after a while."""
    for number, gap in enumerate(gaps):
        if gap:
            faulty(echo, delay(gap))(0)
        yield number


async def apaced(*gaps):
    """The same, asynchronous."""
    for number, gap in enumerate(gaps):
        if gap:
            await faulty(aecho, delay(gap))(0)
        yield number


# -- plain calls ----------------------------------------------------------------------------------


def test_a_call_in_time(clock):
    """Its value or its error comes out as it is."""
    assert timeout("10s")(faulty(echo, delay(9)))(7) == 7
    error = LookupError("x")
    with pytest.raises(LookupError) as caught:
        timeout("10s")(faulty(echo, fail(error)))(7)
    assert caught.value is error


def test_a_call_that_takes_too_long(clock):
    """The error says what was too long, and an event does."""
    work = timeout(10, name="upstream")(faulty(echo, delay(30)))
    before = clock.now()
    with recorded(CallTimedOut) as log, pytest.raises(CallTimeout, match="total=10 s") as caught:
        work(7)
    assert clock.now() - before == 10
    error = caught.value
    assert (error.policy, error.policy_name) == ("timeout", "upstream")
    assert (error.limit, error.seconds) == ("total", 10.0)
    (event,) = log.of(CallTimedOut)
    assert (event.name, event.limit, event.seconds) == ("upstream", "total", 10.0)
    assert agentperf.classify(error).retryable


@pytest.mark.anyio
async def test_an_awaited_call_is_cancelled_and_over(jumping):
    """When the error is raised, the call has cleaned up behind itself."""
    ended = []

    @timeout(10)
    async def work():
        try:
            await faulty(aecho, hang())(1)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            ended.append(jumping.now())

    before = jumping.now()
    with recorded(CallTimedOut) as log, pytest.raises(CallTimeout):
        await work()
    assert [at - before for at in ended] == [10]
    assert log.names() == ["CallTimedOut"]


@pytest.mark.anyio
async def test_the_callers_cancellation_is_no_timeout(clock):
    """It passes through, and nothing is said of it."""
    work = timeout(10)(faulty(aecho, hang()))
    with recorded() as log, anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work, 1)
            await anyio.lowlevel.checkpoint()
            scope.cancel()
    assert scope.cancelled_caught
    assert log == []


def test_a_tasks_cancellation_at_the_very_moment_is_one():
    """A task that is cancelled as its time is up was cancelled."""

    async def main():
        task = asyncio.ensure_future(timeout(0.01)(faulty(aecho, hang()))(1))
        asyncio.get_running_loop().call_later(0.01, task.cancel)
        await asyncio.sleep(0.02)
        with pytest.raises(asyncio.CancelledError):
            await task

    with fresh_host():
        asyncio.run(main())


@pytest.mark.anyio
async def test_a_timeout_error_of_the_call_itself(jumping):
    """It is the call's own error, not one of ours."""
    with pytest.raises(TimeoutError) as caught:
        await timeout(10)(faulty(aecho, fail(TimeoutError)))(1)
    assert not isinstance(caught.value, CallTimeout)


# -- inside each other ----------------------------------------------------------------------------


@pytest.mark.parametrize(("outer", "inner", "whose"), [(5, 60, "outer"), (60, 5, "inner")])
def test_the_nearest_of_two_ends_first(clock, outer, inner, whose):
    """Whichever is further out, and it says whose time was up; once."""
    inside = timeout(inner, name="inner")(faulty(echo, delay(600)))

    @timeout(outer, name="outer")
    def outside(value):
        return inside(value)

    before = clock.now()
    with recorded(CallTimedOut) as log, pytest.raises(CallTimeout) as caught:
        outside(1)
    assert clock.now() - before == 5
    assert caught.value.policy_name == whose
    assert [event.name for event in log.of(CallTimedOut)] == [whose]


@pytest.mark.anyio
@pytest.mark.parametrize(("outer", "inner", "whose"), [(5, 60, "outer"), (60, 5, "inner")])
async def test_the_nearest_of_two_awaited_ends_first(jumping, outer, inner, whose):
    """The same on event loops."""
    inside = timeout(inner, name="inner")(faulty(aecho, hang()))

    @timeout(outer, name="outer")
    async def outside(value):
        return await inside(value)

    before = jumping.now()
    with pytest.raises(CallTimeout) as caught:
        await outside(1)
    assert jumping.now() - before == 5
    assert caught.value.policy_name == whose


def test_a_call_that_nobody_waits_for_is_not_retried():
    """The thread of a call that was left alone makes no further attempts."""
    calls, may_fail, over = [], threading.Event(), threading.Event()

    def failing():
        calls.append(1)
        may_fail.wait(30)
        raise ConnectionError

    @timeout(0.05)
    def work():
        try:
            retrying()
        finally:
            over.set()

    retrying = retry(attempts=5, backoff=0.001, budget=None)(failing)
    with fresh_host():
        with pytest.raises(CallTimeout):
            work()
        may_fail.set()
        assert over.wait(30)
    assert len(calls) == 1


# -- streams --------------------------------------------------------------------------------------


def test_each_item_has_its_time(clock):
    """The gap holds from item to item; what comes in time comes out."""
    assert list(timeout(gap=5, first_item=10)(paced)(clock, 9, 4, 4)) == [0, 1, 2]
    with recorded(CallTimedOut) as log:
        stream = timeout(gap=5)(paced)(clock, 0, 4, 6)
        assert [next(stream), next(stream)] == [0, 1]
        with pytest.raises(CallTimeout) as caught:
            next(stream)
    assert (caught.value.limit, caught.value.seconds) == ("gap", 5.0)
    assert log.names() == ["CallTimedOut"]


@pytest.mark.anyio
async def test_each_awaited_item_has_its_time(jumping):
    """The same on event loops."""
    stream = timeout(gap=5, first_item=10)(apaced)(9, 4, 6)
    assert [await anext(stream), await anext(stream)] == [0, 1]
    with pytest.raises(CallTimeout) as caught:
        await anext(stream)
    assert caught.value.limit == "gap"
    with pytest.raises(CallTimeout) as caught:
        await anext(timeout(first_item=10, gap=5)(apaced)(11))
    assert caught.value.limit == "first_item"


def test_the_first_item_has_its_time(clock):
    """From the call on."""
    before = clock.now()
    with pytest.raises(CallTimeout) as caught:
        next(timeout(60, first_item=10)(paced)(clock, 11))
    assert caught.value.limit == "first_item"
    assert clock.now() - before == 10


@pytest.mark.anyio
async def test_the_readers_pauses_do_not_count(jumping):
    """Neither as gaps nor in all."""
    got = []
    async for item in timeout(total=10, gap=5)(apaced)(2, 2, 2):
        jumping.advance(100)
        got.append(item)
    assert got == [0, 1, 2]


@pytest.mark.anyio
async def test_the_total_of_a_stream(jumping):
    """What its producer takes, all together."""
    stream = timeout(total=10)(apaced)(4, 4, 4)
    assert [await anext(stream), await anext(stream)] == [0, 1]
    with pytest.raises(CallTimeout) as caught:
        await anext(stream)
    assert caught.value.limit == "total"


def test_a_function_that_gives_a_stream(clock):
    """The time to its first item goes on after the call."""
    opening = timeout(first_item=10)(lambda: paced(clock, 8))
    assert list(opening()) == [0]

    @timeout(first_item=10)
    def slow():
        faulty(echo, delay(8))(0)
        return paced(clock, 8)

    stream = slow()
    with pytest.raises(CallTimeout) as caught:
        next(stream)
    assert caught.value.limit == "first_item"


@pytest.mark.parametrize(("streams", "seconds"), [(True, 10), (False, 60)])
def test_a_function_that_has_to_be_asked_for_a_stream(clock, streams, seconds):
    """Without a stream there is no first item to wait for."""

    @timeout(60, first_item=10)
    def create(*, stream=False):
        faulty(echo, delay(90))(0)

    before = clock.now()
    with pytest.raises(CallTimeout):
        create(stream=streams)
    assert clock.now() - before == seconds


def test_generators_stay_what_they_are(clock):
    """What is sent in, thrown in and returned passes through; one thread makes all items."""
    threads, var = set(), contextvars.ContextVar("var")

    @timeout(gap=5)
    def talk():
        token = var.set(1)
        threads.add(threading.get_ident())
        got = yield "a"
        threads.add(threading.get_ident())
        try:
            yield got
        except KeyError:
            yield "caught"
        var.reset(token)
        return "end"

    stream = talk()
    assert (next(stream), stream.send("b"), stream.throw(KeyError())) == ("a", "b", "caught")
    with pytest.raises(StopIteration) as stop:
        next(stream)
    assert stop.value.value == "end"
    assert len(threads) == 1
    assert threads != {threading.get_ident()}
    assert list(stream) == []


@pytest.mark.anyio
async def test_awaited_generators_stay_what_they_are(clock):
    """The same on event loops."""

    @timeout(gap=5)
    async def talk():
        got = yield "a"
        try:
            yield got
        except KeyError:
            yield "caught"

    stream = talk()
    assert (await anext(stream), await stream.asend("b")) == ("a", "b")
    assert await stream.athrow(KeyError()) == "caught"
    await stream.aclose()


def test_a_stream_that_is_closed_early(clock):
    """Its generator cleans up in the thread that made it, before `close` returns."""
    ended = []

    @timeout(gap=5)
    def numbers():
        maker = threading.get_ident()
        try:
            yield 1
            yield 2
        finally:
            ended.append(threading.get_ident() == maker)

    stream = numbers()
    next(stream)
    stream.close()
    assert ended == [True]
    left = numbers()
    next(left)
    del left
    gc.collect()
    assert len(ended) == 2


def test_a_stream_that_was_given_up_is_closed_where_it_hangs():
    """When its producer comes back; closing it meanwhile waits for nothing."""
    may_end, ended = threading.Event(), threading.Event()

    @timeout(gap=0.02)
    def numbers():
        try:
            yield 1
            may_end.wait(30)
            yield 2
        finally:
            ended.set()

    with fresh_host():
        stream = numbers()
        next(stream)
        with pytest.raises(CallTimeout):
            next(stream)
        stream.close()
        assert not ended.is_set()
        may_end.set()
        assert ended.wait(30)


def test_an_opened_stream_that_nobody_waits_for_is_closed():
    """A call that was given up gives a stream after all."""
    may_end, ended = threading.Event(), threading.Event()

    @timeout(0.02)
    def numbers():
        may_end.wait(30)
        try:
            yield 1
        finally:
            ended.set()

    with fresh_host():
        with pytest.raises(CallTimeout):
            next(numbers())
        may_end.set()
        assert ended.wait(30)


@pytest.mark.anyio
async def test_streams_are_settled_once(jumping):
    """Further out it failed; further in it was cancelled."""
    outer, inner = Spy(label="outer"), Spy(label="inner")
    stream = outer(timeout(gap=5)(inner(apaced)))(0, 6)
    await anext(stream)
    with pytest.raises(CallTimeout):
        await anext(stream)
    await stream.aclose()
    assert (outer.endings(), inner.endings()) == (["failed"], ["dropped"])


def test_a_breaker_further_out_learns_of_it(clock):
    """A call that takes too long speaks against the upstream."""
    work = circuit_breaker(minimum_calls=1, window=1)(timeout(5)(faulty(echo, delay(9))))
    with pytest.raises(CallTimeout):
        work(1)
    assert agentperf.handle(work).breaker.state() == "open"


def test_retry_makes_another_attempt(clock):
    """Each has its own time."""
    work = retry(timeout(5)(faulty(echo, delay(9), delay(9))))
    assert work(3) == 3


# -- threads --------------------------------------------------------------------------------------


def test_the_context_goes_along(clock):
    """The host in use, scopes and the operation that is measured."""
    seen = []

    @timed
    @timeout(5)
    def work():
        seen.append(agentperf.Host is not None)
        agentperf.record(input_tokens=3)

    with recorded(CallEnded) as log, agentperf.scope(tenant="acme"):
        work()
    assert log.of(CallEnded)[0].usage.input_tokens == 3


def test_no_more_threads_than_there_are_places(monkeypatch):
    """Calls that hang hold their places until they really end; the next waits within its time."""
    monkeypatch.setattr("agentperf._engine.lanes.THREADS", 2)
    may_end = threading.Event()
    started = []

    @timeout(0.05)
    def work():
        started.append(1)
        may_end.wait(30)
        return "done"

    with fresh_host():
        for _ in range(3):
            with pytest.raises(CallTimeout):
                work()
        assert len(started) == 2
        may_end.set()
        while True:
            try:
                assert work() == "done"
                break
            except CallTimeout:
                continue


def test_an_interrupt_gets_through(clock):
    """Whatever the thread does."""

    @timeout(5)
    def work():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()


def test_a_plain_function_that_gives_an_awaitable():
    """A foreign wrapper around an asynchronous function is driven as one."""

    @timeout(5)
    def work():
        return aecho(3)

    with fresh_host():

        async def main():
            return await work(), await work()

        assert asyncio.run(main()) == (3, 3)


# -- the client's own timeout ---------------------------------------------------------------------


def told(prompt, timeout=None):
    """Give back what the client is told, and where."""
    return timeout, threading.get_ident()


@pytest.mark.parametrize(
    ("args", "kwargs", "seconds"),
    [
        ((), {}, 5),
        ((None,), {}, 5),
        ((3,), {}, 3),
        ((), {"timeout": 9}, 5),
        (("connect=1",), {}, "connect=1"),
        ((), {"timeout": True}, True),
    ],
)
def test_the_client_keeps_the_time(clock, args, kwargs, seconds):
    """It is told how much there is; a caller who asks for less, or knows better, is heeded."""
    work = timeout(5, arg="timeout")(told)
    assert work("why", *args, **kwargs) == (seconds, threading.get_ident())


def test_the_client_of_a_function_that_takes_anything(clock):
    """Or that has a shorter time of its own."""
    anything = timeout(5, arg="timeout")(lambda prompt, **options: options)
    assert anything("why") == {"timeout": 5}
    assert anything("why", timeout=2, a=1) == {"timeout": 2, "a": 1}
    assert timeout(5, arg="within")(lambda *, within=2: within)() == 2
    assert timeout(5, arg="within")(lambda *, within=7: within)() == 5


def test_the_clients_error_is_its_own(clock):
    """It passes through; no call of ours was too late."""
    work = timeout(5, arg="timeout")(faulty(told, fail(TimeoutError("the client's"))))
    with recorded(CallTimedOut) as log, pytest.raises(TimeoutError, match="the client's") as caught:
        work("why")
    assert not isinstance(caught.value, CallTimeout)
    assert log == []
    with pytest.raises(TypeError, match="positional argument"):
        work()


def test_the_client_is_told_what_is_left(clock):
    """By the bounds around its call."""
    within = timeout(60, arg="timeout")(told)

    @timeout(10)
    def outer():
        clock.advance(4)
        return within("why")

    assert outer()[0] == pytest.approx(6)


@pytest.mark.anyio
async def test_an_awaited_call_is_cancelled_besides(jumping):
    """The client is told, and the call ends when it doesn't listen."""
    seen = []

    @timeout(5, arg="timeout", name="deaf")
    async def work(prompt, timeout=None):
        seen.append(timeout)
        await anyio.sleep_forever()

    with pytest.raises(CallTimeout, match="'deaf'"):
        await work("why")
    assert seen == [pytest.approx(5)]


def test_a_stream_of_a_client_that_keeps_the_time(clock):
    """It is a stream as ever, made where it is read."""
    spy = Spy()

    @spy
    @timeout(5, arg="within")
    def numbers(within):
        yield within, threading.get_ident()

    assert list(numbers(None)) == [(5, threading.get_ident())]
    assert spy.endings() == ["done"]


def test_a_parameter_that_is_not_there():
    """Told at decoration, as is what nobody would watch."""
    with pytest.raises(ConfigurationError, match="no such parameter"):
        timeout(5, arg="timeout")(echo)
    with pytest.raises(ConfigurationError, match="nobody watches"):
        timeout(5, gap=1, arg="timeout")(told)
    with pytest.raises(ConfigurationError, match="nobody watches"):
        timeout(5, first_item=1, arg="timeout")(told)


# -- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: timeout(echo), timeout, lambda: timeout(None)])
def test_it_needs_a_time(make):
    """Bare or empty it says how to write it."""
    with pytest.raises(ConfigurationError, match='@timeout\\("30s"\\)'):
        make()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"total": 0}, "total=0"),
        ({"total": "soon"}, "total='soon'"),
        ({"first_item": -1}, "first_item=-1"),
        ({"gap": True}, "gap=True"),
        ({"total": 5, "gap": 6}, "gap=6 is longer than total=5"),
        ({"totl": 5}, "did you mean total=5"),
        ({"total": 5, "name": ""}, "name=''"),
        ({"total": 5, "arg": 5}, "arg=5"),
        ({"total": 5, "arg": ""}, "arg=''"),
        ({"gap": 5, "arg": "timeout"}, "beside total="),
    ],
)
def test_bad_options_are_refused_before_any_call(options, said):
    """The error names the parameter."""
    with pytest.raises(ConfigurationError, match=said):
        timeout(**options)


def test_turned_off(clock):
    """It takes as long as it takes."""
    before = clock.now()
    assert timeout(5, enabled=False)(faulty(echo, delay(9)))(1) == 1
    assert clock.now() - before == 9
