"""What a backend can do for copies of its entries: tell of what anybody changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Protocol


class Watcher(Protocol):
    """Somebody who keeps copies of entries, and is told when they are no longer good.

    Its methods are quick, raise nothing, and may be called from any thread, one at a time.
    """

    def began(self) -> None:
        """From now on every change is told; there may have been others before."""

    def changed(self, keys: Iterable[str] | None) -> None:
        """What is stored under these keys was replaced or removed; None: under any of all keys."""

    def ended(self, error: Exception) -> None:
        """Changes may be missed from now on, until it begins again."""


class Watchable(ABC):
    """A cache backend that tells of each change to its entries, whoever made it.

    For a `CacheBackend` or an `AsyncCacheBackend` whose server has means to tell. A tier in memory
    in front of it is then emptied of what others change as soon as they do.
    """

    @abstractmethod
    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Begin to tell a watcher, in the background, and begin again whenever it was cut off.

        A change is told after it was made, and also where it was the watcher's own. Telling too
        much does no harm. It returns at once, whether the server is there or not, and doesn't
        outlive a fork: the child asks again.

        Args:
            watcher: Whom to tell.

        Returns:
            What ends it; nothing is begun after that.
        """
