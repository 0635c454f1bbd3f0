"""How a call or a stream came to its end."""

from __future__ import annotations

import enum


class Ending(enum.Enum):
    """The way a call ended; every call has exactly one."""

    COMPLETED = "completed"
    """It returned its value, or the stream was read to its end."""
    FAILED = "failed"
    """It raised an error."""
    CANCELLED = "cancelled"
    """Its caller went away: cancellation, an interrupt, an exit. Neither success nor failure."""
    CLOSED = "closed"
    """The consumer closed the stream before its end."""
    ABANDONED = "abandoned"
    """The stream was dropped and collected without being closed."""
