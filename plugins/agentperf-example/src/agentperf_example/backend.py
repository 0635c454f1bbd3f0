"""A cache backend: a dict of bytes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from agentperf.abc import CacheBackend


class ExampleBackend(CacheBackend):
    """Keeps entries in the memory of the process.

    Args:
        now: Tells the time, in seconds.
    """

    blocking = False  # it does no I/O

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._entries: dict[str, tuple[bytes, float]] = {}
        self._now = now

    def get(self, key: str) -> bytes | None:
        """Return what is stored under `key`, unless its time is up."""
        value, until = self._entries.get(key, (None, 0.0))
        return value if self._now() < until else None

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Store `value` for `ttl` seconds."""
        self._entries[key] = (value, math.inf if ttl is None else self._now() + ttl)

    def delete(self, key: str) -> bool:
        """Remove `key`; tell whether it was there."""
        was_there = self.get(key) is not None
        self._entries.pop(key, None)
        return was_there

    def clear(self, prefix: str = "") -> None:
        """Remove every key that begins with `prefix`."""
        for key in list(self._entries):
            if key.startswith(prefix):
                self._entries.pop(key, None)
