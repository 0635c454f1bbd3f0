"""What a hit costs by how the answer is handed out: shared, copied or frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import agentperf
from tests.benchmarks.harness import Peer, Race
from tests.benchmarks.rows import Row

ANSWERS: dict[str, Callable[[], Any]] = {
    "a text": lambda: "some text " * 20,
    "a tuple of 1,536 numbers": lambda: tuple(map(float, range(1536))),
    "a list of 1,536 numbers": lambda: list(map(float, range(1536))),
    "a dict of 50 dicts": lambda: {
        str(n): {"title": f"title {n}", "score": n / 7, "tags": ["a", "b"]} for n in range(50)
    },
}


def _cached(copy: Any, answer: Callable[[], Any]) -> Callable[[], Callable[[str], Any]]:
    def make() -> Callable[[str], Any]:
        @agentperf.cached(copy=copy)
        def call(prompt: str) -> Any:
            return answer()

        return call

    return make


def rows(rounds: int) -> Iterator[Row]:
    """Measure the hit of each answer in each way, beside sharing it."""
    for name, answer in ANSWERS.items():
        for copy in ("auto", "copy", "freeze"):
            race = Race(
                f'hit of {name}, copy="{copy}"',
                _cached(copy, answer),
                (Peer('copy="share"', _cached("share", answer)),),
            )
            yield from race.rows(rounds)
