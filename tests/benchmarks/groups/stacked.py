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


def _by_hand() -> Callable[[str], Any]:
    """A breaker, and a limiter in front of it."""
    import limits
    import pybreaker

    limiter = limits.strategies.MovingWindowRateLimiter(limits.storage.MemoryStorage())
    item = limits.parse("100000000/minute")
    guarded = pybreaker.CircuitBreaker()(work)

    def limited(*args: Any, **kwargs: Any) -> Any:
        if not limiter.hit(item, "k"):
            raise RuntimeError
        return guarded(*args, **kwargs)

    return limited


def _upstream() -> tuple[Any, Any]:
    return agentperf.rate_limited("100000000/min"), agentperf.circuit_breaker()


FOUR_HIT = Race(
    "timed + cached + rate_limited + circuit_breaker, hit",
    lambda: agentperf.stack(agentperf.timed(), agentperf.cached(ttl=HOUR), *_upstream())(work),
    (
        Peer(
            "two clock readings + cachetools (+ limits + pybreaker)",
            lambda: stopwatch(cachetools_locked()),
            faster(floor=1, goal=3),
        ),
    ),
)
THREE_MISS = Race(
    "timed + rate_limited + circuit_breaker, the way of a miss",
    lambda: agentperf.stack(agentperf.timed(), *_upstream())(work),
    (
        Peer(
            "two clock readings + limits + pybreaker",
            lambda: stopwatch(_by_hand()),
            faster(floor=3, goal=6),
        ),
    ),
)


def rows(rounds: int) -> Iterator[Row]:
    """Measure the stacks."""
    for race in (TIMED_HIT, FOUR_HIT, THREE_MISS):
        yield from race.rows(rounds)
