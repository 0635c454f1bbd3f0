"""Work within a time: cancelled on event loops, left alone in threads."""

from __future__ import annotations

import contextvars
import threading

import anyio
import pytest

from agentperf._base.clock import Clock
from agentperf._engine.classify import classify
from agentperf._engine.lanes import Crew, ThreadLane
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.waiting import Deadline, Overrun, ThreadWaiting, in_one_go, nearest_deadline
from agentperf.errors import CallTimeout
from agentperf.testing import FakeClock

SOON = 0.01
LONG = 30.0


def waiting(crew=None, clock=None):
    """Make the port of a thread, with a crew."""
    crew = crew or Crew()
    return ThreadWaiting(clock or Clock(), lambda port: ThreadLane(port, crew))


def late():
    """Say that it is too late."""
    return CallTimeout("late", limit="own")


def gives(value):
    """Make work that gives a value, or calls it."""

    async def work():
        return value() if callable(value) else value

    return work


@pytest.mark.anyio
async def test_a_step_on_a_loop_is_cancelled():
    """And over when the error is raised; one in time gives what it gives."""
    port, ended = LoopWaiting(Clock()), []

    async def work():
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(1)

    assert await port.bounded(LONG, gives(3), late) == 3
    assert await port.lane().within(None, gives(4), late) == 4
    with pytest.raises(CallTimeout, match="late"):
        await port.bounded(SOON, work, late)
    assert ended == [1]


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", [0, -1])
async def test_a_step_without_time_on_a_loop(seconds):
    """It gets as far as it gets without waiting."""
    port = LoopWaiting(Clock())
    assert await port.bounded(seconds, gives(3), late) == 3
    with pytest.raises(CallTimeout):
        await port.bounded(seconds, anyio.sleep_forever, late)


def test_the_steps_of_a_lane_share_a_thread_and_a_context():
    """What one sets the next one sees; the caller doesn't."""
    var = contextvars.ContextVar("var", default=0)
    lane, threads = waiting().lane(), set()

    def step():
        threads.add(threading.get_ident())
        var.set(var.get() + 1)
        return var.get()

    assert [in_one_go(lane.within(LONG, gives(step), late)) for _ in range(3)] == [1, 2, 3]
    lane.leave()
    assert var.get() == 0
    assert len(threads) == 1
    assert in_one_go(lane.within(LONG, gives(5), late)) == 5


def test_a_lane_that_is_lost_does_nothing_more():
    """Its place is free again when its thread comes back; the last thing is done then."""
    crew, may_end, ended = Crew(), threading.Event(), threading.Event()
    lane = waiting(crew).lane()
    with pytest.raises(CallTimeout):
        in_one_go(lane.within(SOON, gives(lambda: may_end.wait(LONG)), late))
    with pytest.raises(CallTimeout):
        in_one_go(lane.within(LONG, gives(5), late))
    lane.leave(ended.set)
    assert crew.places.in_use == 1
    may_end.set()
    assert ended.wait(LONG)
    while crew.places.in_use:
        pass


def test_what_fails_at_last_is_logged(caplog):
    """Nobody is there to be told."""
    crew = Crew()
    lane = waiting(crew).lane()
    in_one_go(lane.within(LONG, gives(1), late))
    lane.leave(lambda: 1 / 0)
    while crew.places.in_use:
        pass
    assert "timeout.closing_failed" in caplog.text


def test_what_nobody_waits_for_takes_a_place_until_it_is_done():
    """In a copy of its caller's context; what finds none free is not begun."""
    crew, may_end, seen = Crew(1), threading.Event(), []
    said = contextvars.ContextVar("said", default="nothing")

    def work():
        seen.append(said.get())
        may_end.wait(LONG)

    token = said.set("hello")
    assert crew.begin(work)
    said.reset(token)
    assert not crew.begin(print)
    may_end.set()
    while crew.places.in_use:
        pass
    assert seen == ["hello"]
    assert crew.begin(print)


def test_work_that_can_not_begin_takes_no_place(monkeypatch):
    """Where there are no more threads, the next one finds its place free."""

    def refuse(_):
        raise RuntimeError("can't start new thread")

    crew, done = Crew(1), threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not crew.begin(print)
    assert crew.begin(done.set)
    assert done.wait(LONG)


def test_threads_are_used_again_and_go_in_the_end(monkeypatch):
    """One call after the other needs one thread; none stays for ever."""
    monkeypatch.setattr("agentperf._engine.lanes.IDLE", SOON)
    crew, threads = Crew(), set()
    for _ in range(3):
        in_one_go(
            waiting(crew).bounded(
                LONG, gives(lambda: threads.add(threading.current_thread())), late
            )
        )
        while crew.places.in_use:
            pass
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert crew.places.in_use == 0


def test_a_system_without_another_thread(monkeypatch):
    """The error comes out, and the place is free again."""
    crew = Crew()

    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="new thread"):
        in_one_go(waiting(crew).bounded(LONG, gives(1), late))
    assert crew.places.in_use == 0


def test_a_pause_ends_with_the_deadline():
    """Nobody waits for what would come after it."""
    clock = FakeClock(start=0)
    port = ThreadWaiting(clock)
    context = contextvars.copy_context()
    context.run(nearest_deadline.set, Deadline(5, CallTimeout))
    context.run(in_one_go, port.sleep(2))
    with pytest.raises(Overrun):
        context.run(in_one_go, port.sleep(60))
    assert clock.now() == 5


@pytest.mark.parametrize("passive", [True, False])
def test_a_wait_ends_with_the_deadline(passive):
    """Whatever it is for; a shorter one, or one that is over in time, is as it would be."""
    # Nobody moves a fake clock for one who waits for others.
    clock = Clock() if passive else FakeClock(start=0)
    port = ThreadWaiting(clock)
    context = contextvars.copy_context()
    context.run(nearest_deadline.set, Deadline(clock.now() + 0.05, CallTimeout))
    woken = port.parker()
    woken.unpark()
    assert context.run(in_one_go, woken.park(passive=passive)) is True
    assert context.run(in_one_go, port.parker().park(0.001, passive=passive)) is False
    for timeout in (None, 60):
        with pytest.raises(Overrun):
            context.run(in_one_go, port.parker().park(timeout, passive=passive))
    assert not classify(Deadline(0, CallTimeout).passed()).counts


def test_detached_work_has_no_deadline():
    """Others may wait for it, longer."""
    seen = []

    async def work():
        seen.append(nearest_deadline.get())

    async def call():
        nearest_deadline.set(Deadline(5, CallTimeout))
        await ThreadWaiting(Clock()).detached(work)
        seen.append(nearest_deadline.get())

    contextvars.copy_context().run(in_one_go, call())
    assert seen[0] is None
    assert seen[1].at == 5


def test_a_port_without_threads():
    """Says so, instead of waiting for ever."""
    with pytest.raises(RuntimeError, match="whose threads"):
        ThreadWaiting(Clock()).lane()
