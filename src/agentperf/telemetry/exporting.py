"""The bounded queue in front of an exporter, with a thread of its own."""

from __future__ import annotations

import atexit
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from agentperf._base.log import fault
from agentperf.abc.exporters import Exporter, Noted
from agentperf.events import Event
from agentperf.telemetry.tally import Tally

BATCH = 512
"""How many events an exporter gets at once, at most."""

LINGER = 0.2
"""Seconds that an event waits for company."""

AT_EXIT = 5.0
"""Seconds that the end of the interpreter waits for what is still in the queue."""

Subscribe = Callable[..., Callable[[], None]]


class Exporting:
    """An exporter at work; made by `Host.export`, and called to end it: `stop()`.

    Events go into a queue, and a thread hands them to the exporter in batches. No call ever waits
    for it: what doesn't fit is dropped and counted, and so is a batch that the exporter failed on.
    A forked child begins with an empty queue and a thread of its own. What is still in the queue
    when the interpreter ends is exported then, for five seconds at most.
    """

    def __init__(self, exporter: Exporter, wall: Callable[[], float], capacity: int) -> None:
        self._exporter = exporter
        self._wall = wall
        self._capacity = capacity
        self._failed = self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._exported = 0
        self._dropped = Tally()
        # Both are written to from finalizers too, in the midst of anything: neither has a lock that
        # the thread which appends could be holding already.
        self._events: deque[Noted] = deque()
        self._bell: queue.SimpleQueue[_Errand | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def exported(self) -> int:
        """How many events the exporter took."""
        return self._exported

    @property
    def dropped(self) -> int:
        """How many events got lost: the queue was full, or the exporter failed on their batch."""
        return self._dropped.total()

    @property
    def waiting(self) -> int:
        """How many events are in the queue."""
        return len(self._events)

    @property
    def closed(self) -> bool:
        """Whether it was told to end."""
        return self._closed

    def listen(self, subscribe: Subscribe) -> None:
        """Begin with an empty queue, on a new bus; also in a forked child."""
        self._begin()
        self._unsubscribe = subscribe(self._put, *self._exporter.kinds)
        atexit.unregister(self._at_exit)  # a child has that of its parent
        atexit.register(self._at_exit)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what is in the queue now has been exported; blocks the thread.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether that was done in time.
        """
        if self._thread is None and not self._events:
            return True
        return self._run(_Errand(), timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Export what is in the queue, take no more events and close the exporter.

        Args:
            timeout: Seconds to wait at most; the thread goes on when they have passed.

        Returns:
            Whether that was done in time.
        """
        if self._closed:
            return not self._events
        self._closed = True
        if self._unsubscribe is not None:
            self._unsubscribe()
        atexit.unregister(self._at_exit)
        return self._run(_Errand(last=True), timeout)

    def __call__(self) -> None:
        """End it, as `close()` does."""
        self.close()

    def __repr__(self) -> str:
        exporter = type(self._exporter).__qualname__
        return f"<Exporting to {exporter}: {self.exported} exported, {self.dropped} dropped>"

    def _put(self, event: Event) -> None:
        """Take an event, inside the call that caused it."""
        thread = self._thread or self._start(wait=False)
        if thread is not None and thread.ident == threading.get_ident():
            return  # What exporting itself causes would never come to an end.
        # Of several threads that find the last place free, each takes it: the bound is that near.
        if self._closed or len(self._events) >= self._capacity:
            self._dropped.add(1)
            return
        self._events.append(Noted(self._wall(), event))
        if len(self._events) == BATCH:
            self._bell.put(None)

    def _start(self, *, wait: bool) -> threading.Thread | None:
        """Start the thread; where another thread is doing so, wait for that or leave it to it."""
        if not self._starting.acquire(blocking=wait):
            return None
        try:
            if self._thread is None:
                name = f"agentperf-export-{type(self._exporter).__name__}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                thread.start()
                self._thread = thread
                _before_a_worker_process_ends(self._at_exit)
        except RuntimeError:
            return None  # the interpreter is ending: it starts no thread any more
        finally:
            self._starting.release()
        return self._thread

    def _run(self, errand: _Errand, timeout: float) -> bool:
        """Have the thread do an errand; without a thread, when it is too late for one, do it."""
        thread = self._thread or self._start(wait=True)
        if thread is threading.current_thread():
            return False  # the exporter asks for it: it would wait for itself
        if thread is None:
            self._do(errand)
        else:
            self._bell.put(errand)
        return errand.done.wait(timeout)

    def _work(self) -> None:
        bell = self._bell
        while True:
            try:
                errand = bell.get(timeout=LINGER)
            except queue.Empty:
                errand = None
            if self._bell is not bell:
                return  # the host began anew, and so did this
            self._do(errand)
            if errand is not None and errand.last:
                return

    def _do(self, errand: _Errand | None) -> None:
        self._drain()
        if errand is not None:
            if errand.last:
                self._safely(self._exporter.close)
            errand.done.set()

    def _drain(self) -> None:
        """Export what is there now; what comes meanwhile is the next round's."""
        events = self._events
        left = len(events)
        while left:
            batch = [events.popleft() for _ in range(min(left, BATCH))]
            left -= len(batch)
            if self._safely(partial(self._exporter.export, batch)):
                self._exported += len(batch)
            else:
                self._dropped.add(len(batch))

    def _safely(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the thread must outlive any exporter
            if not self._failed:
                self._failed = True
                fault("exporter.failed", error, exporter=type(self._exporter).__qualname__)
            return False
        return True

    def _at_exit(self) -> None:
        self.close(AT_EXIT)


@dataclass(frozen=True, slots=True)
class _Errand:
    """What the thread is asked to do once it has exported what is there.

    Attributes:
        last: Whether to close the exporter and end.
        done: Set when that is so.
    """

    last: bool = False
    done: threading.Event = field(default_factory=threading.Event)


def _before_a_worker_process_ends(finish: Callable[[], None]) -> None:
    """Have `finish` called in a forked process of multiprocessing, which runs no exit handlers."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, finish, exitpriority=0)
