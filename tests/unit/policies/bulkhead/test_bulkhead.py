"""Bulkheads, as their users meet them."""

from __future__ import annotations

import asyncio
import gc
import threading

import anyio
import pytest

import agentperf
from agentperf import BulkheadFull, ConfigurationError, bulkhead, circuit_breaker, rate_limited
from agentperf.errors import CircuitOpen
from agentperf.events import CallDelayed, CallRefused, ConcurrencyChanged
from agentperf.testing import FakeClock, fail, faulty, fresh_host, recorded


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


def stats(function):
    """Show limit, in use, waiting, rejected."""
    found = agentperf.handle(function).bulkhead.stats()
    return found.limit, found.in_use, found.waiting, found.rejected


async def idle():
    """Let everybody who can run do so."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


class Upstream:
    """Calls that end when the test says so."""

    def __init__(self):
        self.under_way = []
        self.order = []

    async def __call__(self, value):
        """Begin, and wait."""
        may_end = anyio.Event()
        self.order.append(value)
        self.under_way.append(may_end)
        await may_end.wait()
        return value

    async def end_one(self):
        """Let the oldest end."""
        self.under_way.pop(0).set()
        await idle()


@pytest.mark.anyio
async def test_no_more_calls_at_once_than_places(clock):
    """The others come in turn, in the order in which they were made."""
    upstream = Upstream()

    @bulkhead(2)
    async def work(value):
        return await upstream(value)

    with recorded(CallDelayed) as log:
        async with anyio.create_task_group() as tasks:
            for value in range(5):
                tasks.start_soon(work, value)
                await idle()
            assert stats(work) == (2, 2, 3, 0)
            assert repr(agentperf.handle(work).bulkhead) == "<bulkhead: 2 of 2, 3 waiting>"
            for _ in range(5):
                await upstream.end_one()
    assert upstream.order == [0, 1, 2, 3, 4]
    assert stats(work) == (2, 0, 0, 0)
    assert [event.policy for event in log.of(CallDelayed)] == ["bulkhead"] * 3


@pytest.mark.anyio
async def test_a_queue_that_is_full(clock):
    """Who finds no room is refused at once, with everything that is known."""
    upstream = Upstream()

    @bulkhead(1, queue=1, name="upstream")
    async def work(value):
        return await upstream(value)

    async with anyio.create_task_group() as tasks:
        for value in range(2):
            tasks.start_soon(work, value)
            await idle()
        with (
            recorded(CallRefused) as log,
            pytest.raises(BulkheadFull, match="1 calls are under way, 1 wait") as caught,
        ):
            await work(2)
        assert (caught.value.policy, caught.value.policy_name) == ("bulkhead", "upstream")
        assert caught.value.retry_after is None
        assert [event.policy for event in log.of(CallRefused)] == ["bulkhead"]
        assert stats(work) == (1, 1, 1, 1)
        await upstream.end_one()
        await upstream.end_one()


@pytest.mark.anyio
async def test_no_queue_at_all(clock):
    """A call runs now or not at all."""
    upstream = Upstream()

    @bulkhead(1, queue=0)
    async def work(value):
        return await upstream(value)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, 1)
        await idle()
        with pytest.raises(BulkheadFull):
            await work(2)
        await upstream.end_one()
        tasks.start_soon(work, 3)
        await idle()
        await upstream.end_one()


@pytest.mark.anyio
async def test_cancelled_calls_leave_nothing_behind(clock):
    """Neither those that wait nor those that run."""
    upstream = Upstream()

    @bulkhead(1)
    async def work(value):
        return await upstream(value)

    async with anyio.create_task_group() as tasks:
        for value in range(4):
            tasks.start_soon(work, value)
            await idle()
        tasks.cancel_scope.cancel()
    assert stats(work) == (1, 0, 0, 0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, 9)
        await idle()
        upstream.under_way[-1].set()
    assert upstream.order == [0, 9]


@pytest.mark.parametrize("error", [ValueError, ConnectionError, KeyboardInterrupt])
def test_a_failed_call_gives_its_place_back(clock, error):
    """However it failed."""
    work = bulkhead(1, queue=0)(faulty(lambda: 1, fail(error)))
    with pytest.raises(error):
        work()
    assert work() == 1
    assert stats(work) == (1, 0, 0, 0)


def test_a_stream_has_its_place_until_it_ends(clock):
    """Read, closed, failed or forgotten."""

    @bulkhead(1, queue=0)
    def numbers(upto=3):
        for number in range(3):
            if number == upto:
                raise LookupError
            yield number

    reading = numbers()
    assert next(reading) == 0
    with pytest.raises(BulkheadFull):
        next(numbers())
    assert list(reading) == [1, 2]
    closed = numbers()
    next(closed)
    closed.close()
    with pytest.raises(LookupError):
        list(numbers(1))
    forgotten = numbers()
    next(forgotten)
    del forgotten
    gc.collect()
    assert stats(numbers)[1] == 0


@pytest.mark.anyio
async def test_an_awaited_stream_has_its_place_until_it_ends(clock):
    """The same on event loops."""

    @bulkhead(1, queue=0)
    async def numbers():
        for number in range(3):
            yield number

    reading = numbers()
    assert await anext(reading) == 0
    with pytest.raises(BulkheadFull):
        await anext(numbers())
    await reading.aclose()
    assert [number async for number in numbers()] == [0, 1, 2]
    assert stats(numbers)[1] == 0


def test_threads_wait_for_each_other():
    """One place, many threads; never two at once."""
    inside, most = [], []

    @bulkhead(1)
    def work():
        inside.append(1)
        most.append(len(inside))
        inside.pop()

    def many():
        for _ in range(30):
            work()

    with fresh_host() as host:

        def run():
            with agentperf.use(host):
                many()

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert stats(work) == (1, 0, 0, 0)
    assert (len(most), max(most)) == (120, 1)


def test_a_synchronous_call_does_not_hold_up_a_loop(clock):
    """Who has the place may need that loop to give it back: the call is refused."""
    places = bulkhead(1)

    @places
    async def slow():
        await asyncio.sleep(0)
        with pytest.raises(BulkheadFull, match="event loop"):
            quick()
        return True

    @places
    def quick():
        return 1

    assert asyncio.run(slow())
    assert quick() == 1


def test_shared_by_name_and_by_object(clock):
    """Functions that share have one number of places."""
    shared = bulkhead(1, queue=0, name="upstream")

    @shared
    def outer():
        return inner()

    @bulkhead(1, queue=0, name="upstream")
    def inner():
        return 1

    with pytest.raises(BulkheadFull):
        outer()
    assert inner() == 1
    with pytest.raises(ConfigurationError, match="in use with other options"):
        bulkhead(2, name="upstream")(lambda: 1)()


@pytest.mark.anyio
async def test_an_open_breaker_is_asked_before_the_queue(clock):
    """Nobody waits for a place only to be refused."""
    upstream = Upstream()

    @bulkhead(1)
    @rate_limited("100/s")
    @circuit_breaker
    async def work(value):
        return await upstream(value)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, 1)
        await idle()
        agentperf.handle(work).breaker.force("forced-open")
        with pytest.raises(CircuitOpen):
            await work(2)
        assert stats(work) == (1, 1, 0, 0)
        await upstream.end_one()


# -- by, priority, and when to come again ---------------------------------------------------------


@pytest.mark.anyio
async def test_each_value_has_its_own_places(clock):
    """A value that is full holds up no other; what is told of it is a digest."""
    upstream = Upstream()

    @bulkhead(1, queue=0, by="value", name="upstream")
    async def work(value):
        return await upstream(value)

    async with anyio.create_task_group() as tasks:
        for value in ("tea", "milk"):
            tasks.start_soon(work, value)
            await idle()
        with pytest.raises(BulkheadFull, match=r"'upstream' of the key [0-9a-f]{12} is") as caught:
            await work("tea")
        assert caught.value.key
        assert caught.value.key in str(caught.value)
        assert "tea" not in str(caught.value)
        handle = agentperf.handle(work).bulkhead
        assert repr(handle) == "<bulkhead: 1 for each value of by>"
        assert (handle.stats("tea").in_use, handle.stats("tea").rejected) == (1, 1)
        assert (handle.in_use("milk"), await handle.ain_use("wine")) == (1, 0)
        await upstream.end_one()
        await upstream.end_one()
    assert handle.in_use("tea") == 0


def test_the_places_of_many_values_are_kept_while_they_are_in_use(clock):
    """Of those that are not, the ones used last."""

    @bulkhead(1, queue=0, by="value")
    def words(value):
        yield value
        yield value

    reading = words("kept")
    next(reading)
    for value in range(3000):
        list(words(value))
    with pytest.raises(BulkheadFull):
        next(words("kept"))
    assert list(reading) == ["kept"]
    assert next(words("kept")) == "kept"


def test_adaptive_ones_find_a_number_for_each_value(clock):
    """An upstream that has enough doesn't slow the others down."""
    work = bulkhead(10, adaptive=True, by="value")(faulty(lambda value: value, fail(TimeoutError)))
    with pytest.raises(TimeoutError):
        work("tea")
    handle = agentperf.handle(work).bulkhead
    assert (handle.stats("tea").limit, handle.stats("milk").limit) == (7, 10)


@pytest.mark.anyio
async def test_the_urgent_go_first(clock):
    """A priority is a head start: who came that much earlier is not overtaken."""
    upstream = Upstream()

    @bulkhead(1, priority="urgency")
    async def work(value, urgency):
        return await upstream(value)

    async with anyio.create_task_group() as tasks:
        for value, urgency in [(0, 0), (1, 0), (2, 1), (3, -1), (4, 0)]:
            tasks.start_soon(work, value, urgency)
            await idle()
        clock.advance(21)
        tasks.start_soon(work, 5, 1)
        await idle()
        for _ in range(6):
            await upstream.end_one()
    assert upstream.order == [0, 2, 1, 4, 3, 5]


def test_a_refusal_says_when_to_come_again(clock):
    """By how long calls take of late; as long as nothing is known, it says nothing."""

    @bulkhead(2, queue=0)
    def words(text):
        yield from text.split()

    def refused():
        with pytest.raises(BulkheadFull) as caught:
            next(words("no"))
        return caught.value.retry_after

    first, second = words("one two"), words("three four")
    next(first), next(second)
    assert refused() is None
    first.close()
    first = words("five six")
    next(first)
    assert refused() is None
    clock.advance(4)
    assert list(first) == ["six"]
    first = words("seven")
    next(first)
    with recorded(CallRefused) as log:
        assert refused() == 2.0
    assert [event.retry_after for event in log] == [2.0]


def test_the_first_refusal_knows_from_the_first_calls(clock):
    """They are measured, whether or not any of them had to wait."""

    @bulkhead(1, queue=0)
    def work(nested):
        clock.advance(3)
        if nested:
            work(False)

    for _ in range(20):
        work(False)
    with pytest.raises(BulkheadFull) as caught:
        work(True)
    assert caught.value.retry_after == pytest.approx(3.0)


@pytest.mark.anyio
async def test_those_who_wait_are_reckoned_with(clock):
    """A place comes free after a while, and the line is served first."""
    upstream = Upstream()

    @bulkhead(1, queue=2)
    async def work(value):
        return await upstream(value)

    async with anyio.create_task_group() as tasks:
        for value in range(3):
            tasks.start_soon(work, value)
            await idle()
        clock.advance(6)
        await upstream.end_one()
        clock.advance(6)
        await upstream.end_one()
        tasks.start_soon(work, 3)
        await idle()
        tasks.start_soon(work, 4)
        await idle()
        with pytest.raises(BulkheadFull, match="perhaps in 18 s") as caught:
            await work(5)
        assert caught.value.retry_after == 18.0
        for _ in range(3):
            await upstream.end_one()


# -- adaptive -------------------------------------------------------------------------------------


class TooMany(Exception):
    """A rate limit of an upstream."""

    status_code = 429


@pytest.mark.parametrize("error", [TooMany, TimeoutError])
def test_what_is_too_much_cuts_the_limit(clock, error):
    """And it is told."""
    work = bulkhead(10, adaptive=True)(faulty(lambda: 1, fail(error)))
    with recorded(ConcurrencyChanged) as log, pytest.raises(error):
        work()
    assert stats(work)[:2] == (7, 0)
    (event,) = log.of(ConcurrencyChanged)
    assert (event.old, event.new, event.reason) == (10, 7, "calls were dropped")


@pytest.mark.parametrize("error", [TypeError, ValueError, KeyboardInterrupt])
def test_what_says_nothing_of_the_load_changes_nothing(clock, error):
    """Wrong calls, unknown errors and cancellations."""
    work = bulkhead(10, adaptive=True)(faulty(lambda: 1, fail(error)))
    with pytest.raises(error):
        work()
    assert stats(work)[:2] == (10, 0)


@pytest.mark.parametrize("slow", ["the producer, later", "the reader, at first"])
@pytest.mark.parametrize("items", [0, 2])
def test_of_a_stream_the_time_to_its_first_item_counts(clock, slow, items):
    """That of its producer: a long answer is no slow one, and a reader may come late."""

    def numbers(pause):
        clock.advance(1)
        yield from range(items)
        clock.advance(pause if slow == "the producer, later" and items else 0)

    @bulkhead(10, queue=0, adaptive=(1, 40))
    def opened(pause):
        return numbers(pause)

    for pause in [0.0] * 10 + [50.0] * 10:
        streams = [opened(pause) for _ in range(stats(opened)[0])]
        clock.advance(pause if slow == "the reader, at first" else 0)
        for stream in streams:
            assert len(list(stream)) == items
    assert stats(opened)[0] == 40


def test_it_grows_and_lets_the_waiting_in(clock):
    """More places wake who waits."""
    places = agentperf.policies.bulkhead.layer.Compartment(bulkhead(1, adaptive=(1, 4)).options)
    assert places.adaptive is not None
    assert places.places.take()
    assert not places.places.take()
    places.places.resize(2)
    assert places.places.take()


# -- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: bulkhead(lambda: 1), bulkhead, lambda: bulkhead(queue=3)])
def test_it_needs_a_number(make):
    """Bare or empty it says how to write it."""
    with pytest.raises(ConfigurationError, match=r"@bulkhead\(8\)"):
        make()


@pytest.mark.parametrize(
    ("args", "options", "said"),
    [
        ((0,), {}, "concurrency=0"),
        (("8",), {}, "concurrency='8'"),
        ((True,), {}, "concurrency=True"),
        ((8, 20), {}, r"bulkhead\(8, queue=20\)"),
        ((8,), {"queue": -1}, "queue=-1"),
        ((8,), {"queue": True}, "queue=True"),
        ((8,), {"adaptive": (9, 32)}, "adaptive="),
        ((8,), {"adaptive": (0, 32)}, "adaptive="),
        ((8,), {"adaptive": (1, 7)}, "adaptive="),
        ((8,), {"adaptive": "yes"}, "adaptive='yes'"),
        ((8,), {"adaptive": 3}, "adaptive=3"),
        ((8,), {"queu": 3}, "did you mean queue=3"),
        ((8,), {"by": 3}, "by=3"),
        ((8,), {"priority": 3}, "priority=3"),
        ((8,), {"on_store_failure": "wait"}, "on_store_failure='wait'"),
    ],
)
def test_bad_options_are_refused_before_any_call(args, options, said):
    """The error names the parameter."""
    with pytest.raises(ConfigurationError, match=said):
        bulkhead(*args, **options)


@pytest.mark.parametrize("options", [{"by": "nothing"}, {"priority": "nothing"}])
def test_what_names_no_parameter_is_refused_at_decoration(options):
    """Before any call."""
    with pytest.raises(ConfigurationError, match="nothing"):
        bulkhead(8, **options)(lambda value: value)


def test_a_function_without_one(clock):
    """The handle says what to write."""
    with pytest.raises(ConfigurationError, match=r"@bulkhead\(8\)"):
        _ = agentperf.handle(agentperf.timed(lambda: 1)).bulkhead
