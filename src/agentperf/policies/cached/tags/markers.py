"""The versions of tags, in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from agentperf.abc.backends import Backends


class Marker:
    """The version of a tag, in memory.

    Attributes:
        void: Whether the tag was invalidated since.
    """

    __slots__ = ("__weakref__", "void")

    def __init__(self) -> None:
        self.void = False


REMEMBERED = 4096
"""How many tags a table remembers to have been invalidated lately."""


class TagTable:
    """The present versions of the tags of one host, in memory.

    It keeps no version that no entry and no computation holds, so it is no larger than the caches
    are. Whoever comes after gets a new version, which nothing old was made under.

    Of the tags that were invalidated last it also remembers when, for computations under way that
    name their tags late; a *moment* is the number of invalidations until then.
    """

    def __init__(self) -> None:
        # Reentrant: the collector may run anything at any time.
        self._lock = threading.RLock()
        self._markers: WeakValueDictionary[str, Marker] = WeakValueDictionary()
        self.moment = 0
        self._invalidated: dict[str, int] = {}  # when each was last, in that order
        self._forgotten = 0
        self.told_of_template = False
        self.backends: set[Backends] = set()
        """Where else caches of the host keep what has tags."""

    def __len__(self) -> int:
        return len(self._markers)

    def markers(self, tags: Iterable[str]) -> tuple[Marker, ...]:
        """Return the versions of now."""
        with self._lock:
            return tuple([self._marker(tag) for tag in tags])

    def tags(self) -> dict[Marker, str]:
        """Return the tags that the versions of now belong to."""
        with self._lock:
            return {marker: tag for tag, marker in self._markers.items()}

    def stood(self, since: int, tags: Iterable[str]) -> bool:
        """Whether none of these tags was invalidated since a moment, as far as is remembered."""
        # Without the lock, for callers that hold one of their own.
        return since >= self._forgotten and all(
            self._invalidated.get(tag, 0) <= since for tag in tags
        )

    def markers_since(self, since: int, tags: Iterable[str]) -> tuple[Marker, ...] | None:
        """Return the versions of now, where they were the same at a moment in the past."""
        with self._lock:
            return self.markers(tags) if self.stood(since, tags) else None

    def invalidate(self, tags: Iterable[str]) -> None:
        """Void what was made under the versions of now."""
        with self._lock:
            self.moment += 1
            for tag in tags:
                self._remember(tag)
                if (marker := self._markers.pop(tag, None)) is not None:
                    marker.void = True

    def _remember(self, tag: str) -> None:
        self._invalidated.pop(tag, None)
        self._invalidated[tag] = self.moment
        if len(self._invalidated) > REMEMBERED:
            self._forgotten = self._invalidated.pop(next(iter(self._invalidated)))

    def _marker(self, tag: str) -> Marker:
        if (marker := self._markers.get(tag)) is None:
            marker = self._markers[tag] = Marker()
        return marker
