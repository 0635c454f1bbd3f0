"""A window of calls that are also noted for the store."""

from __future__ import annotations

from agentperf.policies.circuit_breaker.windows import Batch, Window


class Noted:
    """A window whose calls are also noted for the store.

    Args:
        own: The window.
        news: What the store is to be told.
    """

    def __init__(self, own: Window, news: Window) -> None:
        self._own = own
        self.news = news

    @property
    def calls(self) -> int:
        """How many calls it holds."""
        return self._own.calls

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return self._own.failures

    @property
    def slow(self) -> int:
        """How many of them were slow."""
        return self._own.slow

    def record(self, now: float, *, failed: bool, slow: bool) -> None:
        """Take a call, and note it."""
        self._own.record(now, failed=failed, slow=slow)
        self.news.record(now, failed=failed, slow=slow)

    def succeed(self, times: list[float]) -> None:
        """Take calls that went well, and note them."""
        self._own.succeed(times)
        self.news.succeed(times)

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        self._own.expire(now)

    def batches(self, now: float) -> list[Batch]:
        """Return its calls in batches."""
        return self._own.batches(now)

    def absorb(self, later: Noted) -> None:
        """Take what another one holds."""
        self._own.absorb(later._own)
