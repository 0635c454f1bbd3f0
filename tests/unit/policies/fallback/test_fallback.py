"""Fallbacks, as their users meet them."""

from __future__ import annotations

import functools

import anyio
import pytest

import agentperf
from agentperf import (
    BulkheadFull,
    CallTimeout,
    CircuitOpen,
    ConfigurationError,
    ContextWindowExceeded,
    Fault,
    Link,
    RateLimitExceeded,
    Remedy,
    bulkhead,
    cached,
    circuit_breaker,
    fallback,
    retry,
    timeout,
)
from agentperf.events import FellBack
from agentperf.testing import FakeClock, cut, delay, fail, faulty, fresh_host, recorded
from tests.unit._engine.spies import Spy


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


class StatusError(Exception):
    """An error of a client library, by its shape."""

    def __init__(self, status, code=None):
        super().__init__(status)
        self.status_code = status
        self.code = code


def broken(*args, **kwargs):
    """Fail as an upstream does that is out of reach."""
    raise ConnectionError("the first")


def echo(value, *, twice=False):
    """Give back what came in."""
    return [value] * 2 if twice else value


async def aecho(value):
    """The same, awaited."""
    await anyio.lowlevel.checkpoint()
    return value


def count(upto):
    """Give numbers."""
    yield from range(upto)


async def acount(upto):
    """The same, asynchronous."""
    for number in range(upto):
        yield number


# -- who answers ----------------------------------------------------------------------------------


def test_a_call_that_works_is_left_alone(clock):
    """Nothing is asked, nothing is told."""
    with recorded() as log:
        assert fallback(broken)(echo)(1) == 1
    assert log == []


def test_the_next_that_works_answers(clock):
    """With the arguments of the call; an event says which, and why."""

    def ask(value, *, twice=False):
        raise StatusError(529)

    with recorded(FellBack) as log:
        assert fallback(broken, echo, "never", name="models")(ask)(1, twice=True) == [1, 1]
    (event,) = log.of(FellBack)
    assert (event.name, event.link) == ("models", 2)
    assert (event.error, event.reason) == ("StatusError", "overloaded")


@pytest.mark.parametrize("value", ["try later", None, 0, [], {"a": 1}])
def test_a_value_answers_as_it_is(clock, value):
    """Also one that means nothing."""
    assert fallback(value)(broken)(1) is value


def test_when_all_fail(clock):
    """The last error is raised; the others are its context, in turn."""
    errors = [ConnectionError("1"), TimeoutError("2"), StatusError(503)]
    first, second, third = (faulty(echo, fail(error)) for error in errors)
    with recorded() as log, pytest.raises(StatusError) as caught:
        fallback(second, third)(first)(1)
    assert caught.value is errors[2]
    assert caught.value.__context__ is errors[1]
    assert caught.value.__context__.__context__ is errors[0]
    assert log == []


@pytest.mark.anyio
async def test_awaited_calls_alike(clock):
    """Links that are awaited, that aren't, and values."""
    shaky = faulty(aecho, fail(ConnectionError), repeat=True)
    assert await fallback(aecho)(shaky)(1) == 1
    assert await fallback(echo)(shaky)(2) == 2
    assert await fallback(shaky, "value")(shaky)(3) == "value"
    with pytest.raises(ConnectionError) as caught:
        await fallback(shaky, shaky)(shaky)(1)
    assert isinstance(caught.value.__context__.__context__, ConnectionError)


def test_a_method_hands_its_object_on(clock):
    """The target gets it first, as the method does."""

    class Agent:
        @fallback(lambda self, value: (self, value))
        def ask(self, value):
            raise TimeoutError

    agent = Agent()
    assert agent.ask(1) == (agent, 1)


# -- when -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError(),
        TimeoutError(),
        CallTimeout("x"),
        CircuitOpen("x"),
        RateLimitExceeded("x"),
        BulkheadFull("x"),
        ContextWindowExceeded("x"),
        StatusError(429),
        StatusError(429, "insufficient_quota"),
        StatusError(500),
        StatusError(503),
        StatusError(400, "context_length_exceeded"),
    ],
)
def test_what_another_may_answer(clock, error):
    """Whatever is no fault of the caller."""
    assert fallback("instead")(faulty(echo, fail(error)))(1) == "instead"


@pytest.mark.parametrize(
    "error",
    [TypeError(), StatusError(400), StatusError(401), ValueError(), KeyError(), AssertionError()],
)
def test_what_nobody_could_answer(clock, error):
    """The caller's own mistakes, and what nobody knows."""
    with pytest.raises(type(error)) as caught:
        fallback("instead")(faulty(echo, fail(error)))(1)
    assert caught.value is error


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_is_no_failure(clock, error):
    """It ends everything."""
    with pytest.raises(error):
        fallback("instead", on=Exception)(faulty(echo, fail(error)))(1)


@pytest.mark.anyio
async def test_cancellation_is_no_failure(clock):
    """Neither of the call nor of a link."""
    asked = []

    async def hanging(value):
        asked.append(value)
        await anyio.sleep_forever()

    for work in (fallback("no")(hanging), fallback(hanging, "no")(faulty(aecho, fail(OSError)))):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(work, 1)
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
        assert scope.cancelled_caught
    assert asked == [1, 1]


def test_on_says_when(clock):
    """Types, or a predicate, in place of the classifier; for the links too."""
    assert fallback("x", on=KeyError)(faulty(echo, fail(KeyError)))(1) == "x"
    assert fallback("x", on=lambda error: "a" in str(error))(faulty(echo, fail(OSError("a"))))(1)
    with pytest.raises(ConnectionError):
        fallback("x", on=KeyError)(broken)(1)
    with pytest.raises(ValueError, match="link"):
        fallback(faulty(echo, fail(ValueError("link"))), "x")(broken)(1)


def test_a_predicate_that_fails_hides_no_error(clock, caplog):
    """The caller sees what went wrong upstream."""
    with pytest.raises(ConnectionError):
        fallback("x", on=lambda error: error.status_code)(broken)(1)
    assert "policy.on_failed" in caplog.text


# -- streams --------------------------------------------------------------------------------------


def test_a_stream_falls_back_before_its_first_item(clock):
    """After it, the error reaches the reader."""
    assert list(fallback(count)(faulty(count, cut(0)))(3)) == [0, 1, 2]
    assert list(fallback([7, 8])(faulty(count, fail(OSError)))(3)) == [7, 8]
    reading = fallback([7, 8])(faulty(count, cut(2)))(3)
    assert [next(reading), next(reading)] == [0, 1]
    with pytest.raises(ConnectionError):
        next(reading)


@pytest.mark.anyio
async def test_an_awaited_stream_falls_back_before_its_first_item(clock):
    """The same on event loops; a link may give its items in any way."""
    for target in (acount, count, [0, 1, 2]):
        stream = fallback(target)(faulty(acount, cut(0)))(3)
        assert [item async for item in stream] == [0, 1, 2]
    stream = fallback([7])(faulty(acount, cut(1)))(3)
    assert await anext(stream) == 0
    with pytest.raises(ConnectionError):
        await anext(stream)


def test_a_function_that_returns_a_stream(clock):
    """Its first item is waited for, too; what stands further in learns how it ended."""
    spy = Spy()

    def opening(upto):
        return faulty(count, cut(0), repeat=True)(upto)

    assert list(fallback(count)(spy(opening))(3)) == [0, 1, 2]
    assert spy.endings() == ["failed"]
    good = Spy()
    assert list(fallback("x")(good(functools.partial(opened, 3)))()) == [0, 1, 2]
    assert list(fallback("x")(functools.partial(opened, 0))()) == []
    assert good.endings() == ["done"]


def opened(upto):
    """Return a stream."""
    return count(upto)


def test_a_link_whose_stream_fails_at_once(clock):
    """The next one answers."""
    shaky = faulty(count, cut(0), repeat=True)
    assert list(fallback(shaky, count)(shaky)(2)) == [0, 1]


# -- models ---------------------------------------------------------------------------------------


def model_of(down, *, error=ConnectionError):
    """Make a function that says which model answers, where it is not down."""

    def ask(question, model="large", **more):
        if model in down:
            raise error(f"{model} is down")
        return f"{model}: {question}"

    return ask


@pytest.mark.parametrize("asked", ["by default", "by position", "by name"])
def test_a_model_is_a_link(clock, asked):
    """The same function is asked for another one, however the call said the first."""
    ask = fallback("nobody", model=["small", "tiny"])(model_of({"large", "small"}))
    calls = {"by default": ((), {}), "by position": (("large",), {}), "by name": ((), {})}
    args, kwargs = calls[asked]
    kwargs |= {"model": "large"} if asked == "by name" else {}
    with recorded(FellBack) as log:
        assert ask("why", *args, **kwargs) == "tiny: why"
    (event,) = log.of(FellBack)
    assert (event.link, event.items) == (2, 0)
    assert fallback("nobody", model="small")(model_of({"large", "small"}))("why") == "nobody"


@pytest.mark.anyio
async def test_a_model_of_an_asynchronous_method(clock):
    """Its object stays what it is."""

    class Agent:
        @fallback(model="small")
        async def ask(self, question, *, model="large"):
            if model == "large":
                raise TimeoutError
            return self, model, question

    agent = Agent()
    assert await agent.ask("why") == (agent, "small", "why")


def test_a_model_goes_through_the_policies_further_in(clock):
    """It is retried as the first one is."""
    tried = []

    @fallback(model="small")
    @retry(attempts=2, backoff=0)
    def ask(question, model="large"):
        tried.append(model)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        ask("why")
    assert tried == ["large", "large", "small", "small"]


def test_any_argument_may_be_another(clock):
    """Of the function itself, or of the one that answers in its place."""
    ask = model_of({"large"})
    assert fallback(Link(model="small"))(ask)("why") == "small: why"
    assert fallback(Link(ask, model="tiny"))(ask)("why", "large") == "tiny: why"

    @fallback(Link(region="eu"))
    def answer(**options):
        return options if "region" in options else broken()

    assert answer(a=1) == {"a": 1, "region": "eu"}


def test_a_stream_of_another_model(clock):
    """The same rule as for every link."""

    @fallback(model="small")
    def tell(upto, model="large"):
        yield from faulty(count, cut(0))(upto) if model == "large" else count(upto)

    assert list(tell(3)) == [0, 1, 2]


# -- by class of failure --------------------------------------------------------------------------

LONG = StatusError(400, "context_length_exceeded")
FILTERED = StatusError(400, "content_filter")


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (LONG, "larger"),
        (ContextWindowExceeded("x"), "larger"),
        (FILTERED, "permissive"),
        (StatusError(429), "patient"),
        (KeyError(), "known"),
        (ConnectionError(), "other"),
        (StatusError(503), "other"),
    ],
)
def test_a_link_stands_for_a_class_of_failure(clock, error, answer):
    """As the classifier says, or by type; what has no class answers as ever."""
    work = fallback(
        Link("larger", on=Remedy.LARGER_CONTEXT),
        Link("permissive", on=Remedy.OTHER_POLICY),
        Link("patient", on=(Fault.QUOTA, ZeroDivisionError)),
        Link("known", on=KeyError),
        "other",
    )(faulty(echo, fail(error)))
    assert work(1) == answer


def test_a_link_that_was_passed_over_may_stand_for_a_later_failure(clock):
    """Each is asked once at most."""
    asked = []

    def link(name, error=None):
        def answer(value):
            asked.append(name)
            if error:
                raise error
            return name

        return answer

    work = fallback(
        Link(link("larger", OSError()), on=Remedy.LARGER_CONTEXT),
        Link(link("other", LONG)),
        link("last"),
    )(faulty(echo, fail(StatusError(503))))
    assert work(1) == "last"
    assert asked == ["other", "larger", "last"]


@pytest.mark.parametrize("error", [LONG, ValueError()])
def test_a_class_that_nobody_stands_for(clock, error):
    """The error passes through."""
    work = fallback(Link("instead", on=Remedy.ELSEWHERE), on=Fault.OVERLOAD)
    with pytest.raises(type(error)) as caught:
        work(faulty(echo, fail(error)))(1)
    assert caught.value is error
    assert fallback("x", on=(Fault.CALLER, OSError))(faulty(echo, fail(LONG)))(1) == "x"


# -- going on -------------------------------------------------------------------------------------


def tail(upto, start=0, model="large"):
    """Give the rest of the numbers."""
    yield from range(start, upto)


async def atail(upto, start=0, model="large"):
    """The same, asynchronous."""
    for number in range(start, upto):
        yield number


def after(items, upto, start=0, model="large"):
    """Go on behind what was given."""
    return {"start": len(items)}


def test_a_stream_goes_on_with_the_next_link(clock):
    """Every item once; the events say how many there were."""
    work = fallback(faulty(tail, cut(1)), tail, resume=after)(faulty(tail, cut(2)))
    with recorded(FellBack) as log:
        assert list(work(5)) == [0, 1, 2, 3, 4]
    assert [(event.link, event.items) for event in log.of(FellBack)] == [(1, 2), (2, 3)]
    model = fallback(model="small", resume=after)(faulty(tail, cut(2)))
    assert list(model(5)) == [0, 1, 2, 3, 4]
    value = fallback([" -- broken off"], resume=after)(faulty(tail, cut(2)))
    assert list(value(5)) == [0, 1, " -- broken off"]
    begun = fallback(faulty(tail, cut(2)), tail, resume=after)(faulty(tail, cut(0)))
    assert list(begun(5)) == [0, 1, 2, 3, 4]


@pytest.mark.anyio
async def test_an_awaited_stream_goes_on_with_the_next_link(clock):
    """The same code; whoever stops reading closes what is read."""
    spy = Spy()
    work = fallback(atail, resume=after)(faulty(atail, cut(2)))
    assert [item async for item in work(4)] == [0, 1, 2, 3]
    reading = fallback(atail, resume=after)(spy(atail))(4)
    assert await anext(reading) == 0
    await reading.aclose()
    assert spy.endings() == ["dropped"]


@pytest.mark.anyio
async def test_what_is_thrown_in_is_not_the_upstreams(clock):
    """An error of the reader goes to the reader."""
    reading = fallback(atail, resume=after)(atail)(3)
    assert await anext(reading) == 0
    with pytest.raises(ConnectionError):
        await reading.athrow(ConnectionError())
    blocking = fallback(tail, resume=after)(tail)(3)
    assert next(blocking) == 0
    with pytest.raises(ConnectionError):
        blocking.throw(ConnectionError())


@pytest.mark.parametrize(
    "resume", [lambda items, upto: None, lambda items, upto: 1 / 0, lambda items, upto: {"x": 1}]
)
def test_a_stream_that_can_not_go_on(clock, resume):
    """Its reader gets the error that broke it."""
    given = []
    with pytest.raises(ConnectionError):
        given.extend(fallback(tail, resume=resume)(faulty(tail, cut(2)))(5))
    assert given == [0, 1]


def test_nothing_goes_on_with_a_single_value(clock):
    """A function that may give a stream or not: half a stream and a text are no answer."""
    with recorded(FellBack) as log, pytest.raises(ConnectionError):
        list(fallback("sorry", resume=lambda items, upto: {})(half)(3))
    assert log == []


def half(upto):
    """Return a stream that breaks."""
    return faulty(count, cut(1))(upto)


def test_a_conversation_is_not_continued(clock):
    """What was sent into a generator is lost with it."""

    @fallback(["x"], resume=lambda items: {})
    def talk():
        yield (yield "hello")
        raise ConnectionError

    talking = talk()
    assert [next(talking), talking.send("you")] == ["hello", "you"]
    with pytest.raises(ConnectionError):
        next(talking)


# -- with others ----------------------------------------------------------------------------------


def test_it_answers_for_policies_further_in(clock):
    """Refusals, timeouts, and what is left after all attempts."""
    refusing = circuit_breaker(echo)
    agentperf.handle(refusing).breaker.force("forced-open")
    assert fallback("open")(refusing)(1) == "open"
    assert fallback("late")(timeout(1)(faulty(echo, delay(5))))(1) == "late"
    assert fallback("tried")(retry(faulty(echo, fail(OSError), repeat=True)))(1) == "tried"

    @fallback("full")
    @bulkhead(1, queue=0)
    def recursive(depth):
        return recursive(depth - 1) if depth else "end"

    assert recursive(1) == "full"


def test_what_answered_instead_is_not_kept(clock):
    """The cache further in has nothing of it."""
    work = fallback("instead")(cached(faulty(echo, fail(ConnectionError))))
    assert [work(1), work(1), work(1)] == ["instead", 1, 1]


# -- options --------------------------------------------------------------------------------------


def test_it_needs_a_target():
    """Empty or bare it says how to write it."""
    with pytest.raises(ConfigurationError, match="@fallback"):
        fallback()

    @fallback
    def ask(question): ...

    with pytest.raises(ConfigurationError, match="@fallback"):
        ask("why?")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on": 5}, "on=5"),
        ({"on": [OSError]}, "a tuple of them"),
        ({"onn": OSError}, "did you mean on="),
        ({"on": ()}, "on="),
        ({"on": (OSError, 5)}, "on="),
        ({"name": ""}, "name=''"),
        ({"model": 5}, "model=5"),
        ({"model": []}, r"model=\[\]"),
        ({"model": ["small", ""]}, "a model or a list"),
        ({"resume": 5}, "resume=5"),
    ],
)
def test_bad_options_are_refused_before_any_call(options, said):
    """The error names the parameter."""
    with pytest.raises(ConfigurationError, match=said):
        fallback("x", **options)


@pytest.mark.parametrize("value", ["try later", 5, None])
def test_a_stream_is_no_single_value(value):
    """Told at decoration."""
    with pytest.raises(ConfigurationError, match="item by item"):
        fallback(value)(count)


def test_an_asynchronous_function_for_a_synchronous_one(clock):
    """Nobody could await it."""
    with pytest.raises(ConfigurationError, match="must not be asynchronous"):
        fallback(aecho)(broken)(1)


@pytest.mark.parametrize("link", [Link(model="small"), Link(echo, model="small")])
def test_a_parameter_that_is_not_there(link):
    """Told at decoration."""
    with pytest.raises(ConfigurationError, match="no parameter 'model'"):
        fallback(link)(echo)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Link, "needs what answers"),
        (lambda: Link(on=OSError), "needs what answers"),
        (lambda: Link("sorry", model="small"), "a value takes no arguments"),
        (lambda: Link("sorry", on=5), "on=5"),
    ],
)
def test_a_link_that_is_none(make, said):
    """The error shows a good one."""
    with pytest.raises(ConfigurationError, match=said):
        make()
