"""Hands every event to whoever subscribed to its kind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from agentperf._base.log import fault
from agentperf.errors import ConfigurationError
from agentperf.events.base import Event

Receiver = Callable[[Any], object]


class _Subscription:
    """A receiver and what it wants to hear of."""

    __slots__ = ("failed", "kinds", "receiver")

    def __init__(self, receiver: Receiver, kinds: tuple[type[Event], ...]) -> None:
        self.receiver = receiver
        self.kinds = kinds
        self.failed = False


class Bus:
    """A synchronous bus: an event reaches its receivers before the call goes on.

    Policies ask for an emitter when they are bound and get None while nobody listens, so an event
    that nobody wants is never made. `changed` is called when the set of receivers changes.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._subscriptions: tuple[_Subscription, ...] = ()

    def subscribe(self, receiver: Receiver, *kinds: type[Event]) -> Callable[[], None]:
        """Call `receiver(event)` for every event of `kinds`, all of them where none is named.

        The receiver runs inside the call that caused the event and must be quick. What it raises is
        logged once and swallowed.

        Returns:
            A function that ends the subscription.

        Raises:
            ConfigurationError: The receiver can't be called, or a kind is no class of events.
        """
        if not callable(receiver):
            raise ConfigurationError(
                f"subscribe({receiver!r}): a callable is needed, such as subscribe(print)"
            )
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, Event)):
                raise ConfigurationError(
                    f"subscribe(..., {kind!r}): a class of events is needed, such as "
                    "subscribe(print, agentperf.events.CallEnded)"
                )
        subscription = _Subscription(receiver, kinds or (Event,))
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)
        self._changed()

        def unsubscribe() -> None:
            with self._lock:
                left = (other for other in self._subscriptions if other is not subscription)
                self._subscriptions = tuple(left)
            self._changed()

        return unsubscribe

    def emitter(self, kind: type[Event]) -> Callable[[Event], None] | None:
        """Return what hands out events of `kind`, or None when nobody wants them."""
        interested = tuple(s for s in self._subscriptions if issubclass(kind, s.kinds))
        if not interested:
            return None

        def emit(event: Event) -> None:
            for subscription in interested:
                try:
                    subscription.receiver(event)
                except Exception as error:  # noqa: BLE001 - a receiver's own fault
                    _failed(subscription, error)

        return emit


def _failed(subscription: _Subscription, error: Exception) -> None:
    if not subscription.failed:
        subscription.failed = True
        # Not its repr: that of a bound method runs the code of its object.
        receiver = subscription.receiver
        name = getattr(receiver, "__qualname__", type(receiver).__qualname__)
        fault("subscriber.failed", error, subscriber=name)
