"""Places that calls take up, and the line of those who wait: first come, first served."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from agentperf._base.ranked import Ranked
from agentperf.abc.waiting import Parker, Waiting


class Waiter:
    """One call in a line.

    Attributes:
        need: What it waits for.
        rank: Where it stands: behind all whose rank is not higher.
        number: What the line knows it by.
        parker: Where it waits, once it does.
        left: Whether it stands in the line no more.
    """

    __slots__ = ("left", "need", "number", "parker", "rank")

    def __init__(self, need: Any = None, rank: int = 0) -> None:
        self.need = need
        self.rank = rank
        self.number = 0
        self.parker: Parker | None = None
        self.left = False


class Line:
    """Those who wait. Only the first of them may take anything, so nobody is overtaken for ever.

    What is waited for is never handed over: the first is woken and takes it by itself. So whoever
    is cancelled meanwhile holds nothing that could get lost. To leave costs the same wherever one
    stands: thousands may be cancelled at once. A line has no lock of its own; whoever keeps it
    locks.
    """

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: Ranked[Waiter] = Ranked()

    def __len__(self) -> int:
        return len(self._waiters)

    def __iter__(self) -> Iterator[Waiter]:
        """Go through them in their order."""
        return iter(self._waiters)

    def join(self, need: Any = None, rank: int = 0) -> Waiter:
        """Stand at the end, or before those of a higher rank."""
        waiter = Waiter(need, rank)
        waiter.number = self._waiters.add(rank, waiter)
        return waiter

    def is_first(self, waiter: Waiter, parker: Parker) -> bool:
        """Whether it is the waiter's turn; `parker` is where it is woken if not."""
        waiter.parker = parker
        return self._first() is waiter

    def leave(self, waiter: Waiter) -> None:
        """Leave the line; who comes first then is woken."""
        if waiter.left:
            return
        was_first = self._first() is waiter
        self._remove(waiter)
        if was_first:
            self.wake()

    def wake(self) -> None:
        """Wake the first that can still be woken: the loops of others may have been closed."""
        while (first := self._first()) is not None and (parker := first.parker) is not None:
            if not parker.deserted:
                parker.unpark()
                return
            self._remove(first)

    def _first(self) -> Waiter | None:
        first = self._waiters.first()
        return None if first is None else first[2]

    def _remove(self, waiter: Waiter) -> None:
        waiter.left = True
        self._waiters.remove(waiter.number)


class Places:
    """A number of places, shared by threads, tasks and event loops.

    Attributes:
        limit: How many there are.
        in_use: How many are taken. More than `limit` for a while after that was lowered.
        refused: How many calls found neither a place nor room in the line.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_use = 0
        self.refused = 0
        # Reentrant: a stream that is collected while the lock is held gives its place back there.
        self._lock = threading.RLock()
        self._line = Line()

    @property
    def waiting(self) -> int:
        """How many stand in the line."""
        return len(self._line)

    def take(self) -> bool:
        """Take a place, if there is one and nobody waits for it."""
        # Not `with`, which costs twice as much, on the path of every call.
        self._lock.acquire()
        try:
            if self.in_use >= self.limit or self._line:
                return False
            self.in_use += 1
            return True
        finally:
            self._lock.release()

    def release(self) -> None:
        """Give a place back."""
        self._lock.acquire()
        try:
            self.in_use -= 1
            if self._line and self.in_use < self.limit:
                self._line.wake()
        finally:
            self._lock.release()

    def resize(self, limit: int) -> None:
        """Have another number of places; those taken beyond it are not taken away."""
        with self._lock:
            self.limit = limit
            if self.in_use < limit:
                self._line.wake()

    async def wait(
        self, waiting: Waiting, seconds: float | None = None, room: int | None = None
    ) -> bool:
        """Take a place as soon as it is one's turn.

        Args:
            waiting: How this call waits.
            seconds: How long it waits at most.
            room: How many may stand in the line; None for any number.

        Returns:
            Whether it has one; False when the time passed, or there was no room.
        """
        waiter = self._join(room)
        if waiter is None:
            return False
        until = None if seconds is None else waiting.now() + seconds
        try:
            while not self._advance(waiter, parker := waiting.parker()):
                left = None if until is None else until - waiting.now()
                if left is not None and left <= 0:
                    return False
                await parker.park(left)
        finally:
            if not waiter.left:
                with self._lock:
                    self._line.leave(waiter)
        return True

    def _join(self, room: int | None) -> Waiter | None:
        with self._lock:
            free = self.in_use < self.limit and not self._line
            if not free and room is not None and len(self._line) >= room:
                self.refused += 1
                return None
            return self._line.join()

    def _advance(self, waiter: Waiter, parker: Parker) -> bool:
        with self._lock:
            if not self._line.is_first(waiter, parker) or self.in_use >= self.limit:
                return False
            self.in_use += 1
            self._line.leave(waiter)  # and the next looks whether there is one more
            return True
