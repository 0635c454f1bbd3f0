"""Places and the line for them: none is lost, none invented, nobody overtakes."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agentperf._base.clock import Clock
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.places import Line, Places
from agentperf._engine.waiting import ThreadWaiting, in_one_go


class Parker:
    """Where a call waits that the test moves by hand."""

    def __init__(self):
        self.woken = False
        self.deserted = False

    async def park(self, timeout=None):
        """Suspend until the test goes on with this call."""
        while not self.woken:
            await _Suspend()
        return True

    def unpark(self):
        """Let it go on, when the test does."""
        self.woken = True


class _Suspend:
    def __await__(self):
        yield


class Cancelled(BaseException):
    """A cancellation, of whatever library."""


class PlacesMachine(RuleBasedStateMachine):
    """Calls come, wait, are cancelled and end in any order, while the limit moves."""

    def __init__(self):
        super().__init__()
        self.places = Places(2)
        self.waiting = SimpleNamespace(parker=Parker, now=lambda: 0.0)
        self.running = 0
        self.line = []
        self.came = 0
        self.granted = []

    @rule(room=st.sampled_from([None, None, None, 0, 2]))
    def call(self, room):
        """Take a place, or begin to wait for one."""
        free = self.places.in_use < self.places.limit
        if self.places.take():
            assert free
            assert not self.line
            self.running += 1
            return
        refused = self.places.refused
        waiter = (self.came, self.places.wait(self.waiting, room=room))
        self.came += 1
        self._step(waiter, fresh=True)
        if self.places.refused > refused:
            assert room is not None
            assert room <= len(self.line)

    @precondition(lambda self: self.running)
    @rule()
    def end(self):
        """A call ends, however."""
        self.places.release()
        self.running -= 1

    @precondition(lambda self: self.line)
    @rule(which=st.integers(0, 9))
    def cancel(self, which):
        """A waiting call is cancelled, perhaps just after it was woken."""
        waiter = self.line.pop(which % len(self.line))
        try:
            waiter[1].throw(Cancelled())
        except Cancelled:
            return
        raise AssertionError("a cancellation was swallowed")

    @precondition(lambda self: self.line)
    @rule(which=st.integers(0, 9))
    def turn(self, which):
        """A waiting call goes on, whether it was woken or not."""
        self._step(self.line.pop(which % len(self.line)))

    @rule(limit=st.integers(1, 4))
    def resize(self, limit):
        """There are more places, or fewer."""
        self.places.resize(limit)

    def _step(self, waiter, *, fresh=False):
        try:
            waiter[1].send(None)
        except StopIteration as stop:
            if stop.value:
                self.running += 1
                self.granted.append(waiter[0])
            else:
                assert fresh
        else:
            self.line.append(waiter)
            self.line.sort(key=lambda each: each[0])

    @invariant()
    def nothing_is_lost_or_invented(self):
        """As many places are taken as calls run, and as many wait as wait."""
        assert self.places.in_use == self.running
        assert self.places.waiting == len(self.line)

    @invariant()
    def nobody_overtakes(self):
        """Places were given in the order in which they were asked for."""
        assert self.granted == sorted(self.granted)

    def teardown(self):
        """Whoever is woken takes what is free: nobody waits beside a free place."""
        for _ in range(len(self.line) + 1):
            for waiter in list(self.line):
                self.line.remove(waiter)
                self._step(waiter)
        assert not self.line or self.places.in_use >= self.places.limit
        self.nothing_is_lost_or_invented()
        self.nobody_overtakes()
        for _, waiting in self.line:
            waiting.close()


TestPlaces = PlacesMachine.TestCase
TestPlaces.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_those_whose_loop_was_closed_are_passed_over():
    """Nobody waits behind somebody who never comes."""
    line = Line()
    gone, here = line.join(), line.join()
    gone.parker, here.parker = Parker(), Parker()
    gone.parker.deserted = True
    line.wake()
    assert (here.parker.woken, gone.left, len(line)) == (True, True, 1)
    line.leave(gone)
    assert len(line) == 1


def test_threads_and_event_loops_share_places():
    """However they come, no more of them are in than there are places, and all get in."""
    places, most, got = Places(3), [], []

    def note():
        most.append(places.in_use)

    def in_threads():
        waiting = ThreadWaiting(Clock())
        for _ in range(50):
            assert places.take() or in_one_go(places.wait(waiting))
            note()
            places.release()
            got.append(1)

    async def task():
        waiting = LoopWaiting(Clock())
        for _ in range(10):
            assert places.take() or await places.wait(waiting)
            note()
            await asyncio.sleep(0)
            places.release()
            got.append(1)

    async def tasks():
        await asyncio.gather(*(task() for _ in range(5)))

    threads = [threading.Thread(target=in_threads) for _ in range(3)]
    threads += [threading.Thread(target=asyncio.run, args=(tasks(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(got) == 3 * 50 + 2 * 5 * 10
    assert max(most) <= 3
    assert (places.in_use, places.waiting) == (0, 0)


def test_a_wait_that_is_too_long():
    """Who waits no longer leaves the line."""
    places = Places(1)
    places.take()
    assert in_one_go(places.wait(ThreadWaiting(Clock()), 0.01)) is False
    assert (places.in_use, places.waiting, places.refused) == (1, 0, 0)
