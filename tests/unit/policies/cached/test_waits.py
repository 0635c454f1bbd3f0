"""How long callers wait: for a new answer while there is an old one, and at all."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from agentperf import CallTimeout, cache_mode, cached, errors, handle
from agentperf.policies.cached import waits
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import FakeClock, fresh_host
from tests.unit.policies.cached.calls import aboard, auntil, figures, until

pytestmark = pytest.mark.anyio


class Slow:
    """An upstream that answers at once, or when it is told to; each answer is another one."""

    def __init__(self):
        self.calls = 0
        self.slow = False
        self.error = None
        self.gate = threading.Event()
        self.agate = None

    def answer(self):
        """What the call gives."""
        if self.error is not None:
            raise self.error
        return self.calls

    def sync(self, x=0):
        """Block."""
        self.calls += 1
        if self.slow:
            assert self.gate.wait(20)
        return self.answer()

    async def asynchronous(self, x=0):
        """Suspend."""
        self.calls += 1
        if self.slow:
            await self.agate.wait()
        return self.answer()


@pytest.fixture
def clock():
    """A world whose time passes only by hand."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


@pytest.fixture(params=["memory", "bytes"])
def place(request, clock):
    """Options that say where the entries are."""
    return {} if request.param == "memory" else {"backend": MemoryBackend(clock)}


def _begun(pool, function, *args):
    """Call in a thread that lives in the same world."""
    return pool.submit(contextvars.copy_context().run, function, *args)


def _slow(**options):
    upstream = Slow()
    upstream.agate = anyio.Event()

    @cached("10s", **options)
    async def f(x=0):
        return await upstream.asynchronous(x)

    return upstream, f


async def test_an_old_answer_is_given_when_the_new_one_takes_long(clock, place):
    """The computation goes on, and fills the cache."""
    upstream, f = _slow(stale_on_error="1h", soft_timeout="2s", **place)
    assert await f() == 1
    clock.advance("11s")
    upstream.slow = True
    got = []

    async def call():
        got.append(await f())

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await auntil(lambda: upstream.calls == 2)
        await clock.aadvance("1.9s")
        assert got == []
        await clock.aadvance("0.2s")
        assert got == [1]
        assert handle(f).cache.stats().stale == 1
        upstream.agate.set()
        await auntil(lambda: handle(f).cache.stats().stored == 2)
    assert await f() == 2
    assert aboard(f) == 0


async def test_who_is_quick_enough_gets_the_new_one(clock, place):
    """Nobody waits longer than the computation takes."""
    _, f = _slow(stale_on_error="1h", soft_timeout="2s", hard_timeout="3s", **place)
    await f()
    clock.advance("11s")
    assert await f() == 2
    assert figures(f) == (0, 2, 0)
    assert clock.sleepers == 0


async def test_without_an_old_answer_a_soft_bound_bounds_nothing(clock):
    """There is nothing else to give."""
    upstream, f = _slow(stale_on_error="1h", soft_timeout="2s")
    upstream.slow = True
    got = []

    async def call():
        got.append(await f())

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await auntil(lambda: upstream.calls == 1)
        await clock.aadvance("1h")
        assert got == []
        upstream.agate.set()
    assert got == [1]


async def test_each_caller_has_a_clock_of_its_own(clock, place):
    """Who comes later waits until later, for the same computation."""
    upstream, f = _slow(hard_timeout="5s", **place)
    upstream.slow = True
    ends = {}

    async def call(name):
        try:
            ends[name] = await f()
        except CallTimeout as error:
            ends[name] = str(error)

    async with anyio.create_task_group() as group:
        group.start_soon(call, "first")
        await auntil(lambda: upstream.calls == 1)
        await clock.aadvance("3s")
        group.start_soon(call, "second")
        await auntil(lambda: aboard(f) == 2)
        await clock.aadvance("3s")
        assert list(ends) == ["first"]
        assert "no answer within 5 s" in ends["first"]
        upstream.agate.set()
        await auntil(lambda: len(ends) == 2)
    assert ends["second"] == 1
    assert upstream.calls == 1
    assert await f() == 1


async def test_an_old_answer_stands_in_for_a_timeout(clock, place):
    """A call that takes too long has failed."""
    upstream, f = _slow(stale_on_error="1h", hard_timeout="5s", **place)
    await f()
    clock.advance("11s")
    upstream.slow = True
    got = []

    async def call():
        got.append(await f())

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await auntil(lambda: upstream.calls == 2)
        await clock.aadvance("6s")
        assert got == [1]
        upstream.agate.set()


async def test_what_nobody_waits_for_any_more_can_be_cancelled(clock):
    """As `on_abandon` says."""
    upstream, f = _slow(hard_timeout="5s", on_abandon="cancel")
    upstream.slow = True

    async def call():
        with pytest.raises(CallTimeout):
            await f()

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await auntil(lambda: upstream.calls == 1)
        await clock.aadvance("6s")
    assert aboard(f) == 0
    upstream.slow = False
    assert await f() == 2


async def test_whoever_is_cancelled_while_waiting_leaves_alone(clock):
    """Cancellation is no timeout: nothing is counted, and no alarm is left."""
    upstream, f = _slow(hard_timeout="5s")
    upstream.slow = True
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(f)
            await auntil(lambda: upstream.calls == 1)
            scope.cancel()
    assert clock.sleepers == 0
    upstream.agate.set()
    await auntil(lambda: handle(f).cache.stats().stored == 1)
    assert await f() == 1


async def test_the_old_answer_may_go_while_somebody_waits(clock):
    """Then there is nothing to give, and the call waits for the new one."""
    upstream, f = _slow(stale_on_error="1h", soft_timeout="2s")
    await f()
    clock.advance("11s")
    upstream.slow = True
    got = []

    async def call():
        got.append(await f())

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await auntil(lambda: upstream.calls == 2)
        handle(f).cache.clear()
        await clock.aadvance("3s")
        await auntil(lambda: upstream.calls == 3)
        assert got == []
        upstream.agate.set()
    assert got == [3]


def test_a_call_that_blocks_is_computed_in_a_thread(clock, place):
    """Its caller can then leave it, and it fills the cache all the same."""
    upstream = Slow()
    upstream.slow = True
    threads = []

    @cached("10m", hard_timeout="5s", **place)
    def f():
        threads.append(threading.get_ident())
        return upstream.sync()

    with ThreadPoolExecutor(1) as pool:
        waiting = _begun(pool, f)
        until(lambda: upstream.calls == 1 and clock.sleepers == 1)
        clock.advance("6s")
        with pytest.raises(CallTimeout, match="within 5 s"):
            waiting.result(20)
        upstream.gate.set()
        until(lambda: handle(f).cache.stats().stored == 1)
        assert f() == 1
        assert threads != [threading.get_ident()]
        assert aboard(f) == 0


def test_a_soft_bound_for_calls_that_block(clock, place):
    """The old answer, and one computation for all who want a new one."""
    upstream = Slow()
    f = cached("10s", stale_on_error="1h", soft_timeout="2s", **place)(upstream.sync)
    assert f() == 1
    clock.advance("11s")
    upstream.slow = True
    with ThreadPoolExecutor(2) as pool:
        calls = [_begun(pool, f) for _ in range(2)]
        until(lambda: aboard(f) == 2 and clock.sleepers == 2)
        clock.advance("3s")
        assert [call.result(20) for call in calls] == [1, 1]
        upstream.gate.set()
        until(lambda: handle(f).cache.stats().stored == 2)
    assert upstream.calls == 2
    assert f() == 2


@pytest.mark.parametrize("error", [LookupError("gone"), StopIteration(5)])
def test_errors_come_out_of_the_thread(clock, error):
    """As they were raised."""
    upstream = Slow()
    upstream.error = error
    f = cached(hard_timeout="5s")(upstream.sync)
    with pytest.raises(type(error)) as raised:
        f()
    assert raised.value.args == error.args


def test_a_function_that_calls_itself_is_bounded_too(clock):
    """Nobody shares that computation, so its caller's time is all it has."""
    upstream = Slow()

    @cached(hard_timeout="5s")
    def f(again=True):
        if again is True and upstream.calls == 0:
            upstream.calls += 1
            return f()
        return "inner"

    assert f() == "inner"
    with cache_mode("refresh"):
        assert f() == "inner"


def test_threads_are_held_until_their_work_ends(clock, monkeypatch):
    """Where all of them hang, a call that needs one is told at once."""
    monkeypatch.setattr(waits, "WORKERS", 1)
    upstream = Slow()
    upstream.slow = True
    f = cached(hard_timeout="5s")(upstream.sync)
    with ThreadPoolExecutor(1) as pool:
        first = _begun(pool, f, 1)
        until(lambda: clock.sleepers == 1 and upstream.calls == 1)
        clock.advance("6s")
        with pytest.raises(CallTimeout):
            first.result(20)
        with pytest.raises(CallTimeout, match="under way already") as raised:
            f(2)
        assert _facts(raised.value) == ("cached", handle(f).operation, "hard_timeout", 5.0)
        assert aboard(f) == 0
        upstream.gate.set()
        until(lambda: handle(f).cache.stats().stored == 1)
    upstream.slow = False
    until(lambda: _tried(f, 2))


def _facts(error):
    return error.policy, error.policy_name, error.limit, error.seconds


@pytest.mark.parametrize("mode", [None, "refresh"])
async def test_the_error_says_whose_limit_it_was(clock, mode):
    """As that of `timeout` does; a cache with a name goes by it."""
    upstream, f = _slow(hard_timeout="5s", name="answers")
    upstream.slow = True
    raised = []

    async def call():
        with contextlib.ExitStack() as stack:
            if mode is not None:
                stack.enter_context(cache_mode(mode))
            raised.append(stack.enter_context(pytest.raises(CallTimeout)))
            await f()

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await auntil(lambda: upstream.calls == 1)
        await clock.aadvance("6s")
        upstream.agate.set()
    assert [_facts(info.value) for info in raised] == [("cached", "answers", "hard_timeout", 5.0)]


def _tried(f, x):
    try:
        return f(x)
    except CallTimeout:
        return None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"soft_timeout": "2s"}, "give stale_on_error= too"),
        ({"soft_timeout": "2s", "stale": "1m", "ttl": 5}, "give stale_on_error= too"),
        (
            {"soft_timeout": "2s", "hard_timeout": "2s", "stale_on_error": "1m", "ttl": 5},
            "shorter than hard_timeout=",
        ),
        ({"hard_timeout": "2s", "per_item": "x"}, "doesn't go with per_item="),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    """At decoration, with what to do."""
    with pytest.raises(errors.ConfigurationError, match=message):
        cached(**options)(lambda x: x)


def test_streams_are_refused_at_decoration():
    """They are waited for item by item."""
    with pytest.raises(errors.ConfigurationError, match="hard_timeout= can't serve"):

        @cached(hard_timeout="2s")
        def stream():
            yield 1
