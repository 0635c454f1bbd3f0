"""What keeps calls from waiting for a backend that is out of order, and what stands in for it."""

from __future__ import annotations

from agentperf._base.clock import Clock
from agentperf._engine.guard import Guard as _Guard
from agentperf.policies.cached.memory.backend import MemoryBackend

LOCAL_ENTRIES = 1024
"""Entries that the memory which stands in for a backend keeps at most, for all its caches."""


class Guard(_Guard):
    """Knows whether a backend works, who may ask it, and what stands in for it meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.local: MemoryBackend | None = None
        """What stands in while the backend is out of order, where a cache asked for that."""

    def stand_in(self, clock: Clock) -> MemoryBackend | None:
        """Return a memory that stands in for the backend until it works again; None if it does."""
        with self._lock:
            if not self.works and self.local is None:
                self.local = MemoryBackend(clock, LOCAL_ENTRIES)
            return self.local

    def _recovered(self) -> None:
        self.local = None
