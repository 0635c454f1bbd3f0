"""Hands every event to whoever subscribed to its kind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from agentperf._base.log import fault
from agentperf.events.base import Event

Receiver = Callable[[Any], object]


class Bus:
    """A synchronous bus: an event reaches its receivers before the call goes on.

    Policies ask for an emitter when they are bound and get None while nobody listens, so an event
    that nobody wants is never made. `changed` is called when the set of receivers changes.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._receivers: tuple[tuple[Receiver, tuple[type[Event], ...]], ...] = ()
        self._failing: set[int] = set()

    def subscribe(self, receiver: Receiver, *kinds: type[Event]) -> Callable[[], None]:
        """Call `receiver(event)` for every event of `kinds`, all of them where none is named.

        The receiver runs inside the call that caused the event and must be quick. What it raises is
        logged once and swallowed.

        Returns:
            A function that ends the subscription.
        """
        subscription = (receiver, kinds or (Event,))
        with self._lock:
            self._receivers = (*self._receivers, subscription)
        self._changed()

        def unsubscribe() -> None:
            with self._lock:
                self._receivers = tuple(s for s in self._receivers if s is not subscription)
            self._changed()

        return unsubscribe

    def emitter(self, kind: type[Event]) -> Callable[[Event], None] | None:
        """Return what hands out events of `kind`, or None when nobody wants them."""
        receivers = tuple(r for r, kinds in self._receivers if issubclass(kind, kinds))
        if not receivers:
            return None

        def emit(event: Event) -> None:
            for receiver in receivers:
                try:
                    receiver(event)
                except Exception as error:  # noqa: BLE001 - a receiver's own fault
                    self._failed(receiver, error)

        return emit

    def _failed(self, receiver: Receiver, error: Exception) -> None:
        if id(receiver) not in self._failing:
            self._failing.add(id(receiver))
            fault("subscriber.failed", error, subscriber=repr(receiver))
