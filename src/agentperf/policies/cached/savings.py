"""What answers that were given again would have cost: tokens and money, as replies report them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentperf.tokens import cost
from agentperf.usage import Usage, usage_of

_LAST = 4
"""So many items of a stream, from its end, are looked at for its usage."""

_FOLD_AT = 512


def of_stream(items: Sequence[Any]) -> Usage | None:
    """Return what a stream of chunks says its reply used; it stands near the end."""
    return next((used for item in reversed(items[-_LAST:]) if (used := of(item))), None)


def of(reply: Any) -> Usage | None:
    """Return what a reply of a model says it used, with its cost where the price is known.

    Args:
        reply: A reply; anything else used nothing.
    """
    try:
        used = usage_of(reply)
        if used is None or used.cost_usd is not None:
            return used
        model = _said(reply, "model") or _said(_said(reply, "response"), "model")
        return replace(used, cost_usd=cost(used, model, wait=False)) if model else used
    except Exception:  # noqa: BLE001 - properties of somebody else's reply
        return None


def _said(reply: Any, name: str) -> Any:
    return reply.get(name) if isinstance(reply, Mapping) else getattr(reply, name, None)


class Savings:
    """What was saved by answers that are kept as bytes: it stands in the replies themselves.

    A hit only notes what a reply says. It is read when somebody asks, or when there is much of it.
    """

    def __init__(self) -> None:
        self._pending: list[tuple[Any, Any]] = []
        self._total = Usage()
        self._lock = threading.Lock()

    def given(self, reply: Any) -> None:
        """Take note of a reply that was given again."""
        try:
            usage, model = _said(reply, "usage"), _said(reply, "model")
        except Exception:  # noqa: BLE001 - properties of somebody else's reply
            return
        if usage is None:
            self.add(of(reply))
        else:  # a copy, since the reply belongs to its reader
            self._note(dict(usage) if type(usage) is dict else usage, model)

    def add(self, used: Usage | None) -> None:
        """Take note of what needn't be used again."""
        if used is not None:
            self._note(used, None)

    def _note(self, usage: Any, model: Any) -> None:
        self._pending.append((usage, model))  # which no thread can tear
        if len(self._pending) >= _FOLD_AT:
            self.total()

    def total(self) -> Usage:
        """Return all that was saved so far."""
        with self._lock:
            pending = self._pending[:]
            del self._pending[: len(pending)]
            read = (of({"usage": usage, "model": model}) for usage, model in pending)
            self._total = sum(filter(None, read), self._total)
            return self._total
