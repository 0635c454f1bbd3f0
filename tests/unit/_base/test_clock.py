"""Real time."""

from __future__ import annotations

import time

from agentperf._base.clock import Clock


def test_it_is_the_machines_time():
    """Monotonic for differences, the epoch's for people."""
    clock = Clock()
    before = time.monotonic()
    assert before <= clock.now() <= time.monotonic()
    assert abs(clock.wall() - time.time()) < 60


def test_it_needs_no_alarms():
    """Waiters use their own timers."""
    assert Clock().alarm(1, lambda: None, blocking=False) is None
