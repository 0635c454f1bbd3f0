"""The threads in which blocking calls are made when nobody waits for them, or only so long."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from agentperf._base.log import fault
from agentperf._engine.places import Places
from agentperf._engine.streams import LIVE
from agentperf._engine.waiting import (
    Deadline,
    Overrun,
    ThreadParker,
    ThreadWaiting,
    in_one_go,
    nearest_deadline,
)
from agentperf.errors import CallTimeout

T = TypeVar("T")
Work = Callable[[], Awaitable[Any]]

THREADS = 100
"""So many calls of one function may be under way in threads, those that nobody waits for too."""
IDLE = 2.0
"""Seconds that a thread stays for further calls."""


class Crew:
    """Some threads, such as those of one function: started when needed, kept for a while.

    Args:
        most: How many there are at most; `THREADS` by default.
        name: What they are called.

    Attributes:
        places: The calls that have a thread; a place is held until the call really ends.
    """

    def __init__(self, most: int | None = None, name: str = "agentperf-bounded") -> None:
        self.places = Places(most or THREADS)
        self._name = name
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []

    def engage(self) -> _Worker:
        """Return a worker, for somebody who has a place."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        worker = _Worker(self)
        threading.Thread(target=worker.serve, name=self._name, daemon=True).start()
        return worker

    def begin(self, work: Callable[[], object]) -> bool:
        """Have `work` done, which must not raise, in a copy of this context; False if none is free.

        There is no queue: what finds no thread free is not begun, and whoever needs it asks again.
        """
        if not self.places.take():
            return False
        try:
            worker = self.engage()
        except RuntimeError:  # the interpreter is shutting down, or there are no more threads
            self.places.release()
            return False
        worker.tell.put(partial(contextvars.copy_context().run, work))
        worker.tell.put(worker.rest)
        return True

    def rest(self, worker: _Worker) -> None:
        """Take a worker back whose call has ended, with its place."""
        with self._lock:
            self._idle.append(worker)
        self.places.release()

    def dismiss(self, worker: _Worker) -> bool:
        """Let a worker go, unless it was engaged this moment."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            return True


class _Worker:
    """One thread: does what it is told, one thing after the other."""

    def __init__(self, crew: Crew) -> None:
        self.tell: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._crew = crew

    def serve(self) -> None:
        """Work until there has been nothing to do for a while."""
        while True:
            try:
                step = self.tell.get(timeout=IDLE)
            except queue.Empty:
                if self._crew.dismiss(self):
                    return
                continue
            try:
                step()
            except Exception as error:  # noqa: BLE001 - of closing what nobody waits for
                fault("timeout.closing_failed", error)
            del step  # what it gave must not be kept alive by who waits for more

    def rest(self) -> None:
        """Be free for another call."""
        self._crew.rest(self)


class ThreadLane:
    """The steps of one call in one thread, in one copy of its caller's context."""

    def __init__(self, waiting: ThreadWaiting, crew: Crew) -> None:
        self._waiting = waiting
        self._crew = crew
        self._context = contextvars.copy_context()
        self._worker: _Worker | None = None
        self._lost = False
        self._left = False

    async def within(
        self,
        seconds: float | None,
        work: Callable[[], Awaitable[T]],
        late: Callable[[], CallTimeout],
    ) -> T:
        """Have the thread do the work, and wait for it no longer than `seconds`."""
        if self._left and not self._lost:  # a stream that has ended is asked once more
            return await work()
        outer = nearest_deadline.get()
        own = None if seconds is None else Deadline(self._waiting.now() + seconds, late)
        deadline = _nearer(own, outer)
        step = None if self._lost else await self._done(work, deadline)
        if step is None:
            # Whose time is up says so; who is out of time because of another one has no say.
            raise late() if deadline is own or deadline is None else deadline.passed()
        try:
            return step.value()  # type: ignore[no-any-return]
        except Overrun as overrun:
            if overrun.deadline is not own:
                raise
        raise late()

    def leave(self, last: Callable[[], object] | None = None) -> None:
        """Let the thread go once it is free; `last` is what it does before."""
        if self._left:
            return
        self._left = True
        if self._worker is not None:
            if last is not None:
                self._worker.tell.put(last)
            self._worker.tell.put(self._worker.rest)

    async def _done(self, work: Work, deadline: Deadline | None) -> _Step | None:
        """Return the work when it is done; None where there was no time for it."""
        waiting = self._waiting
        if self._worker is None and not await self._engage(deadline):
            return None
        assert self._worker is not None  # noqa: S101 - it was engaged
        step = _Step(partial(self._in_context, work, deadline), waiting)
        self._worker.tell.put(step)
        try:
            await step.parker.park(_left(deadline, waiting), passive=True)
        finally:
            self._lost = step.give_up()
        return None if self._lost else step

    def _in_context(self, work: Work, deadline: Deadline | None) -> Any:
        return self._context.run(_run, work, deadline)

    async def _engage(self, deadline: Deadline | None) -> bool:
        """Get a worker; False where none came free in time."""
        places, waiting = self._crew.places, self._waiting
        if not places.take() and not await places.wait(waiting, _left(deadline, waiting)):
            return False
        try:
            self._worker = self._crew.engage()
        except BaseException:  # the system has no more threads
            places.release()
            raise
        return True

    def __del__(self) -> None:
        self.leave()


class _Step:
    """One piece of work, and what became of it."""

    def __init__(self, work: Callable[[], Any], waiting: ThreadWaiting) -> None:
        self.parker = ThreadParker(waiting.clock)
        self._work = work
        self._lock = threading.Lock()
        self._outcome: tuple[bool, Any] | None = None
        self._given_up = False

    def __call__(self) -> None:
        try:
            outcome = (True, self._work())
        except BaseException as error:  # noqa: BLE001 - raised by who waits for it
            outcome = (False, error)
        with self._lock:
            self._outcome = outcome
            unwanted = self._given_up
        if unwanted:
            _close(outcome[1])
        else:
            self.parker.unpark()

    def give_up(self) -> bool:
        """Wait no longer; False where it is done already."""
        with self._lock:
            self._given_up = self._outcome is None
            return self._given_up

    def value(self) -> Any:
        """Return what the work returned, or raise what it raised."""
        assert self._outcome is not None  # noqa: S101 - it was not given up
        (worked, value), self._outcome = self._outcome, None
        if worked:
            return value
        try:
            raise value
        finally:
            del value  # its traceback has this frame


def _run(work: Work, deadline: Deadline | None) -> Any:
    nearest_deadline.set(deadline)
    return in_one_go(work())


def _nearer(own: Deadline | None, outer: Deadline | None) -> Deadline | None:
    if own is None or (outer is not None and outer.at <= own.at):
        return outer
    return own


def _left(deadline: Deadline | None, waiting: ThreadWaiting) -> float | None:
    return None if deadline is None else max(0.0, deadline.at - waiting.now())


def _close(value: Any) -> None:
    """End a stream that nobody is going to read."""
    if type(value) in LIVE:
        value.close()
