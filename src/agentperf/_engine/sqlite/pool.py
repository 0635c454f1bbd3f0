"""Connections to one file, each lent to one thread at a time, and none carried across a fork."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

from agentperf._engine.sqlite.file import (
    WAIT,
    Identity,
    identity,
    is_busy,
    is_damaged,
    move_aside,
    open_file,
)
from agentperf.errors import BackendError

_IDLE = 8
"""How many connections are kept while nobody uses them."""

_REST = 1.0
"""Seconds for which a file that could not be opened is not tried again."""

_LOOK = 0.5
"""Seconds for which the file is taken to be the one that was found there."""

_FORK_WAITS = 10.0
"""Seconds for which a fork waits for running operations; they end by themselves much earlier."""


class Pool:
    """Lends connections to a file.

    Args:
        path: The file.
        now: Monotonic seconds.
        wait: Seconds to wait for another writer before giving up.
    """

    def __init__(self, path: Path, now: Callable[[], float], wait: float = WAIT) -> None:
        self._path = path
        self._wait = wait
        self._now = now
        self._idle: list[tuple[sqlite3.Connection, Identity | None]] = []
        self._lent = 0
        self._paused = False
        self._gate = threading.Condition()
        self._writing = threading.Lock()
        self._resting = -float("inf"), ""
        self._looked: tuple[float, Identity | None] = -float("inf"), None
        weakref.finalize(self, _close, self._idle)
        _pools.add(self)

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection.

        Raises:
            BackendError: The file is no cache of ours, or can't be opened for the moment.
            OSError: It can't be made or reached.
            sqlite3.Error: The same, as SQLite says it.
        """
        with self._gate:
            while self._paused:
                self._gate.wait()
            self._lent += 1
        lent = None
        try:
            lent = self._idle_one() or self._opened()
            yield lent[0]
        except sqlite3.Error as error:
            if lent is not None and is_damaged(error):
                lent[0].close()
                self.close()
                move_aside(self._path, lent[1])
                lent = None
            raise
        finally:
            if lent is not None and len(self._idle) >= _IDLE:
                lent[0].close()
                lent = None
            with self._gate:
                self._lent -= 1
                if lent is not None:
                    self._idle.append(lent)
                if self._paused:
                    self._gate.notify_all()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection in a transaction of its own, which nobody else's writes come between.

        Raises:
            BackendError: As for `connection`, or another thread's write takes too long.
            OSError: As for `connection`.
            sqlite3.Error: As for `connection`; nothing was written then.
        """
        with self.connection() as connection, self._alone():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Have the threads of this process queue up: SQLite would let them poll."""
        if not self._writing.acquire(timeout=self._wait):
            raise BackendError(f"{self._path} is busy: other threads write for too long")
        try:
            yield
        finally:
            self._writing.release()

    def close(self) -> None:
        """Close what nobody uses; what is lent is closed when the file is no longer the same."""
        _close(self._idle)

    def _idle_one(self) -> tuple[sqlite3.Connection, Identity | None] | None:
        """Return a connection to the file that is there now, and close those to an earlier one."""
        until, there = self._looked
        if self._now() >= until:
            there = identity(self._path)
            self._looked = self._now() + _LOOK, there
        while self._idle:
            try:
                found = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if there is not None and found[1] == there:
                return found
            found[0].close()
        return None

    def _opened(self) -> tuple[sqlite3.Connection, Identity | None]:
        until, reason = self._resting
        if self._now() < until:
            raise BackendError(reason)
        try:
            found = open_file(self._path, self._wait)
            self._looked = self._now() + _LOOK, found[1]
            return found
        except (BackendError, OSError, sqlite3.Error) as error:
            if not is_busy(error):  # another process is making it at this moment
                self._resting = self._now() + _REST, str(error)
            raise

    def pause(self) -> None:
        """Let nobody begin, wait for those who have, and close all connections."""
        self._gate.acquire()
        self._paused = True
        self._gate.wait_for(lambda: not self._lent, _FORK_WAITS)
        self.close()

    def resume(self) -> None:
        """Let everybody go on."""
        self._paused = False
        self._gate.notify_all()
        self._gate.release()

    def resume_alone(self) -> None:
        """The same in a forked child, where nobody else is left."""
        self._lent = 0
        self._writing = threading.Lock()
        self.resume()


def _close(idle: list[tuple[sqlite3.Connection, Identity | None]]) -> None:
    while idle:
        with contextlib.suppress(IndexError, sqlite3.Error):
            idle.pop()[0].close()


class _Forks:
    """Closes connections before a fork: SQLite would believe in locks that the child hasn't got.

    See https://www.sqlite.org/howtocorrupt.html, 2.6.
    """

    def __init__(self) -> None:
        self._one_at_a_time = threading.RLock()
        self._paused: list[Pool] = []

    def before(self) -> None:
        self._one_at_a_time.acquire()
        self._paused = list(_pools)
        for pool in self._paused:
            pool.pause()

    def after_in_parent(self) -> None:
        self._go_on(Pool.resume)

    def after_in_child(self) -> None:
        self._go_on(Pool.resume_alone)

    def _go_on(self, resume: Callable[[Pool], None]) -> None:
        for pool in self._paused:
            resume(pool)
        self._paused = []
        self._one_at_a_time.release()


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
_forks = _Forks()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_forks.before,
        after_in_parent=_forks.after_in_parent,
        after_in_child=_forks.after_in_child,
    )
