"""The running figures of one operation, written from any thread and exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import TypeVar

from agentperf._base.endings import Ending
from agentperf.abc.telemetry import FOLD_AT
from agentperf.telemetry.histogram import DEFAULT_SCALE, Histogram
from agentperf.telemetry.stats import OperationStats
from agentperf.usage import Usage

T = TypeVar("T")

OTHER = "other"
"""The name under which everything beyond a bound is counted."""

MAX_ERROR_NAMES = 32
"""How many classes of errors an operation tells apart."""


class OperationRecorder:
    """Implements `agentperf.abc.Recorder`.

    Recording only appends to a list, which nothing can tear: no other thread, and no garbage
    collection that finds an abandoned stream in the midst of our own work. What is pending is
    folded under a lock into one immutable `OperationStats`, and readers get that very value. The
    lists stay the same objects for good, so that a writer may keep their `append`.

    Attributes:
        operation: The name the calls are counted under.
        durations: Seconds of completed calls, pending.
        gaps: Seconds between the items of streams, pending.
    """

    __slots__ = (
        "_deltas",
        "_drops",
        "_failures",
        "_first_items",
        "_inner_usage",
        "_lock",
        "_own_usage",
        "_scale",
        "_stats",
        "durations",
        "gaps",
        "operation",
    )

    def __init__(self, operation: str, *, scale: int = DEFAULT_SCALE) -> None:
        self.operation = operation
        self.durations: list[float] = []
        self.gaps: list[float] = []
        self._first_items: list[float] = []
        self._failures: list[tuple[float, str]] = []
        self._drops: list[tuple[float, Ending]] = []
        self._own_usage: list[Usage] = []
        self._inner_usage: list[Usage] = []
        self._deltas: list[int] = []
        self._lock = Lock()
        self._scale = scale
        self._stats = _nothing(operation, scale)

    def failed(self, seconds: float, error: BaseException) -> None:
        """Count a call that raised."""
        self._note(self._failures, (seconds, type(error).__name__))

    def dropped(self, seconds: float, ending: Ending) -> None:
        """Count a call that was cancelled, or a stream closed early or abandoned."""
        self._note(self._drops, (seconds, ending))

    def first_item(self, seconds: float) -> None:
        """Note a stream's time to its first item, measured from the call."""
        self._note(self._first_items, seconds)

    def used(self, usage: Usage, *, own: bool) -> None:
        """Add tokens and cost; `own` when this operation, not one inside it, spent them."""
        self._note(self._own_usage if own else self._inner_usage, usage)

    def memory(self, delta: int) -> None:
        """Note by how many bytes the memory in use grew during a call."""
        self._note(self._deltas, delta)

    def fold(self) -> None:
        """Move what is pending into the figures; leave it to whoever is at it already."""
        if self._lock.acquire(blocking=False):
            try:
                self._drain()
            finally:
                self._lock.release()

    def snapshot(self) -> OperationStats:
        """Return the figures of everything recorded so far."""
        with self._lock:
            self._drain()
            return self._stats

    def reset(self) -> None:
        """Forget everything recorded so far."""
        with self._lock:
            self._drain()
            self._stats = _nothing(self.operation, self._scale)

    def _note(self, pending: list[T], item: T) -> None:
        pending.append(item)
        if len(pending) >= FOLD_AT:
            self.fold()

    def _drain(self) -> None:
        stats = self._stats
        failures, drops = _take(self._failures), _take(self._drops)
        endings = Counter(ending for _, ending in drops)
        own = sum(_take(self._own_usage), Usage())
        self._stats = replace(
            stats,
            latency=stats.latency.with_values(_take(self.durations)),
            failed_latency=stats.failed_latency.with_values([seconds for seconds, _ in failures]),
            dropped_latency=stats.dropped_latency.with_values([seconds for seconds, _ in drops]),
            first_item=stats.first_item.with_values(_take(self._first_items)),
            gaps=stats.gaps.with_values(_take(self.gaps)),
            errors=_counted(stats.errors, [name for _, name in failures]),
            cancelled=stats.cancelled + endings[Ending.CANCELLED],
            closed=stats.closed + endings[Ending.CLOSED],
            abandoned=stats.abandoned + endings[Ending.ABANDONED],
            own_usage=stats.own_usage + own,
            usage=sum(_take(self._inner_usage), stats.usage + own),
            memory=stats.memory.with_deltas(_take(self._deltas)),
        )


def _nothing(operation: str, scale: int) -> OperationStats:
    """The figures of no call."""
    empty = Histogram(scale)
    return OperationStats(operation, empty, empty, empty, empty, empty)


def _take(pending: list[T]) -> list[T]:
    """Take what is there now; others may append meanwhile."""
    batch = pending[:]
    del pending[: len(batch)]
    return batch


def _counted(errors: Mapping[str, int], names: list[str]) -> Mapping[str, int]:
    """The errors with more names counted in, no more than so many apart."""
    if not names:
        return errors
    counts = dict(errors)
    for name in names:
        known = name in counts or len(counts) < MAX_ERROR_NAMES
        kept = name if known else OTHER
        counts[kept] = counts.get(kept, 0) + 1
    return counts
