"""What the handle tells of hedges."""

from __future__ import annotations

import anyio
import pytest

import agentperf
from agentperf.policies.hedged import HedgeStats, hedged
from agentperf.testing import FakeClock, fresh_host


@pytest.mark.anyio
async def test_what_became_of_hedges():
    """How many calls had one, and in how many it won."""

    async def call():
        made.append(1)
        await (anyio.sleep_forever() if len(made) % 2 else anyio.lowlevel.checkpoint())

    made: list[int] = []
    clock = FakeClock()
    with fresh_host(clock):
        work = hedged(after="300ms")(call)
        handle = agentperf.handle(work).hedges
        assert handle.stats() == HedgeStats(0, 0, 0, 0.3, False)
        assert handle.stats().win_rate == 0
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(work)
                await anyio.wait_all_tasks_blocked()
                clock.advance("300ms")
        stats = handle.stats()
        assert (stats.hedged, stats.won, stats.win_rate) == (2, 2, 1.0)
        assert repr(handle) == "<hedges: 2 calls hedged, 2 won by the hedge>"


@pytest.mark.anyio
async def test_the_delay_is_the_quantile_of_now():
    """None while too little is known."""

    async def call():
        clock.advance("2s")

    clock = FakeClock()
    with fresh_host(clock):
        work = hedged(call)
        handle = agentperf.handle(work).hedges
        assert handle.stats().delay is None
        for _ in range(20):
            await work()
        assert handle.stats().delay == 2


def test_a_function_without_hedges_has_none():
    """The error says what to do."""
    with pytest.raises(agentperf.ConfigurationError, match="decorate it with @hedged"):
        _ = agentperf.handle(agentperf.timed(str.upper)).hedges
