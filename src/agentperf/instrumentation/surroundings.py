"""What an observed call is part of, so that nothing is counted twice."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from contextvars import Token as Reset


class ModelCallAround:
    """Stands for a model call while the SDK is making it.

    Attributes:
        sent: How many HTTP requests were made for it so far.
    """

    __slots__ = ("sent",)

    def __init__(self) -> None:
        self.sent = 0


surrounding: ContextVar[object] = ContextVar("agentperf.surrounding", default=None)
"""A `ModelCallAround`; or the HTTP request that is being sent, for requests the other side makes
in this very process are its own."""


def leave(entered: Reset[object]) -> None:
    """Go back to what was around before; a coroutine may be closed in another context."""
    with suppress(ValueError):
        surrounding.reset(entered)
