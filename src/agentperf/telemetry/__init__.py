"""What the calls amounted to: counts, durations, tokens and money per operation."""

from __future__ import annotations

from agentperf.telemetry.aggregates import Aggregates
from agentperf.telemetry.histogram import Histogram
from agentperf.telemetry.memory import MemoryGrowth
from agentperf.telemetry.recent import Decision, Recent
from agentperf.telemetry.stats import OperationStats, total_usage

__all__ = [
    "Aggregates",
    "Decision",
    "Histogram",
    "MemoryGrowth",
    "OperationStats",
    "Recent",
    "total_usage",
]
