"""An exporter: one line of JSON for each event."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from agentperf.abc import Exporter, Noted


class LinesExporter(Exporter):
    """Writes events to a file.

    Args:
        file: Lines are added at its end.
    """

    def __init__(self, file: str | Path) -> None:
        self._file = Path(file)

    def export(self, batch: Sequence[Noted]) -> None:
        """Write a line for each event."""
        with self._file.open("a", encoding="utf-8") as opened:
            for noted in batch:
                facts = dataclasses.asdict(noted.event)
                line = {"at": noted.at, "event": type(noted.event).__name__, **facts}
                opened.write(json.dumps(line, default=str) + "\n")
