"""How often a cache that is too small has the answer, by the way it evicts."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.rows import Row, points
from tests.benchmarks.traces import CACHES, hard_traces, hit_rate, traces

SIZES = (100, 1_000, 10_000)

WITHIN_A_POINT, COMPARED = points(floor=1), points()


def rows(rounds: int) -> Iterator[Row]:
    """Replay the traces for every size, beside what others evict."""
    for size in SIZES:
        for made, terms in ((traces(size), WITHIN_A_POINT), (hard_traces(size), COMPARED)):
            for name, trace in made:
                rates = {cache: hit_rate(make(size), trace) for cache, make in CACHES.items()}
                mine = rates.pop("agentperf")
                path = f"hit rate, {size:,} entries, {name}"
                for other, rate in rates.items():
                    held = COMPARED if other == "SIEVE" else terms
                    yield Row(path, mine, other, rate, "%", held)
