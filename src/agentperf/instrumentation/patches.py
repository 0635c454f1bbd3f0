"""Puts functions in the place of a class's own, and takes them off again."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

Wrap = Callable[[Callable[..., Any], "Patch"], Callable[..., Any]]

_MARK = "__agentperf_patch__"


class Patch:
    """A function in the place of another.

    Somebody else may have put theirs around it meanwhile, and keeps calling it: whether it does
    anything is therefore asked at every call.

    Attributes:
        active: Whether it does more than hand calls on.
    """

    __slots__ = ("_name", "_original", "_owner", "active", "wrapper")

    def __init__(self, owner: type, name: str, wrap: Wrap) -> None:
        self.active = True
        self._owner = owner
        self._name = name
        self._original = vars(owner)[name]
        self.wrapper = functools.wraps(self._original)(wrap(self._original, self))
        setattr(self.wrapper, _MARK, self)
        setattr(owner, name, self.wrapper)

    def off(self) -> None:
        """Do nothing from now on, and make room where nobody stands around it."""
        self.active = False
        if vars(self._owner).get(self._name) is self.wrapper:
            setattr(self._owner, self._name, self._original)


class Patches:
    """The patches of one instrumentor."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._placed: list[Patch] = []

    def put(self, owner: type, name: str, wrap: Wrap) -> None:
        """Put `wrap(original, patch)` in the place of a class's method, once.

        Raises:
            KeyError: The class has no such method of its own.
        """
        with self._lock:
            patch = _ours(vars(owner)[name])
            if patch is None:
                patch = Patch(owner, name, wrap)
            patch.active = True
            if patch not in self._placed:
                self._placed.append(patch)

    def remove(self) -> None:
        """Take all of them off."""
        with self._lock:
            for patch in reversed(self._placed):
                patch.off()
            self._placed.clear()


def _ours(function: Any) -> Patch | None:
    """Find a patch of ours in what stands there now, also behind what others put around it."""
    seen = 0
    while function is not None and seen < 100:  # a chain that comes back to itself ends too
        patch = getattr(function, _MARK, None)
        # `functools.wraps` copies the mark onto strangers.
        if isinstance(patch, Patch) and patch.wrapper is function:
            return patch
        function = getattr(function, "__wrapped__", None)
        seen += 1
    return None


def foreign(function: Any) -> bool:
    """Tell whether another library's proxy stands in the place of a function."""
    return type(function).__module__.partition(".")[0] in {"wrapt", "ddtrace"}
