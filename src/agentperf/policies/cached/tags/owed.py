"""Invalidations that a backend missed, kept until it can be told."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from agentperf._base.log import fault, warn
from agentperf._engine.hosting import Host
from agentperf.abc.backends import Backends
from agentperf.policies.cached.tags.versions import LIFETIME, PREFIX, new_versions

MOST = 10_000
"""How many tags are kept; when there are more, all tags of the backend are to be invalidated."""

_AT_ONCE = 500

Ask = Callable[[Callable[[Any], Any]], Awaitable[Any]]


class Owed:
    """What one backend missed while it was out of reach.

    Whoever asks the backend for something, on the host that invalidated, delivers first; so
    nothing that is void comes out of it there. Where the host invalidates again, and the backend
    works, that is delivered with it.

    What is kept has a number, so that a delivery doesn't take off the list what was put on it
    again meanwhile.

    Args:
        wall: Seconds since the epoch.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._tags: dict[str, int] = {}
        self._all = 0
        self._count = 0
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._tags or self._all)

    def add(self, tags: tuple[str, ...], error: Exception) -> None:
        """Keep tags that the backend couldn't be told of, for this reason; the first is logged."""
        with self._lock:
            news, were_few = not self, not self._all
            self._count += 1
            self._tags.update(dict.fromkeys(tags, self._count))
            if len(self._tags) > MOST:
                self._tags.clear()
                self._all = self._count
        if news:
            fault("cache.invalidation_failed", error)
        if were_few and self._all:
            warn("cache.too_many_invalidations", most=MOST)

    async def deliver(self, ask: Ask) -> None:
        """Tell the backend of everything; what was told is no longer owed."""
        with self._lock:
            numbers, everything = dict(self._tags), self._all
        if everything:
            # Without its versions, nothing that has tags is good any more.
            await ask(lambda backend: backend.clear(PREFIX))
            with self._lock:
                if self._all == everything:
                    self._all = 0
        tags, made_up = tuple(numbers), 0
        for begin in range(0, len(tags), _AT_ONCE):
            some = tags[begin : begin + _AT_ONCE]
            await ask(partial(replace, some, self._wall()))
            with self._lock:
                for tag in some:
                    if self._tags.get(tag) == numbers[tag]:
                        del self._tags[tag]
                        made_up += 1
        if made_up or everything:
            warn("cache.invalidations_made_up", tags="all" if everything else made_up)


def replace(tags: tuple[str, ...], date: float, backend: Any) -> Any:
    """Put other versions in place of those that tags have in a backend."""
    return backend.set_many(new_versions(tags, date), LIFETIME)


def owed_to(host: Host, backends: Backends) -> Owed:
    """Return what a host owes a backend."""
    one = backends.asynchronous if backends.sync is None else backends.sync
    return host.state(Owed, lambda: Owed(host.clock.wall), owners=(one, Owed))
