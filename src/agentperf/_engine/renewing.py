"""Renews leases while those who hold them work."""

from __future__ import annotations

import threading
from typing import Protocol

from agentperf._base.clock import Clock
from agentperf._engine.waiting import ThreadWaiting, in_one_go
from agentperf.abc.waiting import Waiting


class Renewable(Protocol):
    """What has to be renewed now and then."""

    async def renew(self) -> bool:
        """Renew it; False once that is no longer to be done."""
        ...


async def renewing(lease: Renewable, every: float, waiting: Waiting) -> None:
    """Renew a lease, until it is over or this is cancelled."""
    await waiting.sleep(every)
    while await lease.renew():
        await waiting.sleep(every)


class Renewer:
    """Renews the leases of all threads that are busy with what they hold them for, in one thread.

    The thread is made when it is needed, and ends when it finds nothing to be renewed. A clock that
    is moved by hand needs none: it calls when it is time.

    Args:
        clock: Where time comes from.
        every: Seconds between two renewals.
    """

    def __init__(self, clock: Clock, every: float) -> None:
        self._clock = clock
        self._every = every
        self._due: dict[Renewable, float] = {}
        self._runs = False
        # Reentrant: the collector may end a computation at any time.
        self._lock = threading.RLock()

    def hold(self, lease: Renewable) -> None:
        """Renew a lease from now on."""
        with self._lock:
            self._due[lease] = self._clock.now() + self._every
            begins, self._runs = not self._runs, True
        if begins:
            self._begin()

    def drop(self, lease: Renewable) -> None:
        """Renew it no longer."""
        with self._lock:
            self._due.pop(lease, None)

    def _begin(self) -> None:
        if self._clock.alarm(self._every, self._ring, blocking=False) is not None:
            return
        try:
            threading.Thread(target=self._run, name="agentperf-leases", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter is shutting down: they lapse
            with self._lock:
                self._runs = False

    def _run(self) -> None:
        waiting = ThreadWaiting(self._clock)
        while (rest := self._turn()) is not None:
            in_one_go(waiting.sleep(rest))

    def _ring(self) -> None:
        if (rest := self._turn()) is not None:
            self._clock.alarm(rest, self._ring, blocking=False)

    def _turn(self) -> float | None:
        """Renew what is due; return the seconds until the next turn, None if nothing is left."""
        now = self._clock.now()
        with self._lock:
            due = [lease for lease, when in self._due.items() if when <= now]
        for lease in due:
            goes_on = in_one_go(lease.renew())
            with self._lock:
                if goes_on and lease in self._due:
                    self._due[lease] = now + self._every
                else:
                    self._due.pop(lease, None)
        with self._lock:
            self._runs = bool(self._due)
            return max(0.0, min(self._due.values()) - self._clock.now()) if self._due else None
