"""The figures of one run: each operation's, and the totals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from agentperf.telemetry.report.unknown import Unknown, together
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
        unknown: What its calls left unsaid of their tokens and cost.
    """

    stats: OperationStats
    cache: CacheCounts | None = None
    unknown: Unknown = field(default_factory=Unknown)

    @property
    def name(self) -> str:
        """The name the calls are counted under."""
        return self.stats.operation

    @property
    def cost(self) -> float | None:
        """US dollars that it spent itself; None where it spent something at no known price."""
        return _cost(self.stats.own_usage, self.unknown)

    @property
    def hit_rate(self) -> float | None:
        """The share of look-ups that its cache answered; None without any."""
        return self.cache.hit_rate if self.cache else None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values for JSON, by the names that options know them by."""
        figures = self.stats.to_dict()["summary"]
        return {
            "calls": figures["calls"],
            "completed": figures["completed"],
            "errors": figures["failed"],
            "error_rate": figures["error_rate"],
            "error_names": dict(self.stats.errors),
            "dropped": figures["dropped"],
            "time": figures["total_seconds"],
            **{name: figures[name] for name in ("mean", "min", "max", "p50", "p95", "p99")},
            "first_item": figures["ttft_p50"],
            "first_item_p95": figures["ttft_p95"],
            **_spent(self.stats.own_usage, self.cost),
            "hit_rate": self.hit_rate,
            "cache": self.cache and asdict(self.cache),
            "unknown": asdict(self.unknown),
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run.

    Attributes:
        operations: Of every operation, in the order of their names.
    """

    operations: tuple[Operation, ...] = ()

    @classmethod
    def of(
        cls,
        stats: Mapping[str, OperationStats],
        caches: Mapping[str, CacheCounts],
        unknown: Mapping[str, Unknown],
    ) -> Summary:
        """Make one of what a host says, of what its caches did, and of what calls left unsaid."""
        names = sorted(stats.keys() | caches.keys())
        return cls(
            tuple(
                Operation(
                    stats.get(name) or OperationStats(name),
                    caches.get(name),
                    unknown.get(name, Unknown()),
                )
                for name in names
            )
        )

    @property
    def usage(self) -> Usage:
        """Tokens and cost of the whole run, each counted once: where it was spent."""
        return total_usage(each.stats for each in self.operations)

    @property
    def cost(self) -> float | None:
        """US dollars of the whole run; None where something was spent at no known price only."""
        return _cost(self.usage, self.unknown)

    @property
    def unknown(self) -> Unknown:
        """What the calls of the whole run left unsaid of their tokens and cost."""
        return together(each.unknown for each in self.operations)

    def remarks(self) -> list[str]:
        """Say which tokens and costs the sums don't hold."""
        return [line for each in self.operations for line in each.unknown.told(each.name)]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            "operations": {each.name: each.to_dict() for each in self.operations},
            "totals": {**_spent(self.usage, self.cost), "unknown": asdict(self.unknown)},
        }


def _cost(usage: Usage, unknown: Unknown) -> float | None:
    """Tell what is not known from what is nothing."""
    return 0.0 if usage == Usage() and not unknown.tokens else usage.cost_usd


def _spent(usage: Usage, cost: float | None) -> dict[str, Any]:
    return {
        "tokens": usage.total_tokens,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "cost": cost,
    }


def by_name(operations: Iterable[Operation]) -> dict[str, Operation]:
    """Return operations by their names."""
    return {each.name: each for each in operations}
