"""Events of calls: of timed functions, and of clients that are instrumented."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agentperf._base.endings import Ending
from agentperf.events.base import Event
from agentperf.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(Event):
    """A measured call came to its end; a stream's call ends with the stream.

    Attributes:
        seconds: From the call to its end; for a stream only the time inside the producer.
        ending: How it ended.
        error: Class name of the error, where it failed.
        first_item: Seconds to the first item of a stream.
        items: How many items a stream gave; None for a plain call.
        attributes: What `timed(attributes=...)` said of the call.
        usage: Tokens and money that this call spent itself, where it says so; what was spent by
            measured calls inside it stands in theirs.
    """

    seconds: float
    ending: Ending
    error: str | None = None
    first_item: float | None = None
    items: int | None = None
    attributes: Mapping[str, object] | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowCall(Event):
    """A timed call took longer than its `slow=`.

    Attributes:
        seconds: How long it took.
        limit: The `slow=` it went over, in seconds.
        attributes: What `timed(attributes=...)` said of the call.
    """

    seconds: float
    limit: float
    attributes: Mapping[str, object] | None = None
