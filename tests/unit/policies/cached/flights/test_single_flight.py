"""One computation for all who ask meanwhile, whoever of them goes away."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import types
import weakref

import anyio
import pytest

from agentperf import cached, handle
from agentperf.policies.cached.flights.flight import Flight, computing_alone, computing_for
from tests.unit.policies.cached.calls import Counted, aboard, figures

pytestmark = pytest.mark.anyio


class Gated:
    """An async function that comes back when it is told to."""

    def __init__(self, answer=lambda x: [x]):
        self.calls = 0
        self.gate = anyio.Event()
        self.answer = answer

    async def __call__(self, x=0):
        """Wait for the gate."""
        self.calls += 1
        await self.gate.wait()
        return self.answer(x)


def _gated(answer=lambda x: [x]):
    gated = Gated(answer)

    async def compute(x=0):
        return await gated(x)

    return gated, cached(compute)


class Callers:
    """Calls that are made at the same time, with a scope each, and what came of them."""

    def __init__(self, group):
        self.group = group
        self.scopes = []
        self.results = []

    async def call(self, f, *args):
        """Begin a call and let it come to where it waits."""
        scope = anyio.CancelScope()
        self.scopes.append(scope)

        async def run():
            with scope:
                try:
                    self.results.append(await f(*args))
                except Exception as error:  # noqa: BLE001 - it is looked at by the test
                    self.results.append(error)

        self.group.start_soon(run)
        await anyio.wait_all_tasks_blocked()


async def _five(gated_and_f, act):
    gated, f = gated_and_f
    async with anyio.create_task_group() as group:
        callers = Callers(group)
        for _ in range(5):
            await callers.call(f)
        act(callers)
        await anyio.wait_all_tasks_blocked()
        gated.gate.set()
    await anyio.wait_all_tasks_blocked()
    return callers.results


async def test_tasks_share_one_computation(fresh_host):
    """Five calls, one computation, and each has an answer of its own."""
    gated, f = _gated()
    results = await _five((gated, f), lambda _: None)
    assert results == [[0]] * 5
    assert len({id(result) for result in results}) == 5
    assert gated.calls == 1
    assert figures(f) == (0, 1, 4)


@pytest.mark.parametrize("leaving", [[0], [2], [0, 1, 2, 3], [1, 2, 3, 4]])
async def test_who_is_cancelled_leaves_alone(fresh_host, leaving):
    """The leader or a follower, or all but one: the others get their answer of the one call."""
    gated, f = _gated()
    results = await _five((gated, f), lambda c: [c.scopes[n].cancel() for n in leaving])
    assert results == [[0]] * (5 - len(leaving))
    assert gated.calls == 1
    assert handle(f).cache.peek() == [0]


async def test_when_all_are_cancelled_the_work_fills_the_cache(fresh_host):
    """What is paid for is not thrown away."""
    gated, f = _gated()
    assert await _five((gated, f), lambda c: [scope.cancel() for scope in c.scopes]) == []
    assert gated.calls == 1
    assert handle(f).cache.peek() == [0]
    assert await f() == [0]
    assert figures(f) == (1, 1, 0)


async def test_a_failure_reaches_everybody_and_is_not_tried_again(fresh_host):
    """One call, five errors: the leader has the very one, the others one each."""
    error = ConnectionError("down")

    def fail(_):
        raise error

    gated, f = _gated(fail)
    results = await _five((gated, f), lambda _: None)
    assert gated.calls == 1
    assert error in results
    assert [(type(result), str(result)) for result in results] == [(ConnectionError, "down")] * 5
    assert len({id(result) for result in results}) == 5
    assert handle(f).cache.stats().size == 0


async def test_the_key_is_free_before_the_waiters_wake(fresh_host):
    """Who fails and asks again at once begins a new computation instead of joining the old one."""
    calls = []

    @cached
    async def f():
        calls.append(1)
        await anyio.wait_all_tasks_blocked()
        if len(calls) == 1:
            raise ConnectionError
        return "up"

    async def stubborn(results):
        try:
            results.append(await f())
        except ConnectionError:
            results.append(await f())

    results: list[str] = []
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(stubborn, results)
    assert results == ["up"] * 3
    assert len(calls) == 2


async def test_the_leaders_change_does_not_reach_a_follower(fresh_host):
    """The leader wakes first and changes its answer at once; a follower's is as computed."""
    gated, f = _gated()
    seen = []

    async def change():
        value = await f()
        seen.append(list(value))
        value.append("spoilt")

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(change)
            await anyio.wait_all_tasks_blocked()
        gated.gate.set()
    assert seen == [[0]] * 4
    assert await f() == [0]


async def test_what_only_the_leader_can_have_is_computed_for_each(fresh_host):
    """An answer that can't be copied is given to nobody twice."""
    gated, f = _gated(lambda _: iter([1]))
    results = await _five((gated, f), lambda _: None)
    assert [list(result) for result in results] == [[1]] * 5
    assert gated.calls == 5
    assert handle(f).cache.stats().refused == 5


@pytest.mark.parametrize("forget", ["invalidate", "clear"])
async def test_an_answer_under_way_is_kept_out_by_invalidation(fresh_host, forget):
    """Who waited gets the old answer; who comes later has it computed anew, and that one stays."""
    answers = ["old", "new"]
    first, second = anyio.Event(), anyio.Event()

    @cached
    async def f():
        answer = answers.pop(0)
        await (first if answer == "old" else second).wait()
        return answer

    async with anyio.create_task_group() as group:
        callers = Callers(group)
        await callers.call(f)
        await callers.call(f)
        getattr(handle(f).cache, forget)()
        await callers.call(f)
        second.set()
        await anyio.wait_all_tasks_blocked()
        assert handle(f).cache.peek() == "new"
        first.set()
    assert sorted(callers.results) == ["new", "old", "old"]
    assert handle(f).cache.peek() == "new"
    assert handle(f).cache.stats().refused == 1


async def test_a_cancellation_from_inside_is_the_leaders_alone(fresh_host):
    """Work that raises a cancellation of its own is not begun again for its leader."""
    calls = []

    @cached
    async def f():
        calls.append(1)
        await anyio.wait_all_tasks_blocked()
        if len(calls) == 1:
            raise Interruption
        return "fine"

    results = []

    async def call():
        try:
            results.append(await f())
        except Interruption:
            results.append("interrupted")

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        group.start_soon(call)
    assert sorted(results) == ["fine", "interrupted"]
    assert len(calls) == 2


class Interruption(BaseException):
    """Not an `Exception`: as a cancellation or an exit."""


async def test_a_function_that_asks_for_itself_does_not_wait_for_itself(fresh_host):
    """A call of the same key inside its own computation is made privately."""
    depth = []

    @cached
    async def f(x):
        depth.append(x)
        return 1 if len(depth) > 3 else 1 + await f(x)

    with anyio.fail_after(10):
        assert await f("x") == 4
    assert handle(f).cache.peek("x") is not None


async def test_a_cycle_of_waits_through_two_caches_comes_to_an_end(fresh_host):
    """`a` waits for `b` and `b` for `a`, begun by two tasks: neither hangs."""
    both = [anyio.Event(), anyio.Event()]

    @cached
    async def a(deep=True):
        both[0].set()
        await both[1].wait()
        return "a" if len(entered) > 3 else "a" + await b()

    @cached
    async def b(deep=True):
        entered.append(1)
        both[1].set()
        await both[0].wait()
        return "b" if len(entered) > 3 else "b" + await a()

    entered: list[int] = []
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(a)
            group.start_soon(b)
    assert aboard(a) == aboard(b) == 0


async def test_concurrent_recursion_shares_what_it_can(fresh_host):
    """Fibonacci with both branches at once computes every number once."""
    source = Counted()

    @cached
    async def fibonacci(n):
        source.compute()
        if n < 2:
            return n
        results = {}

        async def branch(m):
            results[m] = await fibonacci(m)

        async with anyio.create_task_group() as group:
            group.start_soon(branch, n - 1)
            group.start_soon(branch, n - 2)
        return results[n - 1] + results[n - 2]

    with anyio.fail_after(10):
        assert await fibonacci(15) == 610
    assert source.calls == 16


async def test_an_answer_that_came_between_looking_and_boarding_is_taken(fresh_host):
    """The look and the boarding are two steps; what lands in between is not computed again."""
    source = Counted()
    f = cached(source.function("sync"))
    state = handle(f).cache._state
    key = handle(f).cache._key((), {})
    board = state.flights.board

    def late(*args, **kwargs):
        boarding = board(*args, **kwargs)
        flight = Flight(key)
        state.put(flight, state.entry(flight, ["landed"], fresh_host.clock.now()))
        return boarding

    state.flights.board = late
    assert f() == ["landed"]
    assert source.calls == 0
    assert figures(f) == (1, 0, 0)


def test_a_failed_call_leaves_nothing_for_the_collector(fresh_host):
    """Arguments and frames of a failure go when its error goes, without a search for cycles."""

    class Argument:
        __agentperf_key__ = "the same"

    @cached
    def f(argument):
        raise ValueError

    def fail():
        argument = Argument()
        with contextlib.suppress(ValueError):
            f(argument)
        return weakref.ref(argument)

    fail()
    gc.disable()
    try:
        assert fail()() is None
    finally:
        gc.enable()


def test_work_that_was_cancelled_before_it_began_frees_its_key(fresh_host):
    """A task that never took its first step leaves nothing that later callers would wait for."""
    source = Counted()
    f = cached(source.function("async"))

    async def cancel_at_once():
        task = asyncio.create_task(f())
        await asyncio.sleep(0)
        for each in asyncio.all_tasks() - {asyncio.current_task()}:
            each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.calls == 0
        return await asyncio.wait_for(f(), 10)

    assert asyncio.run(cancel_at_once()) == [0]


def test_work_on_a_loop_that_was_closed_is_taken_over(fresh_host):
    """A loop that is closed under its tasks never ends them; the next caller begins anew."""
    calls = []

    @cached
    async def f():
        calls.append(1)
        if len(calls) == 1:
            await asyncio.get_running_loop().create_future()
        return "fine"

    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(f(), 0.001)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(give_up())
    tasks = asyncio.all_tasks(loop)
    loop.close()
    assert asyncio.run(asyncio.wait_for(f(), 10)) == "fine"
    for task in tasks:
        task._log_destroy_pending = False  # it is ours, and it is meant to be left


def test_a_loop_that_shuts_down_frees_the_keys_of_its_work(fresh_host):
    """The work is cancelled with its loop; the next loop computes anew."""
    gated, f = _gated_on_asyncio()

    async def leave():
        task = asyncio.create_task(f())
        await anyio.wait_all_tasks_blocked()
        assert (gated.calls, task.done()) == (1, False)

    asyncio.run(leave())
    assert handle(f).cache.stats().size == 0
    gated.wait = False
    assert asyncio.run(asyncio.wait_for(f(), 10)) == 2


def _gated_on_asyncio():
    class State:
        calls = 0
        wait = True

    @cached
    async def f():
        State.calls += 1
        if State.wait:
            await asyncio.get_running_loop().create_future()
        return State.calls

    return State, f


@pytest.mark.parametrize("region", [computing_for, computing_alone])
def test_a_computation_that_is_closed_in_another_context_ends_quietly(region):
    """As the collector does to one whose loop was closed under it."""

    @types.coroutine
    def pause():
        yield

    async def compute():
        with region(Flight("key")):
            await pause()

    work = compute()
    contextvars.copy_context().run(work.send, None)
    work.close()
