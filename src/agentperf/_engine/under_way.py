"""How many calls are under way, and how many of them have an extra attempt."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class UnderWay:
    """The calls that are under way at this moment, counted as cheaply as that can be.

    Calls are counted from when one of them has an extra attempt, so that they cost nothing as long
    as all goes well. Those that began before that are not seen: more are under way than are known.

    Attributes:
        extra: One item for each extra attempt under way, its pause included. (Whether a list is
            empty is asked faster than any number is compared, and it counts without a lock.)
        calls: One item for each call that began while there was one.
    """

    __slots__ = ("calls", "extra")

    def __init__(self) -> None:
        self.extra: list[None] = []
        self.calls: list[None] = []

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Count a call; to be entered while there are extra attempts."""
        self.calls.append(None)
        try:
            yield
        finally:
            self.calls.pop()
