"""The memory of the process in the form of a backend: for bytes, behind the same contract."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from agentperf._base.clock import Clock
from agentperf.abc.backends import CacheBackend, Lasting
from agentperf.policies.cached.memory.store import Entry, MemoryStore


class MemoryBackend(CacheBackend):
    """Keeps bytes in memory.

    Args:
        clock: Where time comes from; real time by default.
        max_entries: How many entries to keep at most.
    """

    blocking = False
    atomic = True

    def __init__(self, clock: Clock | None = None, max_entries: int = 1024) -> None:
        self._now = (clock or Clock()).now
        self._store = MemoryStore(max_entries)
        self._lock = threading.RLock()

    def get(self, key: str) -> bytes | None:
        """Return what is stored under `key`."""
        entry = self._store.entries.get(key)
        if entry is None:
            return None
        if self._now() < entry.fresh_until:
            self._store.used(entry)
            return bytes(entry.value)
        self._store.remove(key, entry)
        return None

    def get_lasting(self, keys: Iterable[str]) -> dict[str, Lasting]:
        """Return what is stored under those of `keys` that are there, and for how long."""
        now, found = self._now(), {}
        for key in keys:
            entry = self._store.entries.get(key)
            if entry is not None and now < entry.fresh_until:
                self._store.used(entry)
                found[key] = Lasting(bytes(entry.value), entry.fresh_until - now)
        return found

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Store `value` under `key` for `ttl` seconds."""
        until = float("inf") if ttl is None else self._now() + ttl
        with self._lock:
            self._store.put(Entry(key, value, until, quick=False))

    def delete(self, key: str) -> bool:
        """Remove `key`; tell whether it was there."""
        with self._lock:
            return self.get(key) is not None and self._store.remove(key)

    def clear(self, prefix: str = "") -> None:
        """Remove every key that begins with `prefix`."""
        with self._lock:
            for entry in self._store:
                if str(entry.key).startswith(prefix):
                    self._store.remove(entry.key)

    def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        """Store `value` only if nothing is there."""
        with self._lock:
            return super().add(key, value, ttl)

    def replace(self, key: str, old: bytes, new: bytes, ttl: float | None = None) -> bool:
        """Store `new` only if `old` is there."""
        with self._lock:
            return super().replace(key, old, new, ttl)

    def delete_if(self, key: str, value: bytes) -> bool:
        """Remove `key` only if `value` is there."""
        with self._lock:
            return super().delete_if(key, value)

    def set_if(
        self,
        key: str,
        value: bytes,
        ttl: float | None = None,
        *,
        guard: str,
        token: bytes,
        mark: bytes,
        mark_ttl: float,
    ) -> bool:
        """Store `value` only if `token` is under `guard`, and put `mark` in its place."""
        fence: Any = {"guard": guard, "token": token, "mark": mark, "mark_ttl": mark_ttl}
        with self._lock:
            return super().set_if(key, value, ttl, **fence)
