"""Faults on purpose, in all four shapes."""

from __future__ import annotations

import asyncio
import functools
import inspect

import anyio
import pytest

from agentperf import ConfigurationError, timed
from agentperf.testing import cut, delay, fail, faulty, hang, succeed
from tests.unit._engine.spies import IDS, SHAPES, Spy, finish


@pytest.fixture(autouse=True)
def _host(fresh_host):
    """Every test on a host of its own."""


def outcomes(function, times):
    """Call it several times; what came out, or the kind of error."""
    seen = []
    for _ in range(times):
        try:
            seen.append(list(finish(lambda: function(1))))
        except Exception as error:  # noqa: BLE001 - whatever was put in
            seen.append(type(error))
    return seen


@pytest.mark.parametrize("function", SHAPES, ids=IDS)
def test_a_script_is_followed_call_by_call(function):
    """And when it is over, calls go through."""
    script = faulty(function, fail(KeyError), succeed(), fail(TimeoutError("slow")))
    assert outcomes(script, 5) == [KeyError, [1, 2], TimeoutError, [1, 2], [1, 2]]


@pytest.mark.parametrize("function", SHAPES, ids=IDS)
def test_a_script_may_begin_again(function):
    """With `repeat`."""
    script = faulty(function, fail(), succeed(), repeat=True)
    assert outcomes(script, 4) == [ConnectionError, [1, 2]] * 2


@pytest.mark.parametrize("function", SHAPES, ids=IDS)
def test_a_faulty_function_looks_like_itself(function):
    """So it can be decorated as the function could."""
    script = faulty(function, succeed())
    for test in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    ):
        assert test(script) == test(function)
    assert inspect.signature(script) == inspect.signature(function)
    assert outcomes(timed(script), 1) == [[1, 2]]


def test_a_delay_passes_on_the_hosts_clock(fake_clock):
    """No test waits for real."""
    before = fake_clock.now()
    assert outcomes(faulty(SHAPES[0], delay("5m")), 1) == [[1, 2]]
    assert fake_clock.now() - before == 300


@pytest.mark.anyio
async def test_a_delay_of_a_task(fake_clock):
    """It suspends, and goes on when time has passed."""
    done = []

    async def answer():
        done.append(fake_clock.now())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(faulty(answer, delay(10)))
        await fake_clock.aadvance(9)
        assert not done
        await fake_clock.aadvance(1)
    assert len(done) == 1


@pytest.mark.anyio
async def test_a_call_that_hangs():
    """Only a cancellation ends it."""
    spy = Spy()
    with anyio.move_on_after(0.01) as cancelled:
        await spy(faulty(SHAPES[1], hang()))(1)
    assert cancelled.cancelled_caught
    assert spy.endings() == ["dropped"]


async def read(stream):
    """Read a stream of either colour until it ends or breaks."""
    seen = []
    try:
        if hasattr(stream, "__anext__"):
            async for item in stream:
                seen.append(item)  # noqa: PERF401 - what came before the cut counts
        else:
            for item in stream:
                seen.append(item)  # noqa: PERF402 - what came before the cut counts
    except ConnectionError:
        seen.append("cut")
    return seen


@pytest.mark.parametrize("function", SHAPES[2:], ids=IDS[2:])
@pytest.mark.parametrize(
    ("after", "expected"),
    [(0, ["cut"]), (1, [1, "cut"]), (2, [1, 2, "cut"]), (3, [1, 2])],
)
def test_a_stream_that_is_cut(function, after, expected):
    """After so many items, all of them included; one that has fewer ends as it would."""
    assert asyncio.run(read(faulty(function, cut(after))(1))) == expected


@pytest.mark.parametrize("shape", ["sync", "async"])
def test_a_cut_stream_closes_its_source(shape):
    """As a broken connection does."""
    log = []

    def stream():
        try:
            yield from range(3)
        finally:
            log.append("closed")

    async def astream():
        try:
            for item in range(3):
                yield item
        finally:
            log.append("closed")

    assert asyncio.run(read(faulty(stream if shape == "sync" else astream, cut(1))())) == [0, "cut"]
    assert log == ["closed"]


def test_an_untouched_generator_stays_whole():
    """What is sent in and what is returned get through."""

    def talk():
        return [(yield 1), (yield 2)]

    talking = faulty(talk, succeed())()
    assert [next(talking), talking.send("a")] == [1, 2]
    with pytest.raises(StopIteration) as stop:
        talking.send("b")
    assert stop.value.value == ["a", "b"]


@pytest.mark.parametrize("error", [StopIteration, KeyboardInterrupt, asyncio.CancelledError])
def test_any_error_can_be_raised(error):
    """Also those that Python gives a meaning."""
    with pytest.raises(error):
        faulty(SHAPES[0], fail(error))(1)


@pytest.mark.parametrize(
    ("make", "example"),
    [
        (lambda: faulty(SHAPES[0]), r"faulty\(search, fail\(TimeoutError\)\)"),
        (lambda: faulty(SHAPES[0], "fail"), r"faulty\(search, fail\(TimeoutError\)\)"),
        (lambda: faulty(SHAPES[0], fail), r"faulty\(search, fail\(TimeoutError\)\)"),
        (lambda: faulty(SHAPES[0], cut(1)), "is for generators"),
        (lambda: cut(-1), "after=3"),
        (lambda: cut("3"), "after=3"),
        (lambda: fail("no"), "error=TimeoutError"),
        (lambda: fail(int), "error=TimeoutError"),
        (lambda: cut(1, "no"), "error=TimeoutError"),
        (lambda: delay("soon"), "duration="),
        (functools.partial(delay, 0), "duration="),
    ],
)
def test_bad_scripts(make, example):
    """They are refused when made."""
    with pytest.raises(ConfigurationError, match=example):
        make()
