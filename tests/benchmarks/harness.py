"""Races: the same call through us and through peers, measured in turns in one process."""

from __future__ import annotations

import asyncio
import inspect
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from tests.benchmarks.rows import SHOWN, Row, Terms

Make = Callable[[], Callable[[str], Any]]
"""Makes a function that is called with one text; a missing peer raises `ImportError`."""

clock = time.thread_time if time.get_clock_info("thread_time").resolution < 1e-6 else time.monotonic
"""CPU time, where it is told finely enough: it goes on counting only while it is our turn."""

TURN = 0.03
"""Seconds that one contestant runs before it is the next one's turn."""


@dataclass(frozen=True)
class Peer:
    """Somebody to be compared with, and on which terms."""

    name: str
    make: Make
    terms: Terms = SHOWN


@dataclass(frozen=True)
class Race:
    """One path of ours and its peers.

    The contestants take turns, so that a slow moment of the machine hits all of them; the median
    over the rounds counts, in CPU time. Only ratios between figures of one run mean anything.

    Attributes:
        path: What is measured.
        ours: Makes our contestant.
        peers: The others. All are synchronous, or all asynchronous, as ours is.
        threads: How many call at once. With several it is the CPU time of the whole process that
            counts: what they lose by getting into each other's way is part of it.
    """

    path: str
    ours: Make
    peers: tuple[Peer, ...]
    threads: int = 1

    def rows(self, rounds: int) -> Iterator[Row]:
        """Run the race; yield a row for each peer."""
        functions, missing = [self.ours()], dict[str, str]()
        for peer in self.peers:
            try:
                functions.append(peer.make())
            except ImportError as error:
                missing[peer.name] = str(error)
        ours, *others = medians(functions, rounds, self.threads)
        theirs = iter(others)
        for peer in self.peers:
            figure = None if peer.name in missing else next(theirs)
            reason = missing.get(peer.name, "")
            yield Row(self.path, ours, peer.name, figure, "ns", peer.terms, reason)


def medians(functions: list[Callable[[str], Any]], rounds: int, threads: int = 1) -> list[float]:
    """Return the median nanoseconds of a call of each function."""
    with asyncio.Runner() as runner:

        def turn(function: Callable[[str], Any], calls: int) -> float:
            if inspect.iscoroutinefunction(function):
                return runner.run(_await_often(function, calls)) / calls
            if threads > 1:
                return _call_together(function, calls, threads) / (calls // threads * threads)
            return _call_often(function, calls) / calls

        calls = [max(50, int(TURN / turn(function, 200))) for function in functions]
        samples = [
            [turn(function, n) for function, n in zip(functions, calls, strict=True)]
            for _ in range(rounds)
        ]
    return [statistics.median(sample) * 1e9 for sample in zip(*samples, strict=True)]


def _call_together(function: Callable[[str], Any], calls: int, threads: int) -> float:
    gate = threading.Barrier(threads + 1)

    def work() -> None:
        gate.wait()
        for _ in repeat(None, calls // threads):
            function("hello")

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    start = time.process_time()
    gate.wait()
    for worker in workers:
        worker.join()
    return time.process_time() - start


def _call_often(function: Callable[[str], Any], calls: int) -> float:
    start = clock()
    for _ in repeat(None, calls):
        function("hello")
    return clock() - start


async def _await_often(function: Callable[[str], Any], calls: int) -> float:
    start = clock()
    for _ in repeat(None, calls):
        await function("hello")
    return clock() - start
