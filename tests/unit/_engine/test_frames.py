"""Frames: which operation is running, and to whom usage belongs."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import anyio
import pytest

from agentperf import ConfigurationError, Usage, configure, measure, record, stats, timed
from agentperf._engine.frames import current_frame
from agentperf.testing import recorded
from tests.unit._engine.spies import finish


@pytest.fixture(autouse=True)
def _host(fresh_host):
    """Every test on a host of its own."""


def spent(operation):
    """Input tokens of an operation: its own, and with everything inside it."""
    figures = stats()[operation]
    return figures.own_usage.input_tokens, figures.usage.input_tokens


@timed("model")
def model(tokens):
    """Spend."""
    record(input_tokens=tokens)


@timed("agent")
def agent():
    """Spend some, and have the model spend more."""
    record(input_tokens=1)
    model(10)
    model(100)


def test_usage_belongs_to_the_innermost_and_shows_outside():
    """Own figures add up to the total; inclusive ones are seen at every level."""
    with measure("plan"):
        agent()
    assert spent("model") == (110, 110)
    assert spent("agent") == (1, 111)
    assert spent("plan") == (0, 111)


def test_usage_outside_of_everything_is_ignored():
    """There is nobody it could belong to."""
    record(input_tokens=5)
    assert stats() == {}


def test_an_operation_inside_itself_counts_usage_once():
    """Directly and in a roundabout way."""

    @timed("down")
    def down(n):
        if n:
            return around(n)
        return record(input_tokens=7)

    @timed("around")
    def around(n):
        return down(n - 1)

    down(3)
    assert spent("down") == (7, 7)
    assert spent("around") == (0, 7)
    assert stats()["down"].calls == 4


def test_work_that_starts_its_successor_for_ever_keeps_no_chain():
    """A timer that sets itself again runs in the context of the one before."""
    lengths = []

    @timed("tick")
    def tick():
        helper()

    @timed("helper")
    def helper():
        lengths.append(len(current_frame.get().recorders))
        contexts.append(contextvars.copy_context())

    contexts = [contextvars.copy_context()]
    for _ in range(20):
        contexts.pop(0).run(tick)
    assert set(lengths) == {2}


@pytest.mark.anyio
async def test_tasks_belong_to_the_operation_that_started_them():
    """And to no other task beside them."""

    @timed("part")
    async def part(tokens):
        await anyio.lowlevel.checkpoint()
        record(input_tokens=tokens)
        await anyio.lowlevel.checkpoint()

    @timed("whole")
    async def whole():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(part, 1)
            tasks.start_soon(part, 2)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(whole)
        tasks.start_soon(whole)
    assert spent("part") == (6, 6)
    assert spent("whole") == (0, 6)


def test_a_thread_of_its_own_is_outside():
    """It has the default host and no operation around it."""
    frames = []

    @timed("op")
    def op():
        thread = threading.Thread(target=lambda: frames.append(current_frame.get()))
        thread.start()
        thread.join()

    op()
    assert frames == [None]


def returning(produce):
    """Make a plain function that returns the generator."""
    return lambda: produce()  # noqa: PLW0108 - a function of another shape


@pytest.mark.parametrize("kind", ["generator", "async generator", "returned"])
def test_a_streams_usage_is_its_own(kind):
    """What the producer spends between items is the stream's, what its consumer spends isn't."""

    def produce():
        record(input_tokens=1)
        yield
        record(input_tokens=10)
        yield

    async def aproduce():
        for tokens in (1, 10):
            record(input_tokens=tokens)
            yield

    stream = timed("stream")(
        {"generator": produce, "async generator": aproduce, "returned": returning(produce)}[kind]
    )

    @timed("consumer")
    async def consume():
        reading = stream()
        for _ in range(2):
            await anext(reading) if kind == "async generator" else next(reading)
            record(input_tokens=100)
        if kind == "async generator":
            await reading.aclose()

    finish(consume)
    assert spent("stream") == (11, 11)
    assert spent("consumer")[0] == 200
    assert current_frame.get() is None


def test_inner_operations_of_a_stream():
    """Calls made by the producer are inside the stream's operation, for later items too."""

    @timed("stream")
    def stream():
        yield model(1)
        yield model(10)

    list(stream())
    assert spent("stream") == (0, 11)


def test_a_measured_region_ends_in_every_way():
    """Completed, failed, cancelled: as a call would."""
    with measure("region"):
        pass
    with pytest.raises(KeyError), measure("region"):
        raise KeyError
    with pytest.raises(KeyboardInterrupt), measure("region"):
        raise KeyboardInterrupt
    figures = stats()["region"]
    assert (figures.completed, dict(figures.errors), figures.cancelled) == (1, {"KeyError": 1}, 1)


def test_a_measured_region_tells_its_end(fake_clock):
    """With its duration on the host's clock."""
    with recorded() as log, measure("region"):
        fake_clock.advance(2)
    (ended,) = log
    assert (ended.operation, ended.seconds) == ("region", 2)


def test_a_measured_region_on_a_host_that_is_switched_off():
    """It runs, uncounted."""
    configure(enabled=False)
    with measure("region"):
        record(input_tokens=1)
    assert stats() == {}


def test_usage_in_one_piece_and_in_parts():
    """Both add up; cost stays unknown until somebody knows it."""
    with measure("op"):
        record(Usage(1, 2, 3), input_tokens=10, output_tokens=20, cached_tokens=30)
        record(cost_usd=0.5)
    assert stats()["op"].own_usage == Usage(11, 22, 33, 0.5)


@pytest.mark.parametrize(
    ("call", "parameter"),
    [
        (lambda: record(input_tokens=-1), "input_tokens=-1"),
        (lambda: record(cost_usd=-0.1), "cost_usd=-0.1"),
        (lambda: record(12), "a Usage"),
        (lambda: measure("").__enter__(), "measure"),
        (lambda: measure(3).__enter__(), "measure"),
    ],
)
def test_bad_figures_and_names(call, parameter):
    """They name what is wrong."""
    with pytest.raises(ConfigurationError, match=parameter):
        call()


def test_two_loops_do_not_mix():
    """Each loop's tasks have their own frames."""

    async def work(name, tokens):
        with measure(name):
            await asyncio.sleep(0)
            record(input_tokens=tokens)

    with measure("outside"):
        asyncio.run(work("a", 1))
    asyncio.run(work("b", 2))
    assert (spent("a"), spent("b"), spent("outside")) == ((1, 1), (2, 2), (0, 1))
