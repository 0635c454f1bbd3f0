"""Reads a recording back into figures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentperf._base.endings import Ending
from agentperf.errors import ConfigurationError
from agentperf.telemetry.histogram import Histogram
from agentperf.telemetry.recording.schema import (
    Call,
    Header,
    Malformed,
    cache_of,
    call_of,
    dropped_of,
    header_of,
)
from agentperf.telemetry.report.summary import CacheCounts, Operation, Summary
from agentperf.telemetry.report.unknown import Unknown
from agentperf.telemetry.stats import OperationStats
from agentperf.usage import Usage


@dataclass(frozen=True, slots=True)
class Recording:
    """A run, as it was written down.

    Attributes:
        name: The recording's name.
        header: What was run, when and on what.
        summary: The figures of its operations.
        ended: Whether the run came to its end; else it was killed, or is still going on.
        torn: Whether the last line was cut off; it is left out.
        dropped: How many calls could not be written.
    """

    name: str
    header: Header
    summary: Summary
    ended: bool
    torn: bool
    dropped: int

    def remarks(self) -> list[str]:
        """Say what the reader of its figures should know."""
        found = []
        if not self.ended:
            found.append(f"{self.name}: the run didn't come to its end, or is still going on")
        if self.torn:
            found.append(f"{self.name}: the last line was cut off and is left out")
        if self.dropped:
            found.append(f"{self.name}: {self.dropped:,} calls were not written and are missing")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            "name": self.name,
            **self.header.line(),
            "ended": self.ended,
            "torn": self.torn,
            "dropped": self.dropped,
            **self.summary.to_dict(),
        }


def read(path: Path) -> Recording:
    """Read a recording.

    A last line that was cut off, as when the program was killed, is left out.

    Raises:
        ConfigurationError: The file can't be read, is no recording, or is of a newer format; the
            line that is wrong is named.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None
    whole, _, rest = data.rpartition(b"\n")
    reading = _Reading()
    for number, line in _parsed(path, whole):
        try:
            reading.take(line)
        except Malformed as error:
            raise ConfigurationError(f"{path}, line {number}: {error}") from None
    if reading.header is None:
        raise ConfigurationError(f"{path} is no recording: it has no header")
    return Recording(
        path.stem,
        reading.header,
        reading.summary(),
        ended=reading.ended,
        torn=bool(rest),
        dropped=reading.dropped,
    )


class _Reading:
    """What was read so far."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self.ended = False
        self.dropped = 0
        self._operations: dict[str, _Gathered] = {}

    def take(self, line: dict[str, Any]) -> None:
        """Take the next line.

        Raises:
            Malformed: It isn't what it should be.
        """
        if self.header is None:
            self.header = header_of(line)
            return
        match line.get("kind"):
            case "call" | "model" | "http":
                call = call_of(line)
                self._of(call.operation).add(call)
            case "cache":
                operation, counts = cache_of(line)
                self._of(operation).cache.update(counts)
            case "end":
                self.ended, self.dropped = True, dropped_of(line)
            case other:
                raise Malformed(f"kind={other!r} is nothing that stands in a recording")

    def summary(self) -> Summary:
        """Return the figures of all that was read."""
        gathered = sorted(self._operations.items())
        return Summary(tuple(each.operation(name) for name, each in gathered))

    def _of(self, operation: str) -> _Gathered:
        return self._operations.setdefault(operation, _Gathered())


def _parsed(path: Path, data: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each line as an object, with its number."""
    for number, text in enumerate(data.split(b"\n") if data else [], 1):
        try:
            line: Any = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict):
            raise ConfigurationError(f"{path}, line {number}: not an object of JSON")
        yield number, line


@dataclass(slots=True)
class _Gathered:
    """What the lines of one operation amount to."""

    durations: dict[Ending, list[float]] = field(default_factory=dict[Ending, list[float]])
    first_items: list[float] = field(default_factory=list[float])
    errors: Counter[str] = field(default_factory=Counter[str])
    cache: Counter[str] = field(default_factory=Counter[str])
    usage: Usage = field(default_factory=Usage)
    unknown: Unknown = field(default_factory=Unknown)

    def add(self, call: Call) -> None:
        self.durations.setdefault(call.ending, []).append(call.seconds)
        if call.first_item is not None:
            self.first_items.append(call.first_item)
        if call.ending is Ending.FAILED:
            self.errors[call.error or "unknown"] += 1
        if call.usage is not None:
            self.usage += call.usage
        self.unknown += Unknown.of(
            call.usage, call.ending, model=call.model, streamed=call.streamed
        )

    def operation(self, name: str) -> Operation:
        """Make the figures, with the same histogram that running programs keep."""
        taken = {ending: self.durations.get(ending, []) for ending in Ending}
        cancelled, closed = taken[Ending.CANCELLED], taken[Ending.CLOSED]
        abandoned = taken[Ending.ABANDONED]
        stats = OperationStats(
            name,
            latency=Histogram().with_values(taken[Ending.COMPLETED]),
            failed_latency=Histogram().with_values(taken[Ending.FAILED]),
            dropped_latency=Histogram().with_values([*cancelled, *closed, *abandoned]),
            first_item=Histogram().with_values(self.first_items),
            errors=dict(self.errors),
            cancelled=len(cancelled),
            closed=len(closed),
            abandoned=len(abandoned),
            own_usage=self.usage,
            usage=self.usage,
        )
        cache = CacheCounts(**self.cache) if self.cache else None
        return Operation(stats, cache, self.unknown)
