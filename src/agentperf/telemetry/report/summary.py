"""The figures of one run: each operation's, and the totals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from agentperf.telemetry.stats import OperationStats, total_usage
from agentperf.usage import Usage


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """What an operation's cache did.

    Attributes:
        hits: Answers from the cache.
        misses: Calls that had to compute.
        shared: Calls that joined another one's computation.
        stored: Answers that went into the cache.
        refused: Answers that were not stored.
    """

    hits: int = 0
    misses: int = 0
    shared: int = 0
    stored: int = 0
    refused: int = 0

    @property
    def hit_rate(self) -> float | None:
        """The share of look-ups that were answered without computing; None without any."""
        answered = self.hits + self.shared
        lookups = answered + self.misses
        return answered / lookups if lookups else None


@dataclass(frozen=True, slots=True)
class Operation:
    """The figures of one operation.

    Attributes:
        stats: Of its calls; what was spent is its own only.
        cache: Of its cache, where it has one and that was counted.
    """

    stats: OperationStats
    cache: CacheCounts | None = None

    @property
    def name(self) -> str:
        """The name the calls are counted under."""
        return self.stats.operation

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values for JSON."""
        return {
            **self.stats.to_dict()["summary"],
            "errors": dict(self.stats.errors),
            **asdict(self.stats.own_usage),
            "cache": self.cache and {**asdict(self.cache), "hit_rate": self.cache.hit_rate},
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run.

    Attributes:
        operations: Of every operation, in the order of their names.
    """

    operations: tuple[Operation, ...] = ()

    @classmethod
    def of(cls, stats: Mapping[str, OperationStats], caches: Mapping[str, CacheCounts]) -> Summary:
        """Make one of what a host says, and of what its caches did."""
        names = sorted(stats.keys() | caches.keys())
        return cls(
            tuple(
                Operation(stats.get(name) or OperationStats(name), caches.get(name))
                for name in names
            )
        )

    @property
    def usage(self) -> Usage:
        """Tokens and cost of the whole run, each counted once: where it was spent."""
        return total_usage(each.stats for each in self.operations)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            "operations": {each.name: each.to_dict() for each in self.operations},
            "totals": asdict(self.usage),
        }


def by_name(operations: Iterable[Operation]) -> dict[str, Operation]:
    """Return operations by their names."""
    return {each.name: each for each in operations}
