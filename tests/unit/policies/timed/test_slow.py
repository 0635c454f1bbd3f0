"""Calls that take longer than they should."""

from __future__ import annotations

import logging

import pytest

from agentperf import timed
from agentperf.events import SlowCall
from agentperf.testing import recorded
from tests.unit.policies.cached.calls import COLOURS, Counted, outcome

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_slow_call_is_logged_and_told(fresh_host, fake_clock, caplog, colour):
    """Over the limit, not at it; with the operation, the time and the attributes."""

    def work(seconds):
        fake_clock.advance(seconds)
        return []

    f = timed("op", slow="2s", attributes={"kind": "a"})(Counted(work).function(colour))
    with recorded(SlowCall) as log, caplog.at_level(logging.WARNING, "agentperf"):
        await outcome(f(2.0))
        assert log == []
        assert caplog.records == []
        await outcome(f(2.5))
    assert log == [SlowCall(operation="op", seconds=2.5, limit=2.0, attributes={"kind": "a"})]
    (record,) = caplog.records
    assert record.name == "agentperf"
    for part in ("call.slow", "op", "2.5", "2.0"):
        assert part in record.getMessage()


async def test_a_slow_call_is_logged_without_a_subscriber(fresh_host, fake_clock, caplog):
    """The log needs nobody who listens to events; a failed call may be slow, too."""

    @timed(slow=1)
    def f():
        fake_clock.advance(5)
        raise ValueError

    with caplog.at_level(logging.WARNING, "agentperf"), pytest.raises(ValueError, match=r"^$"):
        f()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
