"""Doing steps at the same time, and later."""

from __future__ import annotations

import logging

import anyio
import pytest

from agentperf.demo.deferred import ANYTIME, Deferred
from agentperf.demo.together import together

pytestmark = pytest.mark.anyio


async def test_results_come_in_the_order_given() -> None:
    """All steps are under way at the same time, whoever finishes first."""
    ready = anyio.Event()

    async def waits() -> str:
        await ready.wait()
        return "waited"

    async def wakes() -> int:
        ready.set()
        return 2

    assert await together(waits(), wakes()) == ("waited", 2)


async def test_a_failing_step_cancels_the_others() -> None:
    """Nobody goes on working for an answer that can't come."""
    cancelled = anyio.Event()

    async def waits() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async def fails() -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError("no")

    with pytest.raises(ExceptionGroup) as caught:
        await together(waits(), fails())
    assert caught.group_contains(ValueError)
    assert cancelled.is_set()


async def test_a_reader_waits_for_what_it_builds_on() -> None:
    """`settled` waits for the steps of its own profile and for no other's."""
    allowed, finished = anyio.Event(), []

    async def write(what: str) -> None:
        await allowed.wait()
        finished.append(what)

    async with anyio.create_task_group() as group:
        later = Deferred(group)
        later.add("anna", write, "fact")
        later.add(ANYTIME, write, "analysis")
        await later.settled("bram")
        assert finished == []
        allowed.set()
        await later.settled("anna")
        assert "fact" in finished
    assert sorted(finished) == ["analysis", "fact"]


async def test_leaving_waits_for_deferred_work() -> None:
    """The group that runs the steps ends only when they have ended."""
    done = []

    async def step() -> None:
        await anyio.lowlevel.checkpoint()
        done.append(True)

    async with anyio.create_task_group() as group:
        Deferred(group).add("anna", step)
    assert done == [True]


async def test_a_failing_deferred_step_is_logged_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever waits for it goes on, and so does the conversation."""

    async def fails() -> None:
        raise ValueError("no")

    with caplog.at_level(logging.ERROR):
        async with anyio.create_task_group() as group:
            later = Deferred(group)
            later.add("anna", fails)
            await later.settled("anna")
    assert "a deferred step failed" in caplog.text
