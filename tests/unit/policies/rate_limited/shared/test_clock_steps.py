"""The wall clock is set, by a moment, an hour or a year: limits neither freeze nor fall apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentperf
from agentperf import handle
from agentperf._engine.sqlite.store import SqliteStore
from agentperf.policies.rate_limited.shared.decision import GCRA, Terms
from agentperf.testing import FakeClock, fresh_host
from tests.unit.policies.rate_limited.shared.sequences import limits

HOUR, YEAR = 3600.0, 31_536_000.0
STEPS = [-YEAR, -HOUR, -1.0, 1.0, HOUR, YEAR]
START = 1_700_000_000


class SetClock(FakeClock):
    """A clock whose wall time can be set."""

    def __init__(self):
        super().__init__()
        self.off = 0.0
        real = self.wall
        self.wall = lambda: real() + self.off


@pytest.fixture
def clock():
    """A clock that the test sets, on a fresh host."""
    clock = SetClock()
    with fresh_host(clock):
        yield clock


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path, clock):
    """Where the limit is kept."""
    if request.param == "memory":
        return None
    return SqliteStore(tmp_path / "limits.db", clock)


def let_in(work, calls):
    """Call so often; return how many were let in."""
    count = 0
    for _ in range(calls):
        try:
            work()
        except agentperf.RateLimitExceeded:
            continue
        count += 1
    return count


@pytest.mark.parametrize("step", STEPS)
def test_a_limit_goes_on_whatever_the_clock_is_set_to(clock, store, step):
    """Back, nothing is let in for it; forward, a burst at most; then again what the rate allows."""
    work = agentperf.rate_limited("60/min", burst=5, max_wait=0, store=store, name="x")(lambda: 1)
    assert let_in(work, 10) == 5
    clock.off += step
    at_once = let_in(work, 20)
    assert at_once <= (5 if step > 0 and store is not None else 0)
    for _ in range(5):
        clock.advance(1)
        assert let_in(work, 3) == 1


@pytest.mark.parametrize("step", STEPS)
def test_who_waits_waits_no_longer(clock, store, step):
    """Waiting goes by a clock that nobody sets."""
    work = agentperf.rate_limited("60/min", burst=1, max_wait=30, store=store, name="x")(lambda: 1)
    work()
    clock.off += step
    began = clock.now()
    for _ in range(4):
        work()
    assert clock.now() - began <= 4.3


@given(st.lists(st.sampled_from([*STEPS, 0.0, 0.0, 0.0]), max_size=30), st.data())
def test_each_step_gives_one_burst_at_most(steps, data):
    """Of the decision alone: back nothing is given, forward a burst, as after a rest."""
    burst, terms, record = 5, Terms(limits("1/s", burst=5)), None
    wall, passed, forward, count = float(START), 0.0, 0, 0
    for step in steps:
        pause = data.draw(st.sampled_from([0.0, 0.25, 2.0]))
        wall, passed = wall + step + pause, passed + pause
        forward += step > 0
        for _ in range(7):
            record, answer = GCRA.apply(record, terms.arguments((1, 0, 0, 0)), wall)
            count += answer[0] == 0
            assert answer[0] <= 1_000_000
    assert count <= burst * (1 + forward) + passed


def test_a_clock_that_trembles_gives_nothing(clock, tmp_path):
    """Set back again and again by little, as time servers do, a record is not forgotten."""
    store = SqliteStore(tmp_path / "limits.db", clock)
    work = agentperf.rate_limited("1/hour", max_wait=0, store=store, name="x")(lambda: 1)
    work()
    for _ in range(20):
        clock.off -= 0.01
        assert let_in(work, 2) == 0
    assert handle(work).limiter.remaining() == {"requests": 0}
