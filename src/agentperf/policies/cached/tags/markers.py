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


class TagTable:
    """The present versions of the tags of one host, in memory.

    It keeps no version that no entry and no computation holds, so it is no larger than the caches
    are. Whoever comes after gets a new version, which nothing old was made under.
    """

    def __init__(self) -> None:
        # Reentrant: the collector may run anything at any time.
        self._lock = threading.RLock()
        self._markers: WeakValueDictionary[str, Marker] = WeakValueDictionary()
        self.backends: set[Backends] = set()
        """Where else caches of the host keep what has tags."""

    def __len__(self) -> int:
        return len(self._markers)

    def markers(self, tags: Iterable[str]) -> tuple[Marker, ...]:
        """Return the versions of now."""
        with self._lock:
            return tuple([self._marker(tag) for tag in tags])

    def invalidate(self, tags: Iterable[str]) -> None:
        """Void what was made under the versions of now."""
        with self._lock:
            for tag in tags:
                if (marker := self._markers.pop(tag, None)) is not None:
                    marker.void = True

    def _marker(self, tag: str) -> Marker:
        if (marker := self._markers.get(tag)) is None:
            marker = self._markers[tag] = Marker()
        return marker
