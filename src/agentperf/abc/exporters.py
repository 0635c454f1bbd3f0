"""What takes facts out of the process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from agentperf.events import Event


@dataclass(frozen=True, slots=True)
class Noted:
    """An event and when it happened.

    Attributes:
        at: Seconds since the epoch.
        event: What happened.
    """

    at: float
    event: Event


class Exporter(ABC):
    """Takes events out of the process, in batches, off the path of the calls they tell of.

    A host puts a bounded queue in front of it: what doesn't fit is dropped and counted, no call
    ever waits. All methods are called from one thread at a time, which is the queue's own; what
    they raise is logged once, and the batch counts as dropped.
    """

    kinds: tuple[type[Event], ...] = (Event,)
    """Which events it wants; all of them by default."""

    @abstractmethod
    def export(self, batch: Sequence[Noted]) -> None:
        """Take a batch of events, the oldest first; may block, never for ever."""

    def close(self) -> None:  # noqa: B027 - not every exporter holds something
        """Let go of files and connections; called once, after the last batch."""
