"""The wall clock is set, by a moment, an hour or a year: shared budgets go on."""

from __future__ import annotations

import pytest

import agentperf
from agentperf import BudgetExceeded
from agentperf._engine.sqlite.store import SqliteStore
from agentperf.policies.budgeted.shared.decision import (
    LEASE,
    SHARED_BUDGET,
    Allowed,
    Figures,
    Purpose,
    Status,
    Totals,
    Want,
    arguments,
)
from agentperf.testing import FakeClock, fresh_host

HOUR, YEAR = 3600.0, 31_536_000.0
STEPS = [-YEAR, -HOUR, -1.0, 1.0, HOUR, YEAR]


class SetClock(FakeClock):
    """A clock whose wall time can be set."""

    def __init__(self):
        super().__init__()
        self.off = 0.0
        real = self.wall
        self.wall = lambda: real() + self.off


def let_in(call, times):
    """Call so often; return how many were let in."""
    count = 0
    for _ in range(times):
        try:
            call()
        except BudgetExceeded:
            continue
        count += 1
    return count


@pytest.mark.parametrize("step", STEPS)
def test_a_period_ends_whatever_the_clock_is_set_to(tmp_path, step):
    """A step forward may begin a period early; a step back gives nothing and freezes nothing."""
    clock = SetClock()
    store = SqliteStore(tmp_path / "budget.db", clock)
    with fresh_host(clock) as one, fresh_host(clock) as other:

        @agentperf.budgeted(calls=2, per="30m", store=store, name="team")
        def call():
            pass

        hosts = (one, other)

        def both():
            count = 0
            for host in hosts:
                with agentperf.use(host):
                    count += let_in(call, 5)
            return count

        assert both() == 2
        clock.off += step
        assert both() == (2 if step >= HOUR else 0)
        for _ in range(4):
            clock.advance(HOUR)
            assert both() == 2


def asked(record, now, purpose, holder, **more):
    """Have a process ask; return the record and the status."""
    options = {"serial": 1, "floor": 0, "known": Figures(), "told": Totals(), "want": Want()}
    takes = arguments(
        purpose, Allowed(-1, 10, -1), None, holder=holder, counted=Totals(), **(options | more)
    )
    after, answer = SHARED_BUDGET.apply(record, takes, now)
    return after, Status(int(answer[0]))


@pytest.mark.parametrize("step", [-YEAR, -HOUR, 0.0])
def test_what_the_dead_kept_free_is_free_after_the_lease(step):
    """Also where the clock was set back after they said so last."""
    now = 1_800_000_000.0
    record, status = asked(None, now, Purpose.BEGIN, 7.0, want=Want(1, 10))
    assert status is Status.DONE
    now += step
    record, status = asked(record, now, Purpose.BEGIN, 8.0, want=Want(1, 10))
    assert status is Status.NO_TOKENS
    now += LEASE + 1
    _, status = asked(record, now, Purpose.BEGIN, 8.0, serial=2, floor=1, want=Want(1, 10))
    assert status is Status.DONE
