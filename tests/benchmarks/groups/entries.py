"""What an entry holds in memory, besides its key and its value."""

from __future__ import annotations

import functools
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import agentperf
from tests.benchmarks.rows import SHOWN, Row, within

ENTRIES = 20_000
HOUR = 3600


def _ttl_cache() -> Callable[[Any], Any]:
    import cachetools

    return cachetools.cached(cachetools.TTLCache(ENTRIES, HOUR))


PEERS = {
    "cachetools TTLCache": _ttl_cache,
    "functools.lru_cache": lambda: functools.lru_cache(ENTRIES),
}


def rows(rounds: int) -> Iterator[Row]:
    """Fill caches with answers that are there already, by keys that are there already."""
    ours = held_by_each(agentperf.cached(ttl=HOUR, max_entries=ENTRIES))
    for name, make in PEERS.items():
        try:
            theirs = held_by_each(make())
        except ImportError as error:
            yield Row("an entry, besides its value", ours, name, None, "bytes", SHOWN, str(error))
            continue
        terms = within(floor=1.5, goal=1) if name.startswith("cachetools") else SHOWN
        yield Row("an entry, besides its value", ours, name, theirs, "bytes", terms)


def held_by_each(decorate: Callable[[Any], Any]) -> float:
    """Return the bytes that each entry holds, its value and the text of its key left out."""

    @decorate
    def answer(question: str) -> None:
        return None

    answer("to begin with")
    questions = [f"question {number}" for number in range(ENTRIES - 1)]
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for question in questions:
        answer(question)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / len(questions)
