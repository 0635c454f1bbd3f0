"""The running figures of all operations."""

from __future__ import annotations

from typing import Any

from agentperf.errors import ConfigurationError
from agentperf.telemetry.histogram import DEFAULT_SCALE, Histogram
from agentperf.telemetry.recorder import OTHER, OperationRecorder
from agentperf.telemetry.stats import OperationStats, total_usage
from agentperf.usage import Usage


class Aggregates:
    """Implements `agentperf.abc.Tap`: exact figures per operation, in bounded memory.

    Args:
        max_operations: How many operations are told apart. Further ones are counted together under
            `"other"`, and `overflowed` says so.
        scale: Resolution of the histograms, 0 to 8; 5 makes quantiles right within 1.09 %.

    Attributes:
        overflowed: Whether calls of some operations are counted under `"other"`.

    Raises:
        ConfigurationError: An argument is out of range.
    """

    overflowed: bool

    def __init__(self, *, max_operations: int = 2000, scale: int = DEFAULT_SCALE) -> None:
        if max_operations < 1:
            raise ConfigurationError(
                f"max_operations={max_operations!r}: at least 1 is needed, such as 2000"
            )
        self.overflowed = False
        self._max_operations = max_operations
        self._scale = Histogram(scale).scale  # refuses a bad one here, not at the first call
        self._recorders: dict[str, OperationRecorder] = {}

    def recorder(self, operation: str) -> OperationRecorder:
        """Return the one recorder of `operation`, made on first use; it stays the same for good."""
        recorder = self._recorders.get(operation)
        return self._make_recorder(operation) if recorder is None else recorder

    def stats(self, operation: str) -> OperationStats:
        """Return the figures of one operation; empty ones if nothing was recorded for it."""
        recorder = self._recorders.get(operation) or OperationRecorder(operation, scale=self._scale)
        return recorder.snapshot()

    def snapshot(self) -> dict[str, OperationStats]:
        """Return the figures of every operation for which anything was recorded, by its name."""
        everything = [recorder.snapshot() for recorder in self._recorders.copy().values()]
        return {stats.operation: stats for stats in everything if not stats.empty}

    def usage(self) -> Usage:
        """Return the tokens and cost of all operations together, each counted once."""
        return total_usage(self.snapshot().values())

    def reset(self) -> None:
        """Forget all figures; recorders already handed out stay in use."""
        for recorder in self._recorders.copy().values():
            recorder.reset()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        operations = {name: stats.to_dict() for name, stats in self.snapshot().items()}
        return {"operations": operations, "overflowed": self.overflowed}

    def _make_recorder(self, operation: str) -> OperationRecorder:
        if len(self._recorders) >= self._max_operations:
            self.overflowed = True
            operation = OTHER
        # Of two threads that come here at once, both get the recorder that was put in first.
        return self._recorders.setdefault(
            operation, OperationRecorder(operation, scale=self._scale)
        )
