"""Where counts and durations go: the synchronous tap that policies write to."""

from __future__ import annotations

from typing import Protocol

from agentperf._base.endings import Ending
from agentperf.usage import Usage


class Books(Protocol):
    """Takes down what calls spend."""

    def used(self, usage: Usage, *, own: bool) -> None:
        """Add tokens and cost; `own` when this operation, not one inside it, spent them."""


class Recorder(Books, Protocol):
    """The running figures of one operation; safe to write from any thread, exact.

    Attributes:
        operation: The name the calls are counted under.
        durations: Seconds of completed calls, not yet folded into the histogram. A writer appends
            (which no thread can tear) and calls `fold()` when the list has grown to `FOLD_AT`.
        gaps: Seconds between the items of streams, to be appended to in the same way.
    """

    operation: str
    durations: list[float]
    gaps: list[float]

    def fold(self) -> None:
        """Move what is pending into the histograms; never waits for another thread that does so."""

    def failed(self, seconds: float, error: BaseException) -> None:
        """Count a call that raised."""

    def dropped(self, seconds: float, ending: Ending) -> None:
        """Count a call that was cancelled, or a stream closed early or abandoned."""

    def first_item(self, seconds: float) -> None:
        """Note a stream's time to its first item, measured from the call."""

    def memory(self, delta: int) -> None:
        """Note by how many bytes the memory in use grew during a call."""


FOLD_AT = 4096
"""How many pending durations a writer lets grow before it folds them."""


class Tap(Protocol):
    """Gives every operation its recorder."""

    def recorder(self, operation: str) -> Recorder:
        """Return the one recorder of `operation`, made on first use."""
        ...
