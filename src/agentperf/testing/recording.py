"""Events, written down for a test to look at."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TypeVar

from agentperf._engine.current import current_host
from agentperf.events import Event

E = TypeVar("E", bound=Event)


class EventLog(list[Event]):
    """The events of a region, in their order."""

    def of(self, kind: type[E]) -> list[E]:
        """Return those of one kind."""
        return [event for event in self if isinstance(event, kind)]

    def names(self) -> list[str]:
        """Return the kinds, by name."""
        return [type(event).__name__ for event in self]


@contextlib.contextmanager
def recorded(*kinds: type[Event]) -> Iterator[EventLog]:
    """Write down the events of a region on the current host; all kinds where none is named.

    Example:
        with recorded(events.CacheHit) as log:
            answer("hello")
            answer("hello")
        assert len(log) == 1
    """
    log = EventLog()
    stop = current_host().bus.subscribe(log.append, *kinds)
    try:
        yield log
    finally:
        stop()
