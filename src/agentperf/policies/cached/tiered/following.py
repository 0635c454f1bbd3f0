"""Keeps the near tier in step with what others change, where the far backend tells of it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable

from agentperf._base.log import warn
from agentperf.abc.watching import Watchable
from agentperf.policies.cached.tiered.near import Near


class Following:
    """Has a near tier follow its far backend, from the first use on.

    Args:
        near: The near tier.
        far: What tells; None where nothing does.
    """

    def __init__(self, near: Near, far: Watchable | None) -> None:
        self._near = near
        self._far = far
        self.begin_anew()
        _followings.add(self)

    def begin_anew(self) -> None:
        """Start with nothing, as in a forked child: the thread that told is the parent's."""
        self._near.begin_anew()
        self._lock = threading.Lock()
        self._end: Callable[[], object] | None = None

    def begin(self) -> None:
        """Follow, unless that was begun; never raises."""
        if self._far is None or self._end is not None:
            return
        with self._lock:
            if self._end is None:
                follower = Follower(self._near)
                try:
                    end = self._far.watch(follower)
                except Exception as error:  # noqa: BLE001 - no more threads; the near ones expire
                    follower.ended(error)
                    end = _nothing
                self._end = weakref.finalize(self, _ended, follower, end)

    def end(self) -> None:
        """Follow no longer, and keep nothing; `begin` begins again."""
        with self._lock:
            if self._end is not None:
                self._end()
                self._end = None
        self._near.watched = False
        self._near.clear()


class Follower:
    """Does in the near tier what others did in the far one.

    Args:
        near: The near tier; it may go.
    """

    def __init__(self, near: Near) -> None:
        self._near = weakref.ref(near)
        self._told = False
        self.active = True

    def began(self) -> None:
        """Give up what is there: it may have been changed while nobody told."""
        if (near := self._near()) is not None and self.active:
            near.clear()
            near.watched, self._told = True, False

    def changed(self, keys: Iterable[str] | None) -> None:
        """Give up these."""
        if (near := self._near()) is not None and self.active:
            near.clear() if keys is None else near.forget(keys)

    def ended(self, error: Exception) -> None:
        """Give up what is there, and say so once."""
        if (near := self._near()) is not None and self.active:
            near.watched = False
            near.clear()
            if not self._told:
                self._told = True
                warn("cache.not_watched", error=type(error).__name__)


def _ended(follower: Follower, end: Callable[[], None]) -> None:
    follower.active = False
    end()


def _nothing() -> None:
    pass


_followings: weakref.WeakSet[Following] = weakref.WeakSet()


def _begin_again_after_fork() -> None:
    for following in list(_followings):
        following.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again_after_fork)
