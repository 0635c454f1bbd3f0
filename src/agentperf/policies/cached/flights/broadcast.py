"""What a stream has given so far, for all who read it: plain code, which waits for nobody."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from sys import getsizeof
from types import TracebackType
from typing import Any

from agentperf._engine.streams import AnyLiveStream, AsyncLiveStream
from agentperf.abc.waiting import Parker
from agentperf.errors import SharedStreamError
from agentperf.policies.cached.flights.twins import twin
from agentperf.policies.cached.state import Recording

MOST_ITEMS = 50_000
"""So many items of a stream are held at most."""
MOST_BYTES = 32 * 2**20
"""So many bytes of them, as far as each says how large it is itself."""

TOO_LONG = "the stream is longer than a recording may be"
UNCOPYABLE = "it can't be copied"
SENT_INTO = "the stream's reader sent something into it"

_NOTHING: Any = object()


class Seat:
    """One reader's place in a stream.

    Attributes:
        at: The number of the item it reads next.
        gone: Whether the reader has left.
        waiter: The flight on whose behalf it reads, which can't land before this one then.
    """

    __slots__ = ("at", "gone", "waiter")

    def __init__(self) -> None:
        self.at = 0
        self.gone = False
        self.waiter: Any = None


class Broadcast:
    """The items of one stream, held for those who read it and for the cache.

    One at a time adds; any number of threads take. While everything from the first item on is
    held, the stream can be joined and recorded. Past a bound, or once an item can't be copied, it
    is `unfit` for both: its readers read on, and what all of them have read is let go.

    Args:
        own: Returns what one more reader may have of an item: itself, or a copy.
        lock: Guards the seats; reentrant, since the collector may find a reader at any time.
        on_unfit: Called when the stream can't be joined any more.
        most_items: How many items are held at most.
        most_bytes: How many bytes of them.

    Attributes:
        count: How many items there were.
        over: Whether it has come to its end.
        error: What it failed with, if it did.
        unfit: Why it can be neither joined nor recorded; None while it can.
        deserted: Whether its last reader has gone.
        seats: Those who read it.
        waiting: Those who wait for the next item, or for the end.
    """

    def __init__(
        self,
        own: Callable[[Any], Any],
        *,
        lock: Any = None,
        on_unfit: Callable[[], object] = lambda: None,
        most_items: int | None = None,
        most_bytes: int | None = None,
    ) -> None:
        self._own = own
        self._lock = threading.RLock() if lock is None else lock
        self._on_unfit = on_unfit
        self._most_items = MOST_ITEMS if most_items is None else most_items
        self._most_bytes = MOST_BYTES if most_bytes is None else most_bytes
        self._items: dict[int, Any] = {}
        # The newest item as it came, for the first who takes it; all others get copies.
        self._newest: dict[int, Any] = {}
        self._size = 0
        self._returned: Any = None
        self._traceback: TracebackType | None = None
        self.count = 0
        self.over = False
        self.error: BaseException | None = None
        self.unfit: str | None = None
        self.uncopyable: Exception | None = None
        self.deserted = False
        self.seats: set[Seat] = set()
        self.waiting: deque[Parker] = deque()

    def join(self) -> Seat | None:
        """Take a seat before the first item; None where that isn't held any more."""
        with self._lock:
            if self.unfit is not None or self.deserted:
                return None
            seat = Seat()
            self.seats.add(seat)
            return seat

    def claim(self, seat: Seat) -> bool:
        """Have the stream for oneself; False where others read it, or have read further."""
        with self._lock:
            if len(self.seats) > 1 or seat.at != self.count or self.over:
                return False
            self._spoil(SENT_INTO)
            return True

    def leave(self, seat: Seat, *, expected: bool = False) -> bool:
        """Give a seat back; True for who has to close the stream: the last one, before its end.

        Args:
            seat: Where it was.
            expected: Whether others are on their way to a seat.
        """
        with self._lock:
            self.seats.discard(seat)
            if self.seats or expected or self.deserted:
                return False
            self.deserted = True
            if self.over:
                self._let_go()
            return not self.over

    def add(self, item: Any) -> None:
        """Take down the next item."""
        at = self.count
        self._newest.clear()
        self._newest[at] = item
        # Past the bounds, what a lone reader reads needn't be held: it takes the newest.
        if self.unfit is None or (self.unfit is TOO_LONG and len(self.seats) > 1):
            try:
                held = self._items[at] = self._own(item)
                self._size += getsizeof(held)
            except Exception as error:  # noqa: BLE001 - copying runs the item's own code
                self._items.pop(at, None)
                self.uncopyable = error
                self._spoil(UNCOPYABLE)
            if at >= self._most_items or self._size > self._most_bytes:
                self._spoil(TOO_LONG)
        self.count = at + 1
        if self.unfit is not None:
            self._trim()

    def finish(self, *, error: BaseException | None = None, returned: Any = None) -> None:
        """Take down the end: what it failed with, or what a generator returned."""
        if self.over:
            return
        at = self.count
        self._newest.clear()
        self._newest[at] = returned if error is None else error
        self.error, self._traceback = error, None if error is None else error.__traceback__
        if returned is not None:
            try:
                self._returned = self._own(returned)
            except Exception as problem:  # noqa: BLE001 - copying runs the value's own code
                self.uncopyable = problem
        self.over = True

    def take(self, seat: Seat) -> Any:
        """Return the next item of a reader, its own.

        Raises:
            SharedStreamError: It isn't held any more, or can be had only once.
        """
        at = seat.at
        item = self._newest.pop(at, _NOTHING)
        if item is _NOTHING:
            item = self._items.get(at, _NOTHING)
            if item is _NOTHING:
                raise self._lost(at)
            item = self._own(item)
        seat.at = at + 1
        return item

    def end(self) -> Any:
        """Return what the stream returned, to a reader who has taken all; or raise its error.

        Raises:
            BaseException: What the stream failed with; to all but the first a copy of it.
            SharedStreamError: It was interrupted, or returned what can be had only once.
        """
        first = self._newest.pop(self.count, _NOTHING)
        if self.error is None:
            if first is not _NOTHING:
                return first
            if self.uncopyable is not None:
                raise SharedStreamError(_ONCE) from self.uncopyable
            return None if self._returned is None else self._own(self._returned)
        if not isinstance(self.error, Exception):
            raise SharedStreamError(_INTERRUPTED) from None
        if first is not _NOTHING:
            raise first
        raise twin(self.error).with_traceback(self._traceback)

    def recording(self, stream: AnyLiveStream) -> Recording:
        """Return the whole stream, which has come to its end.

        Raises:
            Exception: What it returned can't be copied.
        """
        is_async = type(stream) is AsyncLiveStream
        returned = self._own(stream.returned)
        return Recording(tuple(self._items.values()), returned, is_async, stream.__class__)

    def wake(self) -> None:
        """Wake all who wait."""
        # Never another list in its place: somebody may be about to stand in the old one.
        waiting = self.waiting
        while waiting:
            with contextlib.suppress(IndexError):  # another thread was quicker
                waiting.popleft().unpark()

    def _spoil(self, reason: str) -> None:
        with self._lock:
            if self.unfit is not None:
                return
            self.unfit = reason
        self._on_unfit()

    def _trim(self) -> None:
        """Hold only what somebody still has to read, as far as the bounds allow."""
        with self._lock:
            needed = min((seat.at for seat in self.seats), default=self.count)
            for at in list(self._items):
                fits = len(self._items) <= self._most_items and self._size <= self._most_bytes
                if at >= needed and fits:
                    break
                self._size -= getsizeof(self._items.pop(at))

    def _lost(self, at: int) -> SharedStreamError:
        if self.uncopyable is None:
            return SharedStreamError(
                f"this reader fell too far behind: item {at} of the stream it shares with others "
                f"is not held any more, {self.count - at} items after it came"
            )
        error = SharedStreamError(_ONCE)
        error.__cause__ = self.uncopyable
        return error

    def _let_go(self) -> None:
        self._items.clear()
        self._newest.clear()
        self.error = self._traceback = self._returned = None


_ONCE = "something in a stream that several share can't be copied, and another reader has it"
_INTERRUPTED = "who drove a stream that several share was interrupted; ask for it anew"
