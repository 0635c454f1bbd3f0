"""Renewals: one thread for all that threads hold, or the clock, where it is moved by hand."""

from __future__ import annotations

import threading

import anyio
import pytest

from agentperf._base.clock import Clock
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.renewing import Renewer, renewing
from agentperf.testing import FakeClock
from tests.unit.policies.cached.calls import until


class Held:
    """Notes when it is renewed, and where."""

    def __init__(self, clock, most=10**9):
        self._clock = clock
        self.left = most
        self.times = []
        self.threads = set()

    async def renew(self):
        """Renew."""
        self.times.append(self._clock.now())
        self.threads.add(threading.get_ident())
        self.left -= 1
        return self.left > 0


def test_each_in_its_time():
    """Each is renewed as often, counted from when it was taken, until it is dropped or over."""
    clock = FakeClock(0.0)
    renewer = Renewer(clock, 2.0)
    first, second, third = Held(clock), Held(clock), Held(clock, most=2)
    renewer.hold(first)
    clock.advance(1)
    renewer.hold(second)
    renewer.hold(third)
    clock.advance(4)
    renewer.drop(first)
    renewer.drop(first)
    clock.advance(4)
    assert first.times == [2, 4]
    assert second.times == [3, 5, 7, 9]
    assert third.times == [3, 5]
    renewer.drop(second)
    clock.advance(60)
    assert clock.sleepers == 0
    renewer.hold(first)
    clock.advance(2)
    assert first.times == [2, 4, 71]


def test_one_thread_for_all():
    """It is made when it is needed, ends when nothing is left, and is made again."""
    renewer = Renewer(Clock(), 0.01)
    for _ in range(2):
        held = [Held(Clock()) for _ in range(5)]
        for one in held:
            renewer.hold(one)
        until(lambda held=held: all(len(one.times) >= 3 for one in held))
        assert len({thread for one in held for thread in one.threads}) == 1
        assert threading.get_ident() not in held[0].threads
        for one in held:
            renewer.drop(one)
        until(lambda: not any(t.name == "agentperf-leases" for t in threading.enumerate()))


def test_no_thread_can_be_made(monkeypatch):
    """Then leases lapse, and the next one tries again."""

    def refuse(_):
        raise RuntimeError("can't start new thread")

    clock = Clock()
    renewer, held = Renewer(clock, 0.01), Held(clock)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        renewer.hold(held)
    renewer.hold(held)
    until(lambda: held.times)
    renewer.drop(held)


@pytest.mark.anyio
async def test_beside_a_task():
    """Until it is over, or whoever works is done."""
    clock = FakeClock(0.0)
    waiting = LoopWaiting(clock)
    over, held = Held(clock, most=2), Held(clock)
    await waiting.detached(lambda: renewing(over, 2.0, waiting))
    stop = await waiting.detached(lambda: renewing(held, 2.0, waiting))
    await clock.aadvance(7)
    stop()
    await anyio.lowlevel.checkpoint()
    await clock.aadvance(60)
    assert over.times == [2, 4]
    assert held.times == [2, 4, 6]
