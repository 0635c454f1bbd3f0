"""The four shapes: a wrapper is of its function's colour and behaves as the function does."""

from __future__ import annotations

import asyncio
import functools
import inspect
import typing
from contextlib import asynccontextmanager, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf import timed
from agentperf.testing import fresh_host as fresh
from tests.unit._engine.spies import (
    IDS,
    SHAPES,
    Spy,
    Through,
    async_generator,
    finish,
    generator,
    straight_on,
)

TESTS = (
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    asyncio.iscoroutinefunction,
)
POLICIES = [timed, Spy(), Through(run=straight_on), timed(enabled=False)]


class Oops(Exception):
    """The user's own error."""


@pytest.fixture(autouse=True, scope="module")
def _host():
    """On a host of their own."""
    with fresh():
        yield


@pytest.mark.parametrize("function", SHAPES, ids=IDS)
def test_a_wrapper_looks_like_its_function(function):
    """Colour, signature, name, module, docstring and annotations are the function's."""
    wrapper = timed(function)
    assert [test(wrapper) for test in TESTS] == [test(function) for test in TESTS]
    assert inspect.signature(wrapper) == inspect.signature(function)
    assert wrapper.__wrapped__ is function
    assert typing.get_type_hints(wrapper) == typing.get_type_hints(function)
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(wrapper, name) == getattr(function, name)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("function", SHAPES, ids=IDS)
def test_calls_give_what_the_function_gives(function, policy):
    """By position, by keyword and by default."""
    wrapper = policy(function)
    assert list(finish(lambda: wrapper(1))) == [1, 2]
    assert list(finish(lambda: wrapper(1, b=3))) == [1, 3]
    assert list(finish(lambda: wrapper(a=1, b=3))) == [1, 3]


@pytest.mark.parametrize("function", SHAPES, ids=IDS)
def test_a_wrong_call_raises_pythons_own_error(function):
    """A missing argument is a TypeError that names the function."""
    wrapper = timed(function)
    with pytest.raises(TypeError, match=rf"{function.__name__}\(\) missing 1 required"):
        finish(wrapper)


def failing(error):
    """Make a function of each shape that raises `error`."""

    def plain():
        raise error

    async def coroutine():
        raise error

    def generator():
        raise error
        yield

    async def async_generator():
        raise error
        yield

    def late_generator():
        yield 1
        raise error

    async def late_async_generator():
        yield 1
        raise error

    return [
        plain,
        coroutine,
        generator,
        async_generator,
        late_generator,
        late_async_generator,
    ]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("which", range(6))
def test_the_users_errors_pass_unchanged(which, policy):
    """The very object that was raised arrives, before or after the first item of a stream."""
    error = Oops("no")
    wrapper = policy(failing(error)[which])
    with pytest.raises(Oops) as caught:
        finish(wrapper)
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("which", range(6))
def test_a_failure_is_settled_once_as_a_failure(which):
    """Whether it comes before the first item of a stream or after it."""
    spy, error = Spy(), Oops()
    with pytest.raises(Oops):
        finish(spy(failing(error)[which]))
    assert spy.log == [("spy", "enter"), ("spy", "failed", error)]


def test_a_plain_function_may_raise_stop_iteration():
    """Python lets no StopIteration out of async-shaped code; the engine carries it through."""
    stop = StopIteration("mine")

    @Through(run=straight_on)
    def exhausted():
        raise stop

    with pytest.raises(StopIteration) as caught:
        exhausted()
    assert caught.value is stop
    assert stop.__context__ is None


@pytest.mark.anyio
@pytest.mark.parametrize("policy", POLICIES)
async def test_an_async_function_may_return_something_to_await(policy):
    """That is its value: it is handed on, not awaited."""

    async def inner():
        return "inner"

    @policy
    async def outer():
        return inner()

    given = await outer()
    assert inspect.iscoroutine(given)
    assert await given == "inner"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("shape", [1, 2, 3], ids=IDS[1:])
def test_nothing_runs_before_it_is_asked_for(shape, policy):
    """A coroutine that isn't awaited and a stream that isn't read have not begun."""
    ran = []

    async def coroutine():
        ran.append(1)

    def generator():
        ran.append(1)
        yield

    async def async_generator():
        ran.append(1)
        yield

    call = policy([None, coroutine, generator, async_generator][shape])()
    assert not ran
    if hasattr(call, "close"):
        call.close()
    assert not ran


@pytest.mark.parametrize("policy", POLICIES)
def test_streams_that_are_empty_or_have_one_item(policy):
    """No item is invented, none is lost."""

    @policy
    def up_to(n):
        yield from range(n)

    @policy
    async def aup_to(n):
        for i in range(n):
            yield i

    for n in range(3):
        assert list(up_to(n)) == finish(lambda n=n: aup_to(n)) == list(range(n))


# -- generators -----------------------------------------------------------------------------------


def echo(log):
    """Give back what is sent; errors of one kind too."""
    received = "ready"
    try:
        while received != "stop":
            try:
                received = yield received
            except Oops as error:
                received = f"caught {error}"
    finally:
        log.append("closed")
    return "result"


def conversation(make):
    """Talk to a generator in every way there is, and write down its answers."""
    said, log = [], []
    talk = make(log)
    said += [next(talk), talk.send("a"), talk.throw(Oops("b")), talk.send(None)]
    try:
        talk.send("stop")
    except StopIteration as stop:
        said.append(stop.value)
    with pytest.raises(StopIteration):
        next(talk)
    talk.close()
    return said, log


@pytest.mark.parametrize("policy", POLICIES)
def test_a_generator_can_be_talked_to(policy):
    """send, throw and the return value reach and leave a decorated generator as a bare one."""
    assert conversation(policy(echo)) == conversation(echo)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_generator_can_be_delegated_to(policy):
    """`yield from` passes everything through and gives the return value."""

    def outer(log):
        return (yield from policy(echo)(log))

    assert conversation(outer) == conversation(echo)


@pytest.mark.parametrize("policy", POLICIES)
def test_an_error_thrown_in_comes_out(policy):
    """What the generator doesn't catch comes back to the thrower, the very same object."""
    log, error = [], KeyError("x")
    talk = policy(echo)(log)
    next(talk)
    with pytest.raises(KeyError) as caught:
        talk.throw(error)
    assert caught.value is error
    assert log == ["closed"]


@pytest.mark.parametrize("policy", POLICIES)
def test_closing_runs_the_generators_cleanup(policy):
    """After close() the generator has finished and stays finished."""
    log = []
    talk = policy(echo)(log)
    next(talk)
    talk.close()
    assert log == ["closed"]
    assert list(talk) == []


def test_a_generator_makes_a_context_manager():
    """`contextlib.contextmanager` works on top, errors of the body included."""

    @contextmanager
    @timed
    def opened(log):
        try:
            yield "it"
        except Oops:
            log.append("saw")

    log = []
    with opened(log) as it:
        assert it == "it"
        raise Oops
    assert log == ["saw"]


MOVES = st.lists(
    st.sampled_from(["next", "send", "throw known", "throw unknown", "close"]), max_size=6
)


def played(make, moves):
    """Make these moves on a generator, and write down what comes of each."""
    log = []
    talk = make(log)
    for move in moves:
        try:
            match move:
                case "next":
                    log.append(next(talk))
                case "send":
                    log.append(talk.send("x"))
                case "throw known":
                    log.append(talk.throw(Oops("y")))
                case "throw unknown":
                    log.append(talk.throw(KeyError("z")))
                case "close":
                    log.append(talk.close())
        except Exception as error:  # noqa: BLE001 - it is what we compare
            log.append(repr(error))
    return log


@given(MOVES)
@pytest.mark.parametrize("policy", POLICIES)
def test_any_play_with_a_generator_goes_as_with_a_bare_one(policy, moves):
    """Whatever is done to it, in whatever order."""
    with fresh():
        assert played(policy(echo), moves) == played(echo, moves)


async def aplayed(make, moves):
    """The same for an async generator."""
    log = []
    talk = make(log)
    for move in moves:
        try:
            match move:
                case "next":
                    log.append(await anext(talk))
                case "send":
                    log.append(await talk.asend("x"))
                case "throw known":
                    log.append(await talk.athrow(Oops("y")))
                case "throw unknown":
                    log.append(await talk.athrow(KeyError("z")))
                case "close":
                    log.append(await talk.aclose())
        except Exception as error:  # noqa: BLE001 - it is what we compare
            log.append(repr(error))
    await talk.aclose()
    return log


@given(MOVES)
@pytest.mark.parametrize("policy", POLICIES)
def test_any_play_with_an_async_generator_goes_as_with_a_bare_one(policy, moves):
    """Whatever is done to it, in whatever order."""
    with fresh():
        assert asyncio.run(aplayed(policy(aecho), moves)) == asyncio.run(aplayed(aecho, moves))


# -- async generators -----------------------------------------------------------------------------


async def aecho(log):
    """Give back what is sent; errors of one kind too."""
    received = "ready"
    try:
        while received != "stop":
            try:
                received = yield received
            except Oops as error:
                received = f"caught {error}"
    finally:
        log.append("closed")


async def aconversation(make):
    """Talk to an async generator in every way there is, and write down its answers."""
    said, log = [], []
    talk = make(log)
    said += [await anext(talk), await talk.asend("a"), await talk.athrow(Oops("b"))]
    said += [await talk.asend(None)]
    with pytest.raises(StopAsyncIteration):
        await talk.asend("stop")
    with pytest.raises(StopAsyncIteration):
        await anext(talk)
    await talk.aclose()
    return said, log


@pytest.mark.anyio
@pytest.mark.parametrize("policy", POLICIES)
async def test_an_async_generator_can_be_talked_to(policy):
    """Its asend and athrow reach a decorated async generator as a bare one."""
    assert await aconversation(policy(aecho)) == await aconversation(aecho)


@pytest.mark.anyio
@pytest.mark.parametrize("policy", POLICIES)
async def test_an_error_thrown_into_an_async_generator_comes_out(policy):
    """What it doesn't catch comes back to the thrower, the very same object."""
    log, error = [], KeyError("x")
    talk = policy(aecho)(log)
    await anext(talk)
    with pytest.raises(KeyError) as caught:
        await talk.athrow(error)
    assert caught.value is error
    assert log == ["closed"]


@pytest.mark.anyio
@pytest.mark.parametrize("policy", POLICIES)
async def test_closing_runs_the_async_generators_cleanup(policy):
    """After aclose() the generator has finished and stays finished."""
    log = []
    talk = policy(aecho)(log)
    await anext(talk)
    await talk.aclose()
    assert log == ["closed"]
    assert [item async for item in talk] == []


@pytest.mark.anyio
async def test_an_async_generator_makes_a_context_manager():
    """`contextlib.asynccontextmanager` works on top, errors of the body included."""

    @asynccontextmanager
    @timed
    async def opened(log):
        try:
            yield "it"
        except Oops:
            log.append("saw")

    log = []
    async with opened(log) as it:
        assert it == "it"
        raise Oops
    assert log == ["saw"]


@pytest.mark.parametrize("function", SHAPES, ids=IDS)
def test_a_call_outlives_its_wrapper(function):
    """`await timed(f)()`: nobody holds the wrapper when the coroutine or stream begins."""
    assert list(finish(lambda: timed(function)(1))) == [1, 2]
    call = timed(functools.partial(function, 1))()
    assert list(finish(lambda: call)) == [1, 2]


def test_an_async_generator_is_not_held_by_its_context():
    """A stream that is begun in one task may be read to its end in another."""

    async def main():
        stream = timed(async_generator)(1)
        first = await asyncio.create_task(anext_of(stream))
        return [first, *[item async for item in stream]]

    async def anext_of(stream):
        return await anext(stream)

    assert asyncio.run(main()) == [1, 2]


def test_a_generator_ends_with_its_return_value():
    """The value of a decorated generator is that of its `return`."""
    stream = timed(generator)(1)
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(StopIteration) as stop:
        next(stream)
    assert stop.value.value == "end"
