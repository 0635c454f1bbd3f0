"""Streams: kept when they were read to their end, replayed item for item."""

from __future__ import annotations

import gc

import anyio
import pytest

from agentperf import cached, handle
from agentperf.events import CacheRefused
from agentperf.testing import recorded
from tests.unit.policies.cached.calls import COLOURS, STREAMS, Counted, auntil, figures, outcome

pytestmark = pytest.mark.anyio

ITEMS = ["", None, {"n": [1]}, b"", "end"]
SPOILING = "the stream was not read to its end"


async def _begin(stream, count):
    """Read so many items of a stream of either colour."""
    if hasattr(stream, "__anext__"):
        return [await anext(stream) for _ in range(count)]
    return [next(stream) for _ in range(count)]


async def _close(stream):
    await stream.aclose() if hasattr(stream, "aclose") else stream.close()


@pytest.mark.parametrize("colour", STREAMS)
async def test_a_whole_stream_is_replayed_item_for_item(fresh_host, colour):
    """Empty items too, in their order, any number of times, by a stream of the same colour."""
    source = Counted(lambda _: ITEMS)
    f = cached(source.function(colour))
    assert [await outcome(f()) for _ in range(3)] == [ITEMS] * 3
    assert source.calls == 1
    assert type(f()) is type(source.function(colour)())
    assert handle(f).cache.peek() == tuple(ITEMS)


@pytest.mark.parametrize("colour", STREAMS)
async def test_an_empty_stream_is_an_answer(fresh_host, colour):
    """No item at all is kept like any other answer."""
    source = Counted(lambda _: [])
    f = cached(source.function(colour))
    assert [await outcome(f()) for _ in range(2)] == [[], []]
    assert source.calls == 1


async def test_what_a_generator_returns_is_replayed(fresh_host):
    """The value of `yield from` is the same, and each reader's own."""
    usage = {"tokens": [3]}

    @cached
    def f():
        yield "a"
        return usage

    def read():
        got.append((yield from f()))

    got: list = []
    for _ in range(3):
        assert list(read()) == ["a"]
        got[-1]["tokens"].append("spoilt")
    assert got == [{"tokens": [3, "spoilt"]}] * 3


@pytest.mark.parametrize("colour", STREAMS)
@pytest.mark.parametrize("count", [1, len(ITEMS)])
async def test_a_stream_that_is_closed_early_is_not_kept(fresh_host, colour, count):
    """Also when every item but the end was read."""
    source = Counted(lambda _: ITEMS)
    f = cached(source.function(colour))
    stream = f()
    with recorded(CacheRefused) as log:
        stream = f()
        await _begin(stream, count)
        await _close(stream)
    assert [event.reason for event in log] == [SPOILING]
    assert handle(f).cache.stats().size == 0
    assert await outcome(f()) == ITEMS
    assert source.calls == 2


@pytest.mark.parametrize("colour", STREAMS)
async def test_a_stream_that_nobody_begins_costs_nothing(fresh_host, colour):
    """A generator that is never read does not run its function, decorated or not."""
    source = Counted()
    f = cached(source.function(colour))
    await _close(f())
    assert source.calls == 0
    assert figures(f) == (0, 0, 0)


async def test_an_abandoned_stream_is_not_kept(fresh_host):
    """One that is dropped half read ends when it goes, without a search for cycles."""
    f = cached(Counted(lambda _: ITEMS).function("sync"))

    @cached
    def g():
        return (item for item in ITEMS)

    stream = g()
    next(stream)
    gc.disable()
    try:
        del stream
        assert handle(g).cache.stats().refused == 1
    finally:
        gc.enable()
    assert handle(g).cache._state.flights._alone == set()
    assert f() == ITEMS


@pytest.mark.parametrize("colour", STREAMS)
@pytest.mark.parametrize("after", [0, 2])
async def test_a_stream_that_fails_is_not_kept(fresh_host, colour, after):
    """Before its first item or in the middle: the error passes, the next call computes anew."""
    source = Counted()

    def items(_):
        yield from ITEMS[:after]
        if source.calls == 1:
            raise ConnectionError
        yield from ITEMS[after:]

    source._compute = items
    f = cached(source.function(colour))
    with pytest.raises(ConnectionError):
        await outcome(f())
    assert handle(f).cache.stats().size == 0
    assert [await outcome(f()) for _ in range(2)] == [ITEMS] * 2
    assert source.calls == 2


async def test_a_cancelled_stream_is_not_kept(fresh_host):
    """The reader goes away in the middle; the items it read are no answer."""

    @cached
    async def f():
        yield "a"
        await anyio.sleep_forever()

    stream = f()
    async with anyio.create_task_group() as group:

        async def read():
            async for _ in stream:
                pass

        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    await auntil(lambda: handle(f).cache.stats().refused)  # by the task that moved it
    assert handle(f).cache.stats().size == 0


@pytest.mark.parametrize("colour", STREAMS)
async def test_a_readers_change_does_not_reach_the_cache(fresh_host, colour):
    """Whoever reads, first or later, may change the items it gets."""
    f = cached(Counted(lambda _: [{"n": [1]}, [2]]).function(colour))
    for _ in range(3):
        items = await outcome(f())
        assert items == [{"n": [1]}, [2]]
        items[0]["n"].append("spoilt")
        items[1].clear()


@pytest.mark.parametrize("colour", STREAMS)
async def test_a_conversation_is_not_kept(fresh_host, colour):
    """What was sent in belongs to that exchange: the items are no answer for others."""
    if colour == "generator":

        @cached
        def f():
            got = yield "a"
            yield got

        stream = f()
        assert (next(stream), stream.send("mine"), list(stream)) == ("a", "mine", [])
    else:

        @cached
        async def f():
            got = yield "a"
            yield got

        stream = f()
        assert (await anext(stream), await stream.asend("mine")) == ("a", "mine")
        assert [item async for item in stream] == []
    stats = handle(f).cache.stats()
    assert (stats.size, stats.refused) == (0, 1)


@pytest.mark.parametrize("colour", STREAMS)
async def test_items_that_cannot_be_copied_pass_but_are_not_kept(fresh_host, colour):
    """The reader gets them all the same."""
    import threading

    lock = threading.Lock()
    f = cached(Counted(lambda _: [lock, 1]).function(colour))
    with recorded(CacheRefused) as log:
        assert await outcome(f()) == [lock, 1]
    assert [event.reason for event in log] == ["it can't be copied"]


@pytest.mark.parametrize("forget", ["invalidate", "clear"])
@pytest.mark.parametrize("colour", STREAMS)
async def test_a_stream_under_way_is_kept_out_by_invalidation(fresh_host, colour, forget):
    """Its reader reads on; the recording is not stored."""
    f = cached(Counted(lambda _: ITEMS).function(colour))
    stream = f()
    await _begin(stream, 1)
    getattr(handle(f).cache, forget)()
    assert await outcome(stream) == ITEMS[1:]
    assert handle(f).cache.stats().size == 0


@pytest.mark.parametrize("colour", STREAMS)
async def test_concurrent_readers_take_turns(fresh_host, colour):
    """Each gets every item of the one stream; afterwards it is replayed."""
    f = cached(Counted(lambda _: list(range(5))).function(colour))
    streams = [f() for _ in range(3)]
    read = [[(await _begin(stream, 1))[0] for stream in streams] for _ in range(5)]
    assert read == [[n] * 3 for n in range(5)]
    assert [await outcome(stream) for stream in streams] == [[]] * 3
    assert await outcome(f()) == list(range(5))
    assert figures(f) == (1, 1, 2)


@pytest.mark.parametrize("outside", ["sync", "async"])
@pytest.mark.parametrize("inside", STREAMS)
async def test_a_function_that_returns_a_stream(fresh_host, outside, inside):
    """The stream is recorded as it is read, and replayed."""
    items = Counted(lambda _: ITEMS).function(inside)
    source = Counted(lambda _: items())
    f = cached(source.function(outside))
    results = []

    async def read():
        results.append(await outcome(f()))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(read)
    assert results == [ITEMS] * 3
    calls = source.calls
    assert await outcome(f()) == ITEMS
    assert source.calls == calls


async def test_plain_answers_stay_shared_beside_streams(fresh_host):
    """A function that gives now a stream, now a value, still computes a value only once."""
    calls = []

    @cached
    async def ask(question, stream=False):
        if stream:
            return (word for word in ("a", "b"))
        calls.append(question)
        await anyio.wait_all_tasks_blocked()
        return question

    assert list(await ask("x", stream=True)) == ["a", "b"]
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(ask, "y")
    assert calls == ["y"]


async def test_a_leader_that_goes_away_closes_the_stream_it_opened(fresh_host):
    """Nobody else can read it, so it doesn't stay open."""
    opened, closed = anyio.Event(), []

    async def items():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    @cached
    async def f():
        stream = items()
        await anext(stream)
        await opened.wait()
        return stream

    async with anyio.create_task_group() as group:
        group.start_soon(f)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    opened.set()
    await anyio.wait_all_tasks_blocked()
    assert closed == [True]


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_recording_expires_like_any_answer(fresh_host, fake_clock, colour):
    """Its time counts from the end of the stream; a replay under way goes on."""
    source = Counted(lambda _: ITEMS)
    f = cached(10)(source.function(colour))
    await outcome(f())
    replay = f()
    if colour in STREAMS:
        await _begin(replay, 1)
    fake_clock.advance(10)
    rest = await outcome(replay)
    assert rest == (ITEMS[1:] if colour in STREAMS else ITEMS)
    await outcome(f())
    assert source.calls == 2
