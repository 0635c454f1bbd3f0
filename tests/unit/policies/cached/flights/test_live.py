"""Live streams: one upstream for all who ask meanwhile, and nobody in anybody's way."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import gc
import threading
import traceback

import anyio
import pytest

import agentperf
from agentperf import SharedStreamError, cached, events, handle
from agentperf.policies.cached.flights import broadcast
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import recorded
from tests.unit.policies.cached.backed.test_layer import Awaited
from tests.unit.policies.cached.calls import auntil, figures, until

pytestmark = pytest.mark.anyio

ITEMS = ["", None, {"n": [1]}, b"", (), "end"]
SHAPES = [
    "generator",
    "async generator",
    "sync giving sync",
    "sync giving async",
    "async giving sync",
    "async giving async",
]
ASYNC = [shape for shape in SHAPES if shape.endswith(("async", "async generator"))]
SYNC = [shape for shape in SHAPES if shape not in ASYNC]
PLACES = ["memory", "bytes", "awaited bytes"]


def place(where):
    """Give the options of a cache in that place."""
    if where == "memory":
        return {}
    backend = MemoryBackend()
    return {"backend": backend if where == "bytes" else Awaited(backend)}


class Source:
    """Counts the streams it gives, what is asked of them, and how they end."""

    def __init__(self, items=ITEMS, fail=None, returned=None):
        self.items = items
        self.fail = fail
        self.returned = returned
        self.calls = 0
        self.given = 0
        self.closed = 0
        self.tasks = []

    def next(self, n):
        """Give an item."""
        self.given += 1
        return copy.deepcopy(self.items[n])

    def sync(self, x):
        """A stream."""
        self.calls += 1
        try:
            for n in range(len(self.items)):
                yield self.next(n)
            if self.fail:
                raise self.fail
            return self.returned
        finally:
            self.closed += 1

    async def asynchronous(self, x):
        """The same."""
        self.calls += 1
        self.tasks.append(anyio.get_current_task().id)
        try:
            for n in range(len(self.items)):
                await anyio.lowlevel.checkpoint()
                self.tasks.append(anyio.get_current_task().id)
                yield self.next(n)
            if self.fail:
                raise self.fail
        finally:
            self.tasks.append(anyio.get_current_task().id)
            self.closed += 1

    def function(self, shape):
        """Make a function of a shape."""
        inside = self.asynchronous if shape in ASYNC else self.sync

        def generator(x=0):
            return (yield from inside(x))

        async def async_generator(x=0):
            async with contextlib.aclosing(inside(x)) as stream:
                async for item in stream:
                    yield item

        def sync(x=0):
            return inside(x)

        async def asynchronous(x=0):
            return inside(x)

        made = {"generator": generator, "async generator": async_generator}
        return made.get(shape) or (sync if shape.startswith("sync") else asynchronous)


async def opened(call):
    """Come to the stream of a call."""
    return await call if hasattr(call, "__await__") else call


async def step(stream):
    """Read one item of a stream of either colour."""
    return await anext(stream) if hasattr(stream, "__anext__") else next(stream)


async def rest(stream):
    """Read a stream to its end."""
    if hasattr(stream, "__anext__"):
        return [item async for item in stream]
    return list(stream)


async def close(stream):
    """Close it."""
    await stream.aclose() if hasattr(stream, "__anext__") else stream.close()


def kind_and_value(items):
    """Tell items apart by their types too."""
    return [(type(item), item) for item in items]


def no_flights(f):
    """Whether nothing is under way."""
    flights = handle(f).cache._state.flights
    return not flights._shared and not flights._alone


WAYS = [(s, p) for s in SHAPES for p in PLACES if p != "awaited bytes" or s.startswith("async")]


@pytest.mark.parametrize(("shape", "where"), WAYS)
async def test_one_upstream_for_all(fresh_host, shape, where):
    """They read in turns, or one after another, and get it all; then it is an entry."""
    source = Source()
    f = cached(name="f", **place(where))(source.function(shape))
    streams = [await opened(f(1)) for _ in range(5)]
    got = [[await step(stream)] for stream in streams]
    got[1] += [await step(streams[1]) for _ in range(2)]
    streams.append(await opened(f(1)))  # late
    got.append([await step(streams[-1])])
    for number, stream in enumerate(streams):
        got[number] += await rest(stream)
    assert [kind_and_value(items) for items in got] == [kind_and_value(ITEMS)] * 6
    assert (source.calls, source.given, source.closed) == (1, len(ITEMS), 1)
    assert figures(f) == (0, 1, 5)
    await auntil(lambda: handle(f).cache.stats().stored)
    assert await rest(await opened(f(1))) == ITEMS
    assert figures(f) == (1, 1, 5)
    await auntil(lambda: no_flights(f))


@pytest.mark.parametrize("where", PLACES)
async def test_tasks_at_once(fresh_host, where):
    """Five tasks that all begin before the first item is there."""
    source = Source()
    f = cached(name="f", **place(where))(source.function("async generator"))
    got = []

    async def read():
        got.append(await rest(f(1)))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(read)
    assert got == [ITEMS] * 5
    assert source.calls == 1
    assert figures(f) == (0, 1, 4)


@pytest.mark.parametrize("shape", SHAPES)
async def test_nothing_is_asked_that_no_reader_asked_for(fresh_host, shape):
    """The upstream is as far as the furthest reader."""
    source = Source()
    f = cached(source.function(shape))
    first, second = [await opened(f(1)) for _ in range(2)]
    for count in range(1, 4):
        await step(first)
        if count == 2:
            await step(second)
        await anyio.wait_all_tasks_blocked()
        assert source.given == count
    await close(first)
    await close(second)


@pytest.mark.parametrize("shape", SHAPES)
async def test_each_reader_has_its_own(fresh_host, shape):
    """What one changes, the others and the cache don't see."""
    f = cached(Source([{"n": [1]}, [2]]).function(shape))
    streams = [await opened(f(1)) for _ in range(3)]
    firsts = [await step(stream) for stream in streams]
    for number in range(5):
        if number < 3:
            items = [firsts[number], *await rest(streams[number])]
        else:
            items = await rest(await opened(f(1)))  # a hit
        assert items == [{"n": [1]}, [2]]
        items[0]["n"].append("spoilt")
        items[1].clear()


@pytest.mark.parametrize("shape", SHAPES)
async def test_items_that_are_shared_on_request(fresh_host, shape):
    """With copy="share" all have the very same."""
    f = cached(copy="share")(Source([{"n": [1]}]).function(shape))
    streams = [await opened(f(1)) for _ in range(3)]
    items = [(await rest(stream))[0] for stream in streams]
    assert len({id(item) for item in items}) == 1


@pytest.mark.parametrize("first_to_go", range(3))
@pytest.mark.parametrize("shape", SHAPES)
async def test_who_closes_leaves_alone(fresh_host, shape, first_to_go):
    """Also who began it."""
    source = Source()
    f = cached(source.function(shape))
    streams = [await opened(f(1)) for _ in range(3)]
    for stream in streams:
        await step(stream)
    await close(streams.pop(first_to_go))
    assert source.closed == 0
    assert [await rest(stream) for stream in streams] == [ITEMS[1:]] * 2
    assert handle(f).cache.peek(1) == tuple(ITEMS)


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_last_one_closes_it(fresh_host, shape):
    """Before it goes on; nothing is kept, and who comes then begins anew."""
    source = Source()
    f = cached(source.function(shape))
    with recorded(events.CacheRefused) as log:
        streams = [await opened(f(1)) for _ in range(3)]
        for stream in streams:
            await step(stream)
            await step(stream)
        for number, stream in enumerate(streams):
            assert source.closed == 0, number
            await close(stream)
        assert source.closed == 1
    assert [event.reason for event in log] == ["the stream was not read to its end"]
    assert no_flights(f)
    assert await rest(await opened(f(1))) == ITEMS
    assert source.calls == 2
    for stream in streams:
        assert await rest(stream) == []


@pytest.mark.parametrize("shape", ASYNC)
async def test_who_is_cancelled_leaves_alone(fresh_host, shape):
    """In the middle of waiting for an item, or of the opening; the others get theirs."""
    gates = [anyio.Event() for _ in range(3)]
    source = Source([0, 1, 2])

    async def gated(x):
        async with contextlib.aclosing(source.asynchronous(x)) as stream:
            async for item in stream:
                await gates[item].wait()
                yield item

    inside = Source()
    inside.asynchronous = gated
    f = cached(inside.function(shape))
    scopes, got = [], {}

    async def read(number):
        with scopes[number]:
            got[number] = []
            stream = await opened(f(1))
            async for item in stream:
                got[number].append(item)

    async with anyio.create_task_group() as group:
        for number in range(4):
            scopes.append(anyio.CancelScope())
            group.start_soon(read, number)
            await anyio.wait_all_tasks_blocked()
        scopes[0].cancel()
        await anyio.wait_all_tasks_blocked()
        gates[0].set()
        await anyio.wait_all_tasks_blocked()
        scopes[2].cancel()
        await anyio.wait_all_tasks_blocked()
        gates[1].set()
        gates[2].set()
    assert got == {0: [], 1: [0, 1, 2], 2: [0], 3: [0, 1, 2]}
    assert source.calls == 1
    assert handle(f).cache.peek(1) == (0, 1, 2)


@pytest.mark.parametrize("shape", ASYNC)
@pytest.mark.parametrize("read_first", [0, 1])
async def test_when_all_are_cancelled_it_is_closed(fresh_host, shape, read_first):
    """In the task that moved it; its end is told once, and the key is free at once."""
    ends, tasks = [], []

    async def forever(x):
        tasks.append(anyio.get_current_task().id)
        try:
            for _ in range(read_first):
                yield 1
            await anyio.sleep_forever()
        finally:
            tasks.append(anyio.get_current_task().id)
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            ends.append("closed")

    inside = Source()
    inside.asynchronous = forever
    options = {"on_abandon": "cancel"} if shape.startswith("async") else {}
    f = cached(**options)(inside.function(shape))

    async def read():
        stream = await opened(f(1))
        async for _ in stream:
            pass

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    await auntil(lambda: ends)
    assert ends == ["closed"]
    assert len(set(tasks)) == 1
    await auntil(lambda: no_flights(f))
    assert handle(f).cache.stats().size == 0


@pytest.mark.parametrize("shape", ["async generator", "async giving async"])
async def test_one_task_drives_it(fresh_host, shape):
    """From its beginning through all readers to its closing, whoever reads."""
    source = Source()
    f = cached(source.function(shape))
    streams = []

    async def read(count):
        stream = await opened(f(1))
        streams.append(stream)
        for _ in range(count):
            await anext(stream)

    async with anyio.create_task_group() as group:
        for count in (1, 3, 2):
            group.start_soon(read, count)
    for stream in streams:
        await close(stream)
    assert source.closed == 1
    assert len(set(source.tasks)) == 1


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_slow_reader_holds_up_nobody(fresh_host, shape):
    """It gets all the same when it comes to it."""
    f = cached(Source().function(shape))
    slow, fast = [await opened(f(1)) for _ in range(2)]
    assert await step(slow) == ITEMS[0]
    assert await rest(fast) == ITEMS
    assert await rest(slow) == ITEMS[1:]


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_failure_reaches_all(fresh_host, shape, after):
    """After the items before it, each with an error of its own; then the next call begins anew."""
    source = Source(ITEMS[:after], fail=ConnectionError("down"))
    f = cached(source.function(shape))
    streams = [await opened(f(1)) for _ in range(4)]
    for n in range(after):
        assert [await step(stream) for stream in streams] == [ITEMS[n]] * 4

    async def see(stream):
        with pytest.raises(ConnectionError, match="down") as caught:
            await step(stream)
        errors.append(caught.value)

    errors = []
    async with anyio.create_task_group() as group:
        for stream in streams:
            group.start_soon(see, stream)
            if after or shape in SHAPES[2:]:
                await anyio.wait_all_tasks_blocked()
    if shape == "generator" and not after:
        return  # each fails before another can begin
    assert source.calls == 1
    frames = ["".join(traceback.format_exception(error)) for error in errors]
    assert len({id(error) for error in errors}) == 4
    assert max(frame.count("in see") for frame in frames) == 1
    await auntil(lambda: no_flights(f))
    calls = source.calls
    source.fail = None
    assert await rest(await opened(f(1))) == ITEMS[:after]
    assert source.calls == calls + 1


@pytest.mark.parametrize("where", ["memory", "bytes"])
@pytest.mark.parametrize("forget", ["invalidate", "clear", "tags"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_invalidation_while_it_flows(fresh_host, shape, forget, where):
    """Its readers read on; it is not kept, and who comes from now on begins anew."""
    source = Source()
    f = cached(name="f", tags="all", **place(where))(source.function(shape))
    old = [await opened(f(1)) for _ in range(2)]
    for stream in old:
        await step(stream)
    if forget == "tags":
        await agentperf.ainvalidate(tags="all")
    elif forget == "clear":
        await handle(f).cache.aclear()
    else:
        await handle(f).cache.ainvalidate(1)
    new = await opened(f(1))
    await step(new)
    assert source.calls == 2
    assert [await rest(stream) for stream in old] == [ITEMS[1:]] * 2
    assert await rest(new) == ITEMS[1:]
    await auntil(lambda: handle(f).cache.stats().refused)
    await auntil(lambda: handle(f).cache.stats().stored)
    assert handle(f).cache.stats().stored == 1
    assert source.calls == 2


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_is_too_long_is_neither_joined_nor_kept(fresh_host, shape, monkeypatch):
    """Its reader reads it all, and no more of it is held than somebody has still to read."""
    monkeypatch.setattr(broadcast, "MOST_ITEMS", 10)
    source = Source(list(range(100)))
    f = cached(source.function(shape))
    with recorded(events.CacheRefused) as log:
        stream = await opened(f(1))
        assert [await step(stream) for _ in range(12)] == list(range(12))
        other = await opened(f(1))
        assert await step(other) == 0
        assert source.calls == 2
        assert await rest(stream) == list(range(12, 100))
        await close(other)
    reasons = [event.reason for event in log]
    assert reasons == [broadcast.TOO_LONG, "the stream was not read to its end"]
    assert handle(f).cache.stats().size == 0


@pytest.mark.parametrize("shape", SHAPES)
async def test_who_lags_too_far_is_told(fresh_host, shape, monkeypatch):
    """The fast one isn't held up, and one that lags less reads on."""
    monkeypatch.setattr(broadcast, "MOST_ITEMS", 10)
    f = cached(Source(list(range(100))).function(shape))
    fast, near, far = [await opened(f(1)) for _ in range(3)]
    assert await step(far) == 0
    for n in range(95):
        assert await step(fast) == n
        if n >= 5:
            assert await step(near) == n - 5
    with pytest.raises(SharedStreamError, match="too far behind: item 1 "):
        await step(far)
    assert await rest(fast) == list(range(95, 100))
    assert await rest(near) == list(range(90, 100))


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_cannot_be_copied_has_one_reader(fresh_host, shape):
    """From the first item on each reads a stream of its own; later, only one can go on."""
    lock = threading.Lock()
    source = Source([0, 1, 2])
    source.next = [0, lock, 2].__getitem__
    f = cached(source.function(shape))
    first, second = [await opened(f(1)) for _ in range(2)]
    assert [await step(stream) for stream in (first, second)] == [0, 0]
    assert await step(first) is lock
    with pytest.raises(SharedStreamError, match="can't be copied"):
        await step(second)
    assert await rest(first) == [2]
    assert source.calls == 1
    assert handle(f).cache.stats().refused == 1


@pytest.mark.parametrize("shape", ["generator", "async generator"])
async def test_streams_of_what_cannot_be_copied(fresh_host, shape):
    """Known from the first item on: each has a stream of its own."""
    source = Source([0, 1])
    source.next = lambda _: threading.Lock()
    f = cached(source.function(shape))
    got = []

    async def read():
        got.append(await rest(f(1)))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(read)
    assert source.calls == 3
    assert len({id(item) for items in got for item in items}) == 6


@pytest.mark.parametrize("shape", SHAPES)
async def test_who_cannot_have_the_first_item_reads_a_stream_of_its_own(fresh_host, shape):
    """It joined before that item came, so nobody could know."""
    source = Source([0, 1])
    source.next = lambda _: threading.Lock()
    f = cached(source.function(shape))
    first, second = [await opened(f(1)) for _ in range(2)]
    got = [await step(first), await step(second), *await rest(first), *await rest(second)]
    assert source.calls == 2
    assert len({id(item) for item in got}) == 4
    assert source.closed == 2


class TestConversations:
    """What is sent into a stream, or thrown."""

    def talkative(self, shape):
        """Make a function that answers."""

        def sync():
            got = yield "hello"
            while True:
                try:
                    got = yield got
                except LookupError as error:
                    got = error.args[0]

        async def asynchronous():
            got = yield "hello"
            while True:
                try:
                    got = yield got
                except LookupError as error:
                    got = error.args[0]

        return cached(sync if shape == "generator" else asynchronous)

    async def send(self, stream, value):
        """Send."""
        return await stream.asend(value) if hasattr(stream, "asend") else stream.send(value)

    async def throw(self, stream, error):
        """Throw."""
        return await stream.athrow(error) if hasattr(stream, "athrow") else stream.throw(error)

    @pytest.mark.parametrize("shape", ["generator", "async generator"])
    async def test_alone(self, fresh_host, shape):
        """They reach the stream; who comes meanwhile has one of its own."""
        f = self.talkative(shape)
        stream = f()
        assert await step(stream) == "hello"
        assert await self.send(stream, 1) == 1
        other = f()
        assert await step(other) == "hello"
        assert await self.throw(stream, LookupError(2)) == 2
        assert await self.send(other, 3) == 3
        assert await self.send(stream, 4) == 4
        await close(stream)
        await close(other)
        assert figures(f) == (0, 2, 0)

    @pytest.mark.parametrize("shape", ["generator", "async generator"])
    async def test_among_others(self, fresh_host, shape):
        """To send is refused; what is thrown in ends that reader's stream alone."""
        f = self.talkative(shape)
        streams = [f() for _ in range(3)]
        for stream in streams:
            assert await step(stream) == "hello"
        with pytest.raises(SharedStreamError, match="nothing can be sent"):
            await self.send(streams[0], 1)
        with pytest.raises(LookupError):
            await self.throw(streams[1], LookupError(2))
        assert await step(streams[2]) is None
        assert await self.send(streams[2], 3) == 3
        await close(streams[2])


@pytest.mark.parametrize("shape", SHAPES)
async def test_it_counts_once(fresh_host, shape):
    """Events of the cache; beneath it one call that settles once, above it each reader's own."""
    beneath = Source(["a", "b"]).function(shape)
    f = agentperf.stack(agentperf.timed("outer"), cached())(beneath)
    with recorded() as log:
        streams = [await opened(f(1)) for _ in range(4)]
        for stream in streams:
            await step(stream)
        for stream in streams[:3]:
            assert await rest(stream) == ["b"]
        await close(streams[3])
    misses = [event.shared for event in log if isinstance(event, events.CacheMiss)]
    assert misses == [False, True, True, True]
    stored = [event for event in log if isinstance(event, events.CacheStored)]
    assert len(stored) == 1
    ended = [event.ending.value for event in log if isinstance(event, events.CallEnded)]
    assert sorted(ended) == ["closed", "completed", "completed", "completed"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_policies_beneath_settle_once(fresh_host, shape):
    """A breaker sees one failure; a permit is held once, until the one stream ends."""
    source = Source(["a"], fail=ConnectionError())
    f = cached(
        agentperf.stack(
            agentperf.rate_limited(concurrency=1, on_limit="raise"),
            agentperf.circuit_breaker(minimum_calls=2, window=10),
        )(source.function(shape))
    )
    for _ in range(2):
        streams = [await opened(f(1)) for _ in range(3)]
        for stream in streams:
            assert await step(stream) == "a"
        for stream in streams:
            with pytest.raises(ConnectionError):
                await step(stream)
    with pytest.raises(agentperf.CircuitOpen):
        await rest(await opened(f(1)))
    assert source.calls == 2


async def test_what_it_costs_is_booked_to_who_began_it(fresh_host):
    """Once, whoever reads further."""

    @agentperf.timed
    @cached
    async def f():
        yield 1
        agentperf.record(input_tokens=5)
        yield 2

    async def read(count, name):
        with agentperf.measure(name):
            stream = f()
            streams.append(stream)
            for _ in range(count):
                await anext(stream)

    streams = []
    await read(1, "first")
    await read(2, "second")
    for stream in streams:
        await stream.aclose()
    stats = fresh_host.stats()
    assert stats["first"].usage.input_tokens == 5
    assert stats["second"].usage.input_tokens == 0


@pytest.mark.parametrize("shape", SHAPES)
async def test_an_abandoned_reader_has_left(fresh_host, shape, anyio_backend_name):
    """When it is dropped, without a search for cycles; with the last one the stream is closed."""
    if (shape, anyio_backend_name) == ("async generator", "trio"):
        return  # trio warns of every generator that is dropped
    source = Source()
    f = cached(source.function(shape))
    streams = [await opened(f(1)) for _ in range(3)]
    for stream in streams:
        await step(stream)
    gc.disable()
    try:
        del streams[1]
        stream = None
        assert await step(streams[1]) == ITEMS[1]
        streams.clear()
        await auntil(lambda: source.closed)
    finally:
        gc.enable()
    await auntil(lambda: no_flights(f))


async def test_verdicts_hold_for_shared_streams(fresh_host):
    """What is no answer reaches all its readers, and is not kept."""
    f = cached(store_if=lambda items: "bad" not in items)(Source(["bad"]).function("generator"))
    streams = [f(1) for _ in range(2)]
    for stream in streams:
        assert next(stream) == "bad"
    for stream in streams:
        assert list(stream) == []
    assert handle(f).cache.stats().refused == 1
    assert handle(f).cache.stats().size == 0


@pytest.mark.parametrize("shape", SHAPES)
async def test_without_a_cache_it_is_what_it_was(shape):
    """Switched off, each call has its own."""
    source = Source()
    with agentperf.testing.fresh_host(enabled=False):
        f = cached(source.function(shape))
        streams = [await opened(f(1)) for _ in range(2)]
        assert [await rest(stream) for stream in streams] == [ITEMS] * 2
    assert source.calls == 2


async def test_a_function_that_reads_its_own_stream(fresh_host):
    """It reads privately, instead of waiting for itself."""
    depth = []

    @cached
    async def f():
        depth.append(1)
        yield len(depth)
        if len(depth) < 3:
            async for item in f():
                yield item

    assert await rest(f()) == [1, 2, 3]

    depth.clear()

    @cached
    def g():
        depth.append(1)
        yield len(depth)
        if len(depth) < 3:
            yield from g()

    assert list(g()) == [1, 2, 3]


async def test_a_stream_that_waits_for_a_reader_of_itself(fresh_host):
    """Where the reader was made before, it can't be made private any more: it is told."""
    readers = []

    @cached
    async def f():
        yield 1
        await anext(readers[0])
        yield 2

    @cached
    async def g():
        yield await anext(readers[0])
        yield await anext(readers[0])

    first, second = f(), f()
    readers.append(first)
    assert [await anext(first), await anext(second)] == [1, 1]
    with pytest.raises(SharedStreamError, match="can't wait for an item"):
        await anext(second)
    await first.aclose()
    await second.aclose()


# -- threads --------------------------------------------------------------------------------------


def threads(work, count):
    """Run `work(n)` in so many threads, in this context, and return what came of them."""
    results = [None] * count

    def run(number):
        results[number] = work(number)

    made = [
        threading.Thread(target=contextvars.copy_context().run, args=(run, number))
        for number in range(count)
    ]
    for thread in made:
        thread.start()
    for thread in made:
        thread.join(30)
        assert not thread.is_alive()
    return results


@pytest.mark.parametrize("where", ["memory", "bytes"])
def test_threads_read_one_stream(fresh_host, where):
    """Each at its own pace, and each gets everything and what the generator returned."""
    source = Source(list(range(300)), returned={"n": [1]})
    f = cached(name="f", **place(where))(source.function("generator"))
    meeting = threading.Barrier(8)

    def read(number):
        def whole():
            returned.append((yield from f(1)))

        returned, got = [], []
        meeting.wait(20)
        for item in whole():
            got.append(item)
            if item % (number + 2) == 0:
                threading.Event().wait(0.0001)
        returned[0]["n"].append("spoilt")
        return got, returned

    assert threads(read, 8) == [(list(range(300)), [{"n": [1, "spoilt"]}])] * 8
    assert (source.calls, source.given) == (1, 300)
    assert sum(figures(f)) == 8


def test_threads_that_come_and_go(fresh_host):
    """Whoever reads gets a beginning of the stream; at most one upstream is open for it."""
    source = Source(list(range(50)))
    f = cached(source.function("sync giving sync"))

    def read(number):
        for round_ in range(30):
            count = (number * 7 + round_ * 3) % 60
            stream = f(round_ // 3)
            got = [item for item, _ in zip(stream, range(count), strict=False)]
            stream.close()
            assert got == list(range(min(50, len(got))))
            assert len(got) >= min(50, count)

    threads(read, 6)
    assert no_flights(f)
    assert source.closed == source.calls


def test_a_thread_waits_for_the_one_that_asks(fresh_host):
    """And goes on as soon as the item is there."""
    gate, inside = threading.Event(), threading.Event()

    @cached
    def f():
        yield 1
        inside.set()
        gate.wait(20)
        yield 2

    def read(number):
        stream = f()
        next(stream)
        if number:
            inside.wait(20)
            until(lambda: waiting(f) == 0)
            threading.Timer(0.05, gate.set).start()
        return next(stream), list(stream)

    assert threads(read, 2) == [(2, [])] * 2
    assert figures(f)[1:] == (1, 1)


def waiting(f):
    """How many threads wait for an item of a stream under way."""
    flights = handle(f).cache._state.flights._shared.values()
    return sum(len(flight.live.shared.waiting) for flight in flights if flight.live)


def test_an_interrupt_is_that_readers_alone(fresh_host):
    """Who drove it raises it; the others are told that it can't go on."""
    inside, gate = threading.Event(), threading.Event()

    @cached
    def f():
        yield 1
        inside.set()
        gate.wait(20)
        raise KeyboardInterrupt

    def read(number):
        stream = f()
        next(stream)
        if number:
            inside.wait(20)
            threading.Timer(0.05, gate.set).start()
        try:
            next(stream)
        except BaseException as error:  # noqa: BLE001 - it is looked at
            return type(error)

    assert set(threads(read, 2)) == {KeyboardInterrupt, SharedStreamError}
    assert no_flights(f)


def test_a_reader_on_an_event_loop_waits_for_no_thread(fresh_host):
    """It reads a stream of its own, and one that it began is no other thread's."""
    source = Source([1, 2, 3])
    f = cached(source.function("generator"))
    threaded = f(1)
    assert next(threaded) == 1

    async def on_loop():
        assert list(f(1)) == [1, 2, 3]
        assert source.calls == 2
        begun = f(2)
        assert next(begun) == 1
        assert next(f(2)) == 1  # in the same thread nobody waits
        assert source.calls == 3
        await asyncio.to_thread(lambda: list(f(2)))
        assert source.calls == 4

    asyncio.run(on_loop())
    assert list(threaded) == [2, 3]


def test_event_loops_read_one_stream(fresh_host):
    """Threads with a loop each, at the same time."""
    source = Source(list(range(50)))
    f = cached(source.function("async generator"))
    meeting = threading.Barrier(4)

    async def read(number):
        meeting.wait(20)
        got = []
        async for item in f(1):
            got.append(item)
            if item % (number + 3) == 0:
                await asyncio.sleep(0.0001)
        return got

    got = threads(lambda number: asyncio.run(read(number)), 4)
    assert got == [list(range(50))] * 4
    assert source.calls == 1


def test_an_event_loop_that_ends_takes_its_stream_along(fresh_host):
    """Who reads it from elsewhere is told, and can ask anew."""
    begun, over = threading.Event(), threading.Event()
    source = Source([1, 2, 3])
    f = cached(source.function("async giving async"))

    async def lead():
        stream = await f(1)
        assert await anext(stream) == 1
        begun.set()
        await auntil(over.is_set)

    async def follow():
        stream = await f(1)
        assert await anext(stream) == 1
        over.set()
        await auntil(lambda: no_flights(f))
        with pytest.raises(SharedStreamError, match="interrupted"):
            await anext(stream)
        return [item async for item in await f(1)]

    def run(number):
        if number == 0:
            return asyncio.run(lead())
        begun.wait(20)
        return asyncio.run(follow())

    assert threads(run, 2)[1] == [1, 2, 3]
    assert source.calls == 2


def test_circles_through_threads(fresh_host):
    """Two streams that read each other, begun at the same time: one reads privately."""
    meeting = threading.Barrier(2)
    depth = threading.local()

    @cached
    def ping(x):
        yield "ping"
        yield from inner(pong, x)

    @cached
    def pong(x):
        yield "pong"
        yield from inner(ping, x)

    def inner(other, x):
        depth.value = getattr(depth, "value", 0) + 1
        if depth.value == 1:
            meeting.wait(20)
        if depth.value < 3:
            yield from other(x)

    def read(number):
        return list((ping, pong)[number](1))

    for got in threads(read, 2):
        assert set(got) == {"ping", "pong"}
