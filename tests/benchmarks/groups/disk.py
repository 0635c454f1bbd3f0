"""A cache on disk, beside another one on the same disk."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import agentperf
from tests.benchmarks.harness import Peer, Race
from tests.benchmarks.rows import SHOWN, Row
from tests.benchmarks.work import work

HOUR = 3600


def _ours() -> Callable[[str], Any]:
    file = Path(tempfile.mkdtemp(prefix="bench-"), "cache.db")
    return agentperf.cached(ttl=HOUR, backend=f"sqlite:{file}")(work)


def _diskcache() -> Callable[[str], Any]:
    import diskcache

    return diskcache.Cache(tempfile.mkdtemp(prefix="bench-")).memoize(expire=HOUR)(work)


def _other_each_time(function: Callable[[str], Any]) -> Callable[[str], Any]:
    """Have every call ask for something that nobody asked for before."""
    numbers = itertools.count()

    def call(prompt: str) -> Any:
        return function(f"{prompt} {next(numbers)}")

    return call


HIT = Race("on disk, hit", _ours, (Peer("diskcache", _diskcache, SHOWN),))
MISS = Race(
    "on disk, miss and store",
    lambda: _other_each_time(_ours()),
    (Peer("diskcache", lambda: _other_each_time(_diskcache()), SHOWN),),
)


def rows(rounds: int) -> Iterator[Row]:
    """Measure hits, and misses with what is stored after them."""
    for race in (HIT, MISS):
        yield from race.rows(rounds)
