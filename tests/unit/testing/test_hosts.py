"""Fresh hosts for tests."""

from __future__ import annotations

from agentperf import stats, timed
from agentperf._engine.current import current_host
from agentperf.testing import FakeClock, fresh_host


@timed("op")
def op():
    """Count."""


def test_a_fresh_host_is_current_and_empty():
    """For the region only."""
    outside = current_host()
    with fresh_host() as host:
        assert current_host() is host
        assert stats() == {}
        op()
        assert host.stats()["op"].calls == 1
    assert current_host() is outside


def test_its_clock_is_the_one_given():
    """So that time stands still."""
    clock = FakeClock()
    with fresh_host(clock) as host:
        assert host.clock is clock


def test_the_environment_is_not_asked(monkeypatch):
    """A test means what it says."""
    monkeypatch.setenv("AGENTPERF_DISABLED", "1")
    with fresh_host():
        op()
        assert stats()["op"].calls == 1
    monkeypatch.setenv("AGENTPERF_DISABLED", "0")
    with fresh_host(enabled=False):
        op()
        assert stats() == {}
