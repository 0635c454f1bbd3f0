"""What budgets and hedges cost a call that stays within them; no peer does the same."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from contextvars import Context
from dataclasses import replace
from typing import Any

import agentperf
from tests.benchmarks.harness import Peer, Race
from tests.benchmarks.rows import Row
from tests.benchmarks.work import awork, work

MANY = 10**12
"""A limit that no benchmark reaches."""


def _within(function: Callable[[str], Any], **limits: Any) -> Callable[[str], Any]:
    """Run a function on a host of its own, in a budget where there are limits, in any thread."""
    base, stack, own = Context(), ExitStack(), threading.local()
    base.run(stack.enter_context, agentperf.use(agentperf.Host()))
    if limits:
        base.run(stack.enter_context, agentperf.budget(**limits))
    atexit.register(base.run, stack.close)

    def call(prompt: str) -> Any:
        try:
            context = own.context
        except AttributeError:  # no two threads can be in one context
            context = own.context = base.copy()
        return context.run(function, prompt)

    return call


def _timed(**limits: Any) -> Callable[[str], Any]:
    return _within(agentperf.timed(work), **limits)


def _budgeted() -> Callable[[str], Any]:
    return _within(agentperf.stack(agentperf.timed(), agentperf.budgeted(calls=MANY))(work))


def _timeout() -> Callable[[str], Any]:
    async def call(prompt: str) -> str:
        async with asyncio.timeout(60):
            return await awork(prompt)

    return call


OUTSIDE = (Peer("outside of any budget", lambda: _within(agentperf.timed(work))),)
BARE = (Peer("a bare await", lambda: awork), Peer("asyncio.timeout", _timeout))

RACES = (
    Race("timed, in a budget of calls", lambda: _timed(calls=MANY), OUTSIDE),
    Race("timed, in a budget of tokens, with a prompt", lambda: _timed(tokens=MANY), OUTSIDE),
    Race("timed, in a budget with a deadline", lambda: _timed(deadline=MANY), OUTSIDE),
    Race("timed and budgeted", _budgeted, OUTSIDE),
    Race("hedged, answered in time, async", lambda: agentperf.hedged("60s")(awork), BARE),
)

TOGETHER = tuple(replace(race, path=f"{race.path}, 8 threads", threads=8) for race in RACES[:-1])


def rows(rounds: int) -> Iterator[Row]:
    """Measure calls within budgets, and hedged calls that need no second attempt."""
    for race in (*RACES, *TOGETHER):
        yield from race.rows(rounds)
