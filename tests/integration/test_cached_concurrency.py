"""One computation per key across threads, tasks, event loops and processes."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import multiprocessing
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentperf import cached, handle
from agentperf.testing import fresh_host
from tests.unit.policies.cached.calls import Counted, aboard, figures, until

trio = pytest.importorskip("trio")

pytestmark = pytest.mark.usefixtures("fresh_host")


class Gated(Counted):
    """Computations that wait for a gate."""

    def __init__(self, compute=lambda *args: list(args)):
        super().__init__(compute)
        self.gate = threading.Event()
        self.begun = threading.Event()

    def compute(self, *args):
        """Wait, then count and compute."""
        self.begun.set()
        assert self.gate.wait(20)
        return super().compute(*args)


class Threads:
    """Threads in a copy of this context, and what came of them."""

    def __init__(self):
        self.threads = []
        self.results = []

    def start(self, work, *args):
        """Run `work` in a thread."""
        context = contextvars.copy_context()

        def run():
            try:
                self.results.append(context.run(work, *args))
            except BaseException as error:  # noqa: BLE001 - it is looked at by the test
                self.results.append(error)

        thread = threading.Thread(target=run, daemon=True)
        self.threads.append(thread)
        thread.start()

    def join(self):
        """Wait for all."""
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive(), "it hangs"
        return self.results


def test_threads_share_one_computation():
    """Eight threads, one call, and an answer each."""
    source = Gated()
    f = cached(source.function("sync"))
    threads = Threads()
    for _ in range(8):
        threads.start(f, 1)
    until(lambda: aboard(f) == 8)
    source.gate.set()
    results = threads.join()
    assert results == [[1]] * 8
    assert len({id(result) for result in results}) == 8
    assert source.calls == 1
    assert figures(f) == (0, 1, 7)


def test_threads_at_random_compute_each_key_once():
    """Without a gate, over many keys: never twice, whatever the scheduler does."""
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        source = Counted()
        f = cached(source.function("sync"))
        barrier = threading.Barrier(8)

        def work():
            barrier.wait()
            return [f(n) for n in range(300)]

        threads = Threads()
        for _ in range(8):
            threads.start(work)
        assert threads.join() == [[[n] for n in range(300)]] * 8
        assert source.calls == 300
    finally:
        sys.setswitchinterval(switch)


@pytest.mark.parametrize("leader", ["sync", "async"])
def test_threads_tasks_and_loops_share_one_computation(leader):
    """A function and its async twin under one name: threads, asyncio, a second loop and trio."""
    source = Gated()
    sync = cached(name="answers")(source.function("sync"))

    async def twin(x=0):
        return await asyncio.to_thread(source.compute, x)

    asynchronous = cached(name="answers")(twin)

    async def several():
        return await asyncio.gather(*(asynchronous(1) for _ in range(3)))

    async def several_in_trio():
        results = []

        async def one():
            results.append(await asynchronous(1))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(one)
        return results

    threads = Threads()
    first = (sync, 1) if leader == "sync" else (asyncio.run, several())
    threads.start(*first)
    until(source.begun.is_set)
    for _ in range(3):
        threads.start(sync, 1)
    for _ in range(2):
        threads.start(lambda: asyncio.run(several()))
    threads.start(trio.run, several_in_trio)
    expected = 3 + 6 + 3 + (1 if leader == "sync" else 3)
    until(lambda: aboard(sync) == expected)
    source.gate.set()
    answers = [
        answer
        for result in threads.join()
        for answer in (result if isinstance(result[0], list) else [result])
    ]
    assert answers == [[1]] * expected
    assert len({id(answer) for answer in answers}) == expected
    assert source.calls == 1


def test_a_leader_that_raises_raises_for_all_and_nobody_tries_again():
    """Ten threads, one call, ten errors; each its own, with the work's traceback."""

    def fail(_):
        raise ConnectionError("down")

    source = Gated(fail)
    f = cached(source.function("sync"))
    threads = Threads()
    for _ in range(10):
        threads.start(f)
    until(lambda: aboard(f) == 10)
    source.gate.set()
    errors = threads.join()
    assert [(type(error), str(error)) for error in errors] == [(ConnectionError, "down")] * 10
    assert len({id(error) for error in errors}) == 10
    assert source.calls == 1
    for error in errors:
        frames = []
        trace = error.__traceback__
        while trace is not None:
            frames.append(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        assert frames.count("fail") == 1
        assert frames.count("wrapper") == 1
    assert aboard(f) == 0


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_leader_is_succeeded_by_a_follower(interruption):
    """The interruption is the leader's alone; one of the others computes, for all."""

    def compute(_):
        if source.calls == 1:
            raise interruption
        return "fine"

    source = Gated(compute)
    f = cached(source.function("sync"))
    threads = Threads()
    for _ in range(5):
        threads.start(f)
    until(lambda: aboard(f) == 5)
    source.gate.set()
    results = threads.join()
    assert [type(result) for result in results if result != "fine"] == [interruption]
    assert results.count("fine") == 4
    assert source.calls == 2
    assert f() == "fine"


@pytest.mark.parametrize("forget", ["invalidate", "clear"])
def test_invalidation_during_a_flight_in_another_thread(forget):
    """Who waits is served; the old answer is not kept; who comes then begins anew."""
    source = Gated()
    f = cached(source.function("sync"))
    threads = Threads()
    threads.start(f)
    threads.start(f)
    until(lambda: aboard(f) == 2)
    getattr(handle(f).cache, forget)()
    threads.start(f)
    until(lambda: aboard(f) == 1)
    source.gate.set()
    assert threads.join() == [[0]] * 3
    assert source.calls == 2
    assert handle(f).cache.peek() == [0]
    assert handle(f).cache.stats().refused == 1


def test_an_old_answer_is_never_seen_after_invalidation():
    """Writer and readers at once: what is read after `invalidate` returned is not older."""
    written = invalidated = 0
    f = cached(lambda: written)
    stop = threading.Event()
    too_old = []

    def read():
        while not stop.is_set():
            at_least = invalidated
            if (answer := f()) < at_least:
                too_old.append((answer, at_least))

    threads = Threads()
    for _ in range(4):
        threads.start(read)
    cache = handle(f).cache
    for n in range(1, 2000):
        written = n
        cache.invalidate()
        invalidated = n
    stop.set()
    threads.join()
    assert too_old == []


def test_a_cycle_of_waits_through_threads_comes_to_an_end():
    """`a` waits for `b` in one thread, `b` for `a` in another: neither hangs."""
    meet = threading.Barrier(2)
    met = threading.local()

    def once(other):
        if getattr(met, "done", False):
            return "end"
        met.done = True
        meet.wait(20)
        return other()

    @cached
    def a():
        return once(b)

    @cached
    def b():
        return once(a)

    threads = Threads()
    threads.start(a)
    threads.start(b)
    assert threads.join() == ["end", "end"]


def test_a_sync_follower_on_a_loops_thread_computes_privately():
    """To wait there would hold up the loop that the leader runs on."""
    calls = []
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow():
        calls.append("async")
        begun.set()
        await release.wait()
        return "async"

    def quick():
        calls.append("sync")
        return "sync"

    slow_one = cached(name="both")(slow)
    quick_one = cached(name="both")(quick)

    async def main():
        task = asyncio.create_task(slow_one())
        await begun.wait()
        assert quick_one() == "sync"
        release.set()
        return await task

    assert asyncio.run(asyncio.wait_for(main(), 20)) == "async"
    assert calls == ["async", "sync"]


def test_a_loop_that_ends_hands_its_flight_to_a_follower_elsewhere():
    """The work is cancelled with its loop; a thread that waited for it computes itself."""
    begun, follows = threading.Event(), threading.Event()

    async def forever():
        begun.set()
        await asyncio.get_running_loop().create_future()

    abandoned = cached(name="both")(forever)
    follower = cached(name="both")(lambda: "taken over")

    async def leave_when_followed():
        task = asyncio.create_task(abandoned())
        await asyncio.to_thread(follows.wait, 20)
        assert not task.done()

    threads = Threads()
    threads.start(lambda: asyncio.run(leave_when_followed()))
    assert begun.wait(20)
    threads.start(follower)
    until(lambda: aboard(follower) == 2)
    follows.set()
    assert "taken over" in threads.join()


def test_a_stream_that_the_collector_finds_deadlocks_nothing():
    """An abandoned stream may end at any allocation, also in the midst of our own work."""

    @cached
    def f(n):
        return iter_in_a_cycle(n)

    def iter_in_a_cycle(n):
        def items():
            yield cycle
            yield n

        cycle = []
        stream = items()
        cycle.append(stream)
        return stream

    @cached
    def plain(n):
        return n

    def work():
        for n in range(400):
            next(f(n))
            plain(n)
            handle(f).cache.invalidate(n)
        return "done"

    thresholds = gc.get_threshold()
    gc.set_threshold(7, 2, 2)
    try:
        threads = Threads()
        for _ in range(3):
            threads.start(work)
        assert threads.join() == ["done"] * 3
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert handle(f).cache._state.flights._alone == set()


def test_a_pool_of_threads_with_failures_and_evictions_stays_consistent():
    """After everything at once, figures add up, and nobody waits any more."""

    def compute(x):
        if x % 5 == 0:
            raise ValueError(x)
        return [x]

    source = Counted(compute)
    f = cached(max_entries=8)(source.function("sync"))
    context = contextvars.copy_context()

    def work(seed):
        for n in range(400):
            x = (n * seed) % 21
            with contextlib.suppress(ValueError):
                assert f(x) == [x]
            if n % 17 == 0:
                handle(f).cache.invalidate(x)

    with ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(context.copy().run, work, seed) for seed in range(1, 7)]:
            future.result(20)
    stats = handle(f).cache.stats()
    assert stats.hits + stats.misses + stats.shared == 6 * 400
    assert stats.misses == source.calls
    assert stats.size <= 8
    assert aboard(f) == 0


answers = Counted()


@cached(name="process")
def in_any_process(x):
    """Computed once in each process."""
    return answers.compute(x)


def _ask_twice(x):
    before = in_any_process.__wrapped__ is not None and answers.calls
    values = [in_any_process(x), in_any_process(x)]
    return values, answers.calls - before, handle(in_any_process).cache.stats().hits


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_each_process_has_a_cache_of_its_own(method):
    """A child begins with an empty cache and works, also when its parent's was in use."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this platform has no {method}")
    in_any_process(1)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_ask_twice, (1,)) == ([[1], [1]], 1, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
def test_a_fork_in_the_midst_of_a_flight_leaves_the_child_able_to_compute():
    """The parent's flights and locks stay with the parent."""
    source = Gated()
    f = cached(source.function("sync"))
    threads = Threads()
    threads.start(f, 1)
    until(source.begun.is_set)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def child():
        source.gate = threading.Event()
        source.gate.set()
        queue.put(f(1))

    process = context.Process(target=child)
    process.start()
    process.join(20)
    alive = process.is_alive()
    process.kill()
    assert not alive, "the child hangs"
    assert queue.get() == [1]
    source.gate.set()
    assert threads.join() == [[1]]


def test_a_fresh_host_in_a_thread_shares_nothing():
    """Threads that are not given the context have the process's own host."""
    source = Counted()
    f = cached(source.function("sync"))
    f()

    def elsewhere():
        with fresh_host():
            return f()

    threads = Threads()
    threads.start(elsewhere)
    threads.join()
    assert source.calls == 2
