"""The waiting port: one contract for threads, asyncio and trio, in real and in fake time."""

from __future__ import annotations

import asyncio
import threading

import anyio
import pytest

from agentperf._base.clock import Clock
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.waiting import ThreadWaiting, in_one_go, in_trio, on_event_loop
from agentperf.testing import FakeClock

trio = pytest.importorskip("trio")

SOON = 0.005
LONG = 30.0


def in_thread(function):
    """Start a thread that runs it."""
    thread = threading.Thread(target=function)
    thread.start()
    return thread


async def idle():
    """Let everybody who can run do so."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


def test_each_colour_tells_the_time_of_the_host():
    """Whether it blocks or suspends."""
    clock = FakeClock(start=5)
    sync, loop = ThreadWaiting(clock), LoopWaiting(clock)
    assert sync.now() == loop.now() == 5


# -- where are we ---------------------------------------------------------------------------------


def test_knowing_the_event_loop():
    """Both kinds are told apart; a plain thread runs none."""

    async def look():
        return on_event_loop(), in_trio()

    async def look_from_a_thread():
        seen = []
        await anyio.to_thread.run_sync(lambda: seen.append(on_event_loop()))
        return seen

    assert (on_event_loop(), in_trio()) == (False, False)
    assert asyncio.run(look()) == (True, False)
    assert trio.run(look) == (True, True)
    assert asyncio.run(look_from_a_thread()) == trio.run(look_from_a_thread) == [False]


def test_a_library_that_another_thread_is_just_importing(monkeypatch):
    """A module may stand there before it has its names."""
    import sys
    import types

    monkeypatch.setitem(sys.modules, "asyncio.events", types.ModuleType("asyncio.events"))
    monkeypatch.setitem(sys.modules, "trio.lowlevel", types.ModuleType("trio.lowlevel"))
    assert on_event_loop() is False


@pytest.mark.anyio
async def test_who_would_hold_up_the_loop():
    """A synchronous call made on a loop's thread would; a suspended one never does."""
    assert ThreadWaiting(Clock()).holds_a_loop()
    assert not LoopWaiting(Clock()).holds_a_loop()


def test_a_plain_thread_holds_up_nobody():
    """No loop runs here."""
    assert not ThreadWaiting(Clock()).holds_a_loop()


# -- threads --------------------------------------------------------------------------------------


def park(parker, timeout=None):
    """Park this thread."""
    return in_one_go(parker.park(timeout))


def test_a_thread_is_woken_by_another():
    """However long it would have waited."""
    parker = ThreadWaiting(Clock()).parker()
    thread = in_thread(parker.unpark)
    assert park(parker, LONG) is True
    thread.join()


@pytest.mark.parametrize("timeout", [None, LONG, 0])
def test_a_thread_woken_before_it_parks(timeout):
    """It doesn't wait at all."""
    parker = ThreadWaiting(Clock()).parker()
    parker.unpark()
    parker.unpark()
    assert park(parker, timeout) is True


@pytest.mark.parametrize("timeout", [SOON, 0, -1])
def test_a_thread_whose_time_is_over(timeout):
    """Nobody woke it, and it says so."""
    assert park(ThreadWaiting(Clock()).parker(), timeout) is False


def test_a_thread_sleeps_on_the_fake_clock():
    """In the clock's own thread time passes by itself; in another, when it is advanced."""
    clock = FakeClock(start=0)
    waiting = ThreadWaiting(clock)
    in_one_go(waiting.sleep(60))
    assert clock.now() == 60
    woken = []
    thread = in_thread(lambda: woken.append(in_one_go(waiting.sleep(30))))
    while not clock.sleepers:
        pass
    clock.advance(29)
    assert clock.sleepers == 1
    clock.advance(1)
    thread.join()
    assert (woken, clock.sleepers) == ([None], 0)


def test_a_parked_thread_on_the_fake_clock():
    """Its timeout is an alarm, which is taken back when somebody wakes it first."""
    clock = FakeClock()
    woken = []
    parker = ThreadWaiting(clock).parker()
    thread = in_thread(lambda: woken.append(park(parker, 30)))
    while not clock.sleepers:
        pass
    parker.unpark()
    thread.join()
    assert (woken, clock.sleepers) == ([True], 0)
    assert park(ThreadWaiting(clock).parker(), 30) is False


@pytest.mark.anyio
async def test_a_sync_call_that_sleeps_on_a_loops_thread():
    """It holds the loop, so nobody else could move the fake clock: it does so itself."""
    clock = FakeClock(start=0)
    in_one_go(ThreadWaiting(clock).sleep(60))
    assert clock.now() == 60


def test_detached_work_of_a_thread_is_done_here_and_now():
    """There is nobody else to do it."""
    done = []

    async def work():
        done.append(threading.get_ident())

    in_one_go(ThreadWaiting(Clock()).detached(work))
    assert done == [threading.get_ident()]


# -- event loops ----------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("timeout", [None, LONG])
async def test_a_task_is_woken_from_another_thread(timeout):
    """And from its own loop alike."""
    parker = LoopWaiting(Clock()).parker()
    thread = in_thread(parker.unpark)
    assert await parker.park(timeout) is True
    thread.join()


@pytest.mark.anyio
@pytest.mark.parametrize("timeout", [None, LONG])
async def test_a_task_woken_before_it_parks(timeout):
    """It doesn't wait; waking it twice changes nothing."""
    parker = LoopWaiting(Clock()).parker()
    parker.unpark()
    parker.unpark()
    await idle()
    assert await parker.park(timeout) is True


@pytest.mark.anyio
@pytest.mark.parametrize("timeout", [SOON, 0])
async def test_a_task_whose_time_is_over(timeout):
    """Nobody woke it, and it says so; waking it afterwards does no harm."""
    parker = LoopWaiting(Clock()).parker()
    assert await parker.park(timeout) is False
    parker.unpark()
    await idle()


@pytest.mark.anyio
async def test_a_task_cancelled_while_parked():
    """The cancellation gets through, and a late waking does no harm."""
    clock = FakeClock()
    parker = LoopWaiting(clock).parker()
    with anyio.move_on_after(SOON) as cancelled:
        await parker.park(60)
    assert cancelled.cancelled_caught
    assert clock.sleepers == 0
    parker.unpark()
    await idle()


@pytest.mark.anyio
async def test_a_task_sleeps_on_real_time():
    """A short while."""
    await LoopWaiting(Clock()).sleep(SOON)


@pytest.mark.anyio
async def test_tasks_sleep_on_the_fake_clock():
    """Each is woken at its own time, in order."""
    clock, woken = FakeClock(start=0), []
    waiting = LoopWaiting(clock)

    async def sleep(seconds):
        await waiting.sleep(seconds)
        woken.append((seconds, clock.now()))

    async with anyio.create_task_group() as tasks:
        for seconds in (3, 1, 2):
            tasks.start_soon(sleep, seconds)
        await clock.aadvance(2.5)
        assert woken == [(1, 1), (2, 2)]
        await clock.aadvance(0.5)
    assert woken[-1] == (3, 3)
    assert clock.sleepers == 0


@pytest.mark.parametrize("run", [asyncio.run, lambda main: trio.run(lambda: main)])
def test_waking_somebody_whose_loop_has_ended(run):
    """Nobody waits any more, and nobody complains."""

    async def main():
        return LoopWaiting(Clock()).parker()

    parker = run(main())
    parker.unpark()


@pytest.mark.anyio
async def test_detached_work_survives_its_callers_cancellation():
    """It is a task of its own, in a copy of the caller's context."""
    waiting, done = LoopWaiting(Clock()), []
    may_end = anyio.Event()

    async def work():
        await may_end.wait()
        done.append("done")

    with anyio.CancelScope() as scope:
        await waiting.detached(work)
        scope.cancel()
        await anyio.lowlevel.checkpoint()
    may_end.set()
    await idle()
    assert done == ["done"]


@pytest.mark.anyio
async def test_detached_work_sees_the_callers_context():
    """The host in use stays in use."""
    from agentperf import Host, use
    from agentperf._engine.current import current_host

    seen = []

    async def work():
        seen.append(current_host())

    with use(Host()) as host:
        await LoopWaiting(Clock()).detached(work)
    await idle()
    assert seen == [host]


def test_the_end_of_detached_work_is_told_in_a_thread():
    """Also when it was interrupted."""
    ended = []

    async def work():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_one_go(ThreadWaiting(Clock()).detached(work, lambda: ended.append(1)))
    assert ended == [1]


@pytest.mark.parametrize("run", [asyncio.run, lambda main: trio.run(lambda: main)])
@pytest.mark.parametrize("begun", [True, False])
def test_the_end_of_detached_work_is_told(run, begun):
    """Also when its loop ended before it, and even if it had no time to begin."""
    ended = []

    async def work():
        await anyio.sleep_forever()

    async def main():
        await LoopWaiting(Clock()).detached(work, lambda: ended.append(1))
        if begun:
            await idle()

    run(main())
    assert set(ended) == {1}


def test_a_parker_whose_loop_was_closed_is_deserted():
    """Nobody can wait in it any more; in a thread somebody always can."""

    async def main():
        parker = LoopWaiting(Clock()).parker()
        assert not parker.deserted
        return parker

    assert asyncio.run(main()).deserted
    assert not trio.run(main).deserted
    assert not ThreadWaiting(Clock()).parker().deserted
