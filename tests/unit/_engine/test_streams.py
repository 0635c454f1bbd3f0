"""Streams: recognised by type, handed on unchanged, settled exactly once however they end."""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import copy
import gc
import inspect
import io
import sqlite3
import subprocess
import sys
import time
import types

import pytest

from agentperf import handle, timed
from agentperf._base.endings import Ending
from agentperf._engine.streams import AsyncLiveStream, LiveStream, Recogniser, TurnedAsync
from tests.unit._engine.spies import Spy, items_of


class Response:
    """What an SDK's stream reads from."""

    def __init__(self):
        self.closed = 0


def sdk_classes():  # noqa: C901 - two small classes
    """Make a stand-in for the streams of the openai client, in a module of that name."""
    module = types.ModuleType("openai._streaming")

    class Stream:
        def __init__(self, items):
            self.response = Response()
            self._iterator = iter(items)

        def __next__(self):
            return next(self._iterator)

        def __iter__(self):
            yield from self._iterator

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.close()

        def close(self):
            self.response.closed += 1

    class AsyncStream:
        def __init__(self, items):
            self.response = Response()
            self._iterator = iter(items)

        async def __anext__(self):
            try:
                return next(self._iterator)
            except StopIteration:
                raise StopAsyncIteration from None

        async def __aiter__(self):
            for item in self._iterator:
                yield item

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            await self.close()

        async def close(self):
            self.response.closed += 1

    for kind in (Stream, AsyncStream):
        kind.__module__, kind.__qualname__ = module.__name__, kind.__name__
    return Stream, AsyncStream


Stream, AsyncStream = sdk_classes()


class ChatStream(Stream):
    """A subclass, as SDKs make them."""


class Rows:
    """An iterator of no kind that is known."""

    def __init__(self, items=(1, 2)):
        self._items = iter(items)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._items)


def returned_generator():
    """A plain function that returns a generator."""
    return (i for i in (1, 2))


STREAMS = {
    "generator": returned_generator,
    "sdk": lambda: Stream([1, 2]),
    "sdk subclass": lambda: ChatStream([1, 2]),
    "stream=True": lambda stream=True: Rows(),
}


def opened(spy, kind):
    """Call a decorated function that returns a stream."""
    function = spy(STREAMS[kind])
    return function(stream=True) if kind == "stream=True" else function()


@pytest.mark.parametrize("kind", STREAMS)
def test_a_returned_stream_is_settled_when_it_ends(spy, kind):
    """Not when the function returns, and once only."""
    stream = opened(spy, kind)
    assert spy.endings() == []
    assert list(stream) == [1, 2]
    assert spy.endings() == ["done"]
    assert list(stream) == []
    assert spy.endings() == ["done"]


@pytest.mark.parametrize("kind", STREAMS)
def test_a_returned_stream_looks_like_itself(spy, kind):
    """For isinstance it is of its own type, and its attributes are its own."""
    stream = opened(spy, kind)
    bare = STREAMS[kind]()
    assert isinstance(stream, type(bare))
    assert stream.__class__ is type(bare)
    assert isinstance(stream, collections.abc.Iterator)
    assert inspect.isgenerator(stream) == inspect.isgenerator(bare)
    if kind.startswith("sdk"):
        assert stream.response.closed == 0
        assert repr(stream).startswith("<")
    with pytest.raises(AttributeError):
        stream.no_such_thing  # noqa: B018


def test_a_copy_of_a_stream_is_a_copy_of_its_source(spy):
    """Copied where the source can be, and the call is still settled once."""
    stream = spy(lambda stream: Rows([1, 2]))(stream=True)
    assert list(copy.copy(stream)) == [1, 2]
    gc.collect()
    assert spy.endings() == []
    assert list(stream) == []
    assert spy.endings() == ["done"]
    with pytest.raises(TypeError):
        copy.copy(spy(returned_generator)())


@pytest.mark.parametrize("kind", ["sdk", "sdk subclass", "generator"])
def test_a_returned_stream_is_a_context_manager(spy, kind):
    """Leaving it closes the source, and the call is dropped, neither good nor bad."""
    with opened(spy, kind) as stream:
        assert next(stream) == 1
    assert spy.log[1:] == [("spy", "dropped", Ending.CLOSED)]
    if kind != "generator":
        assert stream.response.closed == 1


def test_a_source_leaves_its_own_context(spy):
    """What a source does at the end of its `with` block is done, and it may swallow the error."""

    class Lenient(Rows):
        left = ()

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.left = error
            return True

    source = Lenient()
    with spy(lambda stream: source)(stream=True) as stream:
        next(stream)
        raise KeyError
    assert source.left[0] is KeyError
    assert spy.endings() == ["dropped"]


def test_delegating_to_a_stream_without_throw(spy):
    """An error thrown at `yield from` an iterator that can't take it comes back as it was."""
    stream = spy(lambda stream: Rows())(stream=True)

    def outer():
        yield from stream

    reading, error = outer(), KeyError("x")
    next(reading)
    with pytest.raises(KeyError) as caught:
        reading.throw(error)
    assert caught.value is error


def other_iterators():
    """Make iterators that are no streams."""
    return {
        "text": io.StringIO("a\nb"),
        "bytes": io.BytesIO(b"a\nb"),
        "list iterator": iter([1, 2]),
        "map": map(str, [1, 2]),
        "zip": zip([1], [2], strict=True),
        "rows": Rows(),
    }


@pytest.mark.parametrize("kind", other_iterators())
def test_other_iterators_stay_what_they_are(spy, kind):
    """A file, a cursor, any other iterator is a plain value: the very object, settled at once."""
    value = other_iterators()[kind]
    assert spy(lambda: value)() is value
    assert spy.endings() == ["done"]


def test_a_cursor_stays_what_it_is(spy):
    """Its own methods are needed, and it may be gone through again."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.execute("select 1")
        assert spy(lambda: cursor)() is cursor
    assert spy.endings() == ["done"]


@pytest.mark.parametrize("stream", [False, 1, "yes", None])
def test_only_stream_true_asks_for_a_stream(spy, stream):
    """`stream=False` and values that are merely true don't."""
    rows = Rows()
    assert spy(lambda stream: rows)(stream=stream) is rows


@pytest.mark.parametrize("value", [(), [1], {"a": 1}, range(3), "text", b"x", {1}], ids=repr)
def test_asking_for_a_stream_and_getting_a_value(spy, value):
    """What isn't an iterator is no stream, whatever was asked for."""
    assert spy(lambda stream: value)(stream=True) is value
    assert spy.endings() == ["done"]


# -- how streams end ------------------------------------------------------------------------------


def generated(log):
    """A generator that says when it is closed."""
    try:
        yield from range(3)
    finally:
        log.append("closed")


def returning(make):
    """Make a plain function that returns what `make` makes."""
    return lambda log: make(log)  # noqa: PLW0108 - a function of another shape


FROM = {"generator function": generated, "returned generator": returning(generated)}


@pytest.mark.parametrize("kind", FROM)
def test_an_early_break_closes_and_drops(spy, kind):
    """Breaking off and letting go runs the producer's cleanup and settles once, neutrally."""
    log = []
    for _ in spy(FROM[kind])(log):
        break
    gc.collect()
    assert log == ["closed"]
    assert spy.endings() == ["dropped"]


@pytest.mark.parametrize("kind", FROM)
def test_an_error_of_the_consumer_is_not_the_producers(spy, kind):
    """The consumer's own error leaves the call neutral."""

    def consume():
        for _ in spy(FROM[kind])([]):
            raise KeyError

    with pytest.raises(KeyError):
        consume()
    gc.collect()
    assert spy.endings() == ["dropped"]


def test_an_abandoned_stream_is_settled_when_it_is_collected(spy):
    """Even in a cycle, where only the garbage collector finds it."""
    stream = spy(lambda: Stream([1]))()
    cycle = [stream]
    cycle.append(cycle)
    del stream, cycle
    assert spy.endings() == []
    gc.collect()
    assert spy.log[1:] == [("spy", "dropped", Ending.ABANDONED)]


def test_a_stream_that_was_read_is_not_settled_again(spy):
    """Neither by closing, nor by leaving, nor by being collected."""
    stream = spy(lambda: Stream([1]))()
    with stream:
        assert list(stream) == [1]
    stream.close()
    del stream
    gc.collect()
    assert spy.endings() == ["done"]


def test_a_generator_function_that_never_began_is_no_call(spy):
    """Nothing was entered, nothing is to be settled."""
    spy(generated)([]).close()
    spy(generated)([])
    gc.collect()
    assert spy.log == []


def test_every_layer_settles_though_one_fails(fresh_host):
    """A fault in one layer's settling reaches neither the other layers nor the reader."""

    class Broken(Spy):
        def bind(self, site, inner):
            bound = super().bind(site, inner)

            def step(args, kwargs):
                stream = bound(args, kwargs)
                stream.watch(item=lambda *_: 1 / 0, end=lambda *_: 1 / 0)
                return stream

            return step

    outer, inner = Spy(), Broken()
    assert list(outer(inner(generated))([])) == [0, 1, 2]
    assert outer.endings() == inner.endings() == ["done"]


def test_one_stream_through_many_layers(fresh_host):
    """All layers watch the same stand-in, innermost first."""
    log = []
    layers = [Spy(log=log, label=label) for label in "abc"]
    function = generated
    for layer in reversed(layers):
        function = layer(function)
    assert list(function([])) == [0, 1, 2]
    assert log == [*((x, "enter") for x in "abc"), *((x, "done") for x in "cba")]


def test_time_to_the_first_item_and_gaps(fresh_host, fake_clock):
    """Time inside the producer counts; the consumer's pauses don't."""

    @timed
    def slow():
        for item in range(3):
            fake_clock.advance(1)
            yield item

    for _ in slow():
        fake_clock.advance(100)
    stats = handle(slow).stats()
    assert stats.calls == 1
    assert stats.first_item.count == 1
    assert stats.first_item.sum == pytest.approx(1)
    assert stats.gaps.count == 2
    assert stats.gaps.sum == pytest.approx(2)
    assert stats.latency.sum == pytest.approx(3)


# -- asynchronous streams -------------------------------------------------------------------------


async def agenerated(log):
    """An async generator that says when it is closed."""
    try:
        for item in range(3):
            yield item
    finally:
        log.append("closed")


async def acreate():
    """An async function that returns an SDK's stream."""
    return AsyncStream([1, 2])


@pytest.mark.anyio
async def test_a_returned_async_stream(spy):
    """It is settled when it ends, looks like itself, and closes with `async with`."""
    stream = await spy(acreate)()
    assert isinstance(stream, AsyncStream)
    assert isinstance(stream, collections.abc.AsyncIterator)
    assert spy.endings() == []
    assert await items_of(stream) == [1, 2]
    assert spy.endings() == ["done"]
    async with await spy(acreate)() as stream:
        assert await anext(stream) == 1
    assert stream.response.closed == 1
    assert spy.endings() == ["done", "dropped"]
    await stream.close()
    assert spy.endings() == ["done", "dropped"]


@pytest.mark.anyio
async def test_an_async_function_may_return_a_sync_stream_and_a_plain_one_an_async_one(spy):
    """The colour of a stream need not be that of its function."""

    async def awaited():
        return (i for i in (1, 2))

    assert list(await spy(awaited)()) == [1, 2]
    assert await items_of(spy(lambda: agenerated([]))()) == [0, 1, 2]
    assert spy.endings() == ["done", "done"]


@pytest.mark.anyio
async def test_breaking_off_an_async_stream(spy):
    """Closed early it is dropped, once, and its producer cleans up."""
    log = []
    stream = spy(agenerated)(log)
    async for _ in stream:
        break
    await stream.aclose()
    assert log == ["closed"]
    assert spy.endings() == ["dropped"]


@pytest.mark.parametrize("make", [agenerated, returning(agenerated)])
def test_an_abandoned_async_stream_is_settled_once(spy, make):
    """By the loop's own care for async generators, or when it is collected."""
    log = []

    async def main():
        stream = spy(make)(log)
        assert await anext(stream) == 0
        del stream
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(main())
    gc.collect()
    assert log == ["closed"]
    assert spy.endings() == ["dropped"]


@pytest.mark.anyio
async def test_an_async_stream_that_never_began_is_no_call(spy):
    """Nothing was entered, nothing is to be settled."""
    await spy(agenerated)([]).aclose()
    assert spy.log == []


@pytest.mark.anyio
async def test_time_inside_an_async_producer(fresh_host, fake_clock):
    """The consumer's pauses don't count for async streams either."""

    @timed
    async def slow():
        for item in range(3):
            fake_clock.advance(1)
            yield item

    async for _ in slow():
        fake_clock.advance(100)
    stats = handle(slow).stats()
    assert stats.latency.sum == pytest.approx(3)
    assert stats.first_item.sum == pytest.approx(1)


class ARows:
    """An async iterator of no kind that is known."""

    def __init__(self):
        self._items = iter((1, 2))

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None


@pytest.mark.anyio
async def test_sources_that_can_do_little(spy):
    """Without close and without a context: the stand-in settles all the same."""
    with spy(lambda stream: Rows())(stream=True) as stream:
        assert next(stream) == 1
    async with spy(lambda stream: ARows())(stream=True) as stream:
        assert await anext(stream) == 1
        assert await items_of(stream) == [2]
    assert spy.endings() == ["dropped", "done"]


@pytest.mark.anyio
async def test_talking_to_a_returned_generator(spy):
    """What is sent in gets through; the items then belong to that exchange alone."""

    def echo():
        received = yield "ready"
        yield received

    async def aecho():
        received = yield "ready"
        yield received

    def opened():
        return echo()

    async def aopened():
        return aecho()

    stream, astream = spy(opened)(), await spy(aopened)()
    assert [stream.send(None), stream.send("a")] == ["ready", "a"]
    assert [await astream.asend(None), await astream.asend("b")] == ["ready", "b"]
    assert not stream.replayable
    assert not astream.replayable
    with pytest.raises(KeyError):
        stream.throw(KeyError())
    with pytest.raises(KeyError):
        await astream.athrow(KeyError())
    assert spy.endings() == ["dropped", "dropped"]


class Oops(Exception):
    """An error of the reader."""


@pytest.mark.anyio
@pytest.mark.parametrize("given", [(Oops("x"),), (Oops,), (Oops, Oops("x"), None)])
@pytest.mark.filterwarnings("ignore:the \\(type, exc, tb\\) signature:DeprecationWarning")
async def test_what_the_reader_throws_in_is_no_failure(spy, given):
    """It comes out again, and the stream was left by its reader."""

    def read():
        yield 1

    async def aread():
        yield 1

    stream, astream = spy(read)(), spy(aread)()
    assert (next(stream), await anext(astream)) == (1, 1)
    with pytest.raises(Oops):
        stream.throw(*given)
    with pytest.raises(Oops):
        await astream.athrow(*given)
    assert spy.endings() == ["dropped", "dropped"]


@pytest.mark.anyio
async def test_what_a_stream_makes_of_what_is_thrown_in_is_its_own(spy):
    """Another error than the reader's is a failure; so is one that comes at a later item."""

    def read():
        kept = None
        try:
            yield 1
        except Oops as error:
            kept = error
        yield 2
        raise kept

    async def aread():
        try:
            yield 1
        except Oops as error:
            raise KeyError from error

    stream, astream = spy(read)(), spy(aread)()
    assert (next(stream), stream.throw(Oops()), await anext(astream)) == (1, 2, 1)
    with pytest.raises(Oops):
        next(stream)
    with pytest.raises(KeyError):
        await astream.athrow(Oops())
    assert spy.endings() == ["failed", "failed"]


# -- recognising ----------------------------------------------------------------------------------


def test_plain_types_are_remembered_and_bounded():
    """A type is asked about once; a program that makes types for ever doesn't fill the memory."""
    recognise = Recogniser(lambda: 0.0, is_async=False)
    for i in range(3000):
        value = type(f"T{i}", (), {})()
        assert recognise(value, {}) is value
    assert len(recognise.plain) <= 1024
    assert Rows not in recognise.plain


def test_a_stand_in_is_not_wrapped_again():
    """A live stream is recognised as it is."""
    recognise = Recogniser(lambda: 0.0, is_async=False)
    stream = recognise(returned_generator(), {})
    assert type(stream) is LiveStream
    assert recognise(stream, {}) is stream


def test_a_source_that_refuses_to_be_iterated():
    """The error of its `__iter__` arrives, without noise from a stand-in half made."""

    class Refusing:
        def __iter__(self):
            raise KeyError("closed")

    with pytest.raises(KeyError):
        LiveStream(Refusing(), lambda: 0.0)
    gc.collect()


def test_awaitables_turn_a_call_async_unless_they_are_more_than_that():
    """A coroutine is driven; what `async with` takes as well stays as it is."""

    class Request:
        def __await__(self):
            yield

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            pass

    async def work():
        pass

    recognise = Recogniser(lambda: 0.0, is_async=False)
    request, coroutine = Request(), work()
    assert recognise(request, {}) is request
    with pytest.raises(TurnedAsync):
        recognise(coroutine, {})
    assert Recogniser(lambda: 0.0, is_async=True)(coroutine, {}) is coroutine
    coroutine.close()


def test_no_client_library_is_imported_to_know_its_streams():
    """SDK streams are known by name."""
    assert AsyncLiveStream is not LiveStream
    assert "openai._streaming" not in sys.modules or hasattr(
        sys.modules["openai._streaming"], "__file__"
    )


def test_nothing_is_said_when_a_program_ends_with_streams_open():
    """Whatever is still alive then is left in peace."""
    program = """
import asyncio, builtins
import agentperf

@agentperf.timed
def stream():
    yield from range(3)

@agentperf.timed
def returned():
    return (i for i in range(3))

@agentperf.timed
async def astream():
    yield 1
    yield 2

async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # a slow machine is none of its business
    builtins.kept = astream()
    await anext(kept)

asyncio.run(main())
builtins.reading, builtins.returned = stream(), returned()
next(reading), next(builtins.returned)
"""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program]
    ran = subprocess.run(command, check=True, capture_output=True)
    assert (ran.stdout, ran.stderr) == (b"", b"")


@pytest.mark.anyio
@pytest.mark.parametrize("items", [0, 2])
async def test_what_a_watcher_leaves_is_done_before_the_end_is_told(items):
    """A reader that waits learns of the end when all is settled; a failure is swallowed."""
    done = []

    async def source():
        for item in range(items):
            yield item

    async def settle():
        done.append("settled")
        raise ArithmeticError

    stream = AsyncLiveStream(source(), time.monotonic)
    stream.watch(end=lambda *_: settle())
    if not items:
        await stream.prime()
    async for _ in stream:
        assert done == []
    assert done == ["settled"]


class BothWays:
    """A stream that can be read with and without waiting, as some clients have it."""

    def __init__(self):
        self.left = [2, 1]

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        return self.left.pop()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()


@pytest.mark.anyio
async def test_a_stream_of_both_colours_is_read_in_that_of_the_call():
    """A synchronous call gives one to iterate, an asynchronous one to iterate asynchronously."""

    @timed
    def sync(*, stream):
        return BothWays()

    @timed
    async def waiting(*, stream):
        return BothWays()

    assert list(sync(stream=True)) == [1, 2]
    assert [item async for item in await waiting(stream=True)] == [1, 2]


def broken_at_once():
    """Fail before the first item."""
    raise ConnectionError
    yield


async def abroken_at_once():
    """The same, asynchronous."""
    raise ConnectionError
    yield


@pytest.mark.anyio
async def test_a_stream_that_fails_while_it_is_primed():
    """Whoever watches it already learns of its end, once."""
    ends = []

    def note(_, ending, error):
        ends.append((ending, type(error)))

    stream, astream = LiveStream(broken_at_once(), float), AsyncLiveStream(abroken_at_once(), float)
    stream.watch(end=note)
    astream.watch(end=note)
    with pytest.raises(ConnectionError):
        stream.prime()
    with pytest.raises(ConnectionError):
        await astream.prime()
    stream.close()
    await astream.aclose()
    assert ends == [(Ending.FAILED, ConnectionError)] * 2
