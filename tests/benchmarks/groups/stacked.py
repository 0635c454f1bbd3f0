"""Several policies on one function, beside the same job stacked by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import agentperf
from tests.benchmarks.groups.cached import HOUR, cachetools_locked
from tests.benchmarks.groups.timed import stopwatch
from tests.benchmarks.harness import Peer, Race
from tests.benchmarks.rows import Row, faster
from tests.benchmarks.work import work


def _ours() -> Callable[[str], Any]:
    return agentperf.stack(agentperf.timed(), agentperf.cached(ttl=HOUR))(work)


TIMED_HIT = Race(
    "timed + cached, hit",
    _ours,
    (
        Peer(
            "two clock readings + cachetools",
            lambda: stopwatch(cachetools_locked()),
            faster(floor=1, goal=3),
        ),
    ),
)


def rows(rounds: int) -> Iterator[Row]:
    """Measure the stack."""
    yield from TIMED_HIT.rows(rounds)
