"""Writes the calls of a host to a file."""

from __future__ import annotations

import os
import platform
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from agentperf._base.clock import Clock
from agentperf.abc.exporters import Exporter, Noted
from agentperf.events import CacheHit, CacheMiss, CacheRefused, CacheStored, CallEnded, Event
from agentperf.telemetry.exporting import Exporting
from agentperf.telemetry.recording.schema import (
    CACHE_COUNTS,
    Header,
    cache_line,
    call_line,
    encoded,
    end_line,
)
from agentperf.telemetry.report.summary import CacheCounts
from agentperf.telemetry.tally import Tally

CAPACITY = 50_000
"""How many calls may wait to be written."""


class Recorded(Protocol):
    """What a recording asks of a host."""

    clock: Clock

    def subscribe(
        self, receiver: Callable[[Event], object], *kinds: type[Event]
    ) -> Callable[[], None]:
        """Call `receiver` for every event of `kinds`."""
        ...

    def export(self, exporter: Exporter, *, capacity: int) -> Exporting:
        """Hand events to an exporter."""
        ...


class Writer(Exporter):
    """Writes every call of a host to a file, from the moment it is made to `stop`.

    Calls go through a queue and are written in batches, by a thread. What caches do is counted on
    the spot, and the counts are written with the next batch: hit rates are exact whatever the queue
    had to drop. A forked child adds to the same file.

    Args:
        host: Whose calls.
        path: The file, which is added to.
        program: What is run, for the header.
        version: agentperf's own.
    """

    kinds: tuple[type[Event], ...] = (CallEnded,)

    def __init__(self, host: Recorded, path: Path, *, program: str, version: str) -> None:
        self._host = host
        self._path = path
        self._owner = os.getpid()
        self._broken = False
        # Unbuffered and appended to: a batch is written at once, also among those of other
        # processes, and a fork finds nothing half written.
        self._file = path.open("ab", buffering=0)
        now = host.clock.wall()
        python = f"{platform.python_version()} on {sys.platform}"
        header = Header(agentperf=version, python=python, program=program, started=now)
        self._write(encoded([header.line()]))
        self._export = host.export(self, capacity=CAPACITY)
        self._count()
        _writers.add(self)

    def _count(self) -> None:
        self._caches: dict[str, _Counts] = {}
        self._uncount = self._host.subscribe(
            self._counted, CacheHit, CacheMiss, CacheStored, CacheRefused
        )

    def _counted(self, event: Event) -> None:
        counts = self._caches.get(event.operation)
        if counts is None:
            counts = self._caches.setdefault(event.operation, _Counts())
        counts.tallies[_count_of(event)].add()

    def begin_anew(self) -> None:
        """Go on in a forked child: what its parent counted, or had half written, is not its."""
        self._broken = False
        self._count()

    def export(self, batch: Sequence[Noted]) -> None:
        """Write a batch of calls, and what the caches did meanwhile."""
        lines = [line for noted in batch if (line := call_line(noted)) is not None]
        self._write(encoded([*lines, *self._news()]))

    def close(self) -> None:
        """Write the rest; the process that began the recording says that it is whole."""
        lines = self._news()
        if os.getpid() == self._owner:
            lines.append(end_line(self._host.clock.wall(), self.dropped))
        try:
            self._write(encoded(lines))
        finally:
            self._file.close()

    @property
    def dropped(self) -> int:
        """How many calls could not be written."""
        return self._export.dropped

    def caches(self) -> dict[str, CacheCounts]:
        """Return what the caches did so far, by operation."""
        return {name: CacheCounts(**counts.totals()) for name, counts in self._caches.items()}

    def stop(self, timeout: float = 5.0) -> bool:
        """Write what is left and end; returns whether that was done within `timeout` seconds."""
        self._uncount()
        return self._export.close(timeout)

    def discard(self) -> None:
        """End, and remove the file: there was nothing to record."""
        self.stop()
        self._path.unlink(missing_ok=True)

    def _news(self) -> list[dict[str, Any]]:
        now = self._host.clock.wall()
        news = ((name, counts.news()) for name, counts in self._caches.copy().items())
        return [cache_line(now, name, counts) for name, counts in news if any(counts.values())]

    def _write(self, data: bytes) -> None:
        """Write it all, or nothing any more: a recording may be torn at its end only."""
        if self._broken:
            raise OSError(f"{self._path} could not be written to")
        self._broken = True
        while data:
            data = data[self._file.write(data) :]
        self._broken = False


class _Counts:
    """What one cache did, and how much of that has been told."""

    def __init__(self) -> None:
        self.tallies = {name: Tally() for name in CACHE_COUNTS}
        self._told = dict.fromkeys(CACHE_COUNTS, 0)

    def totals(self) -> dict[str, int]:
        return {name: tally.total() for name, tally in self.tallies.items()}

    def news(self) -> dict[str, int]:
        totals = self.totals()
        news = {name: totals[name] - self._told[name] for name in CACHE_COUNTS}
        self._told = totals
        return news


def _count_of(event: Event) -> str:
    match event:
        case CacheHit():
            return "hits"
        case CacheMiss():
            return "shared" if event.shared else "misses"
        case CacheStored():
            return "stored"
        case _:
            return "refused"


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


def _begin_again_after_fork() -> None:
    # Hosts have begun anew already: theirs was registered first.
    for writer in list(_writers):
        writer.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again_after_fork)
