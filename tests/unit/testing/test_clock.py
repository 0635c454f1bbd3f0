"""The fake clock: time passes only when told to, in order, for everybody."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading

import anyio
import pytest

from agentperf import ConfigurationError
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.waiting import ThreadWaiting
from agentperf.testing import FakeClock

trio = pytest.importorskip("trio")


def rings(clock, log, *times):
    """Set alarms that write down their time."""
    return [
        clock.alarm(when, lambda when=when: log.append((when, clock.now())), blocking=False)
        for when in times
    ]


def test_time_stands_still():
    """Until somebody moves it; both kinds of time move together."""
    clock = FakeClock()
    now, wall = clock.now(), clock.wall()
    assert clock.now() == now
    clock.advance(1.5)
    assert clock.now() - now == clock.wall() - wall == 1.5


@pytest.mark.parametrize("duration", [300, "5m", dt.timedelta(minutes=5), 300.0])
def test_durations_as_people_write_them(duration):
    """Numbers, text and timedeltas."""
    clock = FakeClock(start=0)
    clock.advance(duration)
    assert clock.now() == 300


@pytest.mark.parametrize("duration", [-1, "-1s", "soon", None])
def test_time_does_not_run_backwards(duration):
    """Nor by what is no duration."""
    with pytest.raises(ConfigurationError, match="duration="):
        FakeClock().advance(duration)


def test_alarms_ring_in_order_at_their_time():
    """All that are due, no other; those of one moment in the order they were set."""
    clock, log = FakeClock(start=0), []
    rings(clock, log, 3, 1, 2, 1, 9)
    clock.advance(5)
    assert log == [(1, 1), (1, 1), (2, 2), (3, 3)]
    assert (clock.now(), clock.sleepers) == (5, 1)


def test_an_alarm_that_sets_another():
    """It rings too, if it is due on the way."""
    clock, log = FakeClock(start=0), []
    clock.alarm(1, lambda: rings(clock, log, 1, 10), blocking=False)
    clock.advance(5)
    assert log == [(1, 2)]


def test_an_alarm_taken_back_does_not_ring():
    """Twice taken back, or after it rang, does no harm."""
    clock, log = FakeClock(start=0), []
    first, second = rings(clock, log, 1, 2)
    first()
    first()
    clock.advance(2)
    second()
    assert log == [(2, 2)]


@pytest.mark.parametrize("seconds", [0, -5])
def test_an_alarm_without_a_wait(seconds):
    """It is due at once, and time stays where it is."""
    clock, log = FakeClock(start=0), []
    rings(clock, log, seconds)
    clock.advance(0)
    assert log == [(seconds, 0)]


@pytest.mark.parametrize("seconds", [2, 0, -5])
def test_a_sleeping_owner_moves_time_itself(seconds):
    """Nobody else could."""
    clock, log = FakeClock(start=0), []
    rings(clock, log, 1)
    clock.alarm(seconds, lambda: log.append("awake"), blocking=True)
    assert clock.now() == max(0, seconds)
    assert log[-1] == "awake"


def test_another_thread_that_sleeps_waits_for_us():
    """It doesn't move time behind the test's back."""
    clock = FakeClock(start=0)
    waiting, order = ThreadWaiting(clock), []

    def sleep():
        coroutine = waiting.sleep(5)
        with pytest.raises(StopIteration):
            coroutine.send(None)
        order.append(clock.now())

    thread = threading.Thread(target=sleep)
    thread.start()
    while not clock.sleepers:
        pass
    assert clock.now() == 0
    clock.advance(5)
    thread.join()
    assert order == [5]


async def timetable(clock):
    """Let several tasks sleep in turn, and write down when they wake."""
    waiting, log = LoopWaiting(clock), []
    start = clock.now()

    async def sleeper(name, *naps):
        for nap in naps:
            await waiting.sleep(nap)
            log.append((name, clock.now() - start))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sleeper, "a", 1, 1, 1)
        tasks.start_soon(sleeper, "b", 2.5)
        tasks.start_soon(sleeper, "c", 100)
    return log


TIMETABLE = [("a", 1), ("a", 2), ("b", 2.5), ("a", 3), ("c", 100)]


@pytest.mark.anyio
async def test_with_autojump_time_passes_by_itself():
    """To the next alarm, when everybody waits; nobody's turn is jumped over."""
    assert await timetable(FakeClock(autojump=True)) == TIMETABLE


@pytest.mark.anyio
async def test_by_hand_it_is_the_same():
    """After each alarm everybody who can run does so."""
    clock, result = FakeClock(), []

    async def run():
        result.extend(await timetable(clock))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await clock.aadvance(200)
    assert result == TIMETABLE


@pytest.mark.parametrize("run", [asyncio.run, lambda main: trio.run(lambda: main)])
def test_one_clock_for_several_loops(run):
    """A loop that ends in the middle leaves the clock usable."""
    clock = FakeClock(autojump=True)

    async def break_off():
        with anyio.move_on_after(0):
            await LoopWaiting(clock).sleep(10)

    for _ in range(3):
        run(break_off())
        assert run(timetable(clock)) == TIMETABLE


@pytest.mark.anyio
async def test_autojump_waits_for_those_who_work():
    """A task that is busy for many turns of the loop isn't left behind."""
    clock = FakeClock(start=0, autojump=True)
    waiting, log = LoopWaiting(clock), []

    async def busy():
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        await waiting.sleep(1)
        log.append(("busy", clock.now()))

    async def idle():
        await waiting.sleep(5)
        log.append(("idle", clock.now()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(idle)
        tasks.start_soon(busy)
    assert log == [("busy", 1), ("idle", 5)]
