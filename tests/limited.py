"""Threads or tasks that go on calling a limited function while a test maltreats its store."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import agentperf
from agentperf.events import StoreDown, StoreUp
from agentperf.testing import EventLog

CALLERS = 8
RATE, BURST = 100, 10
LATE = 3.0
"""Seconds that a slow machine may add to a bound before it counts as broken."""
PATIENCE = 60.0


class Load:
    """Callers that go on calling, as threads or as tasks of one loop.

    Args:
        store: Where their limit is.
        kind: `"threads"` or `"tasks"`.
        host: Where they call.
        on_store_failure: What the limit does while its store fails.

    Attributes:
        begun: How many calls each has begun.
        let_in: When calls were let in.
        refused: How many were refused for want of the store.
        longest: The longest time that a call took.
        errors: What else they raised.
    """

    def __init__(self, store: object, kind: str, host: Any, on_store_failure: str) -> None:
        self.begun = [0] * CALLERS
        self.let_in: list[float] = []
        self.refused: list[float] = []
        self.longest = 0.0
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        limit: Any = agentperf.rate_limited(
            f"{RATE}/s",
            burst=BURST,
            store=store,
            name="upstream",
            max_wait=60,
            on_store_failure=on_store_failure,
        )
        self._call = limit(self._blocking if kind == "threads" else self._awaited)
        works: list[Callable[[], None]] = [self._together]
        if kind == "threads":
            works = [lambda number=number: self._in_turn(number) for number in range(CALLERS)]
        self._threads = [
            threading.Thread(target=self._guarded, args=(host, work), daemon=True) for work in works
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a call never ended"

    def _guarded(self, host: Any, work: Callable[[], None]) -> None:
        try:
            with agentperf.use(host):
                work()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.errors.append(error)

    def _blocking(self) -> None:
        self.let_in.append(time.monotonic())

    async def _awaited(self) -> None:
        self.let_in.append(time.monotonic())

    def _in_turn(self, number: int) -> None:
        while not self._stop.is_set():
            self.begun[number] += 1
            began = time.monotonic()
            try:
                self._call()
            except agentperf.StoreUnavailable:
                self.refused.append(time.monotonic())
                time.sleep(0.01)
            self.longest = max(self.longest, time.monotonic() - began)

    def _together(self) -> None:
        async def caller(number: int) -> None:
            while not self._stop.is_set():
                self.begun[number] += 1
                began = time.monotonic()
                try:
                    await self._call()
                except agentperf.StoreUnavailable:
                    self.refused.append(time.monotonic())
                    await asyncio.sleep(0.01)
                self.longest = max(self.longest, time.monotonic() - began)

        async def callers() -> None:
            await asyncio.gather(*(caller(number) for number in range(CALLERS)))

        asyncio.run(callers())

    def goes_on(self, more: int = 5) -> None:
        """Wait until each caller has begun some more calls."""
        wanted = [count + more for count in self.begun]
        until(lambda: all(now >= then for now, then in zip(self.begun, wanted, strict=True)))

    def check(self, changes: int, timeout: float) -> None:
        """Nobody was lost, nobody waited for long, and no more were let in than may be.

        Args:
            timeout: Seconds that one call waits for the store.
            changes: How often the store went or came: each may give a burst more, as the process
                begins a limit of its own, and a store that was killed begins anew.
        """
        assert self.errors == []
        assert len(self.let_in) + len(self.refused) == sum(self.begun)
        # A turn in the line of all callers, and the time that the store is given.
        assert self.longest < CALLERS / RATE + timeout + LATE
        elapsed = self.let_in[-1] - self.let_in[0]
        assert len(self.let_in) <= RATE * elapsed + BURST * (1 + changes) + 1


def until(condition: Callable[[], object]) -> None:
    """Wait for something."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def told(log: EventLog) -> list[str]:
    """Return what a recorder heard of stores that went down and came up again."""
    names = {StoreDown: "down", StoreUp: "up"}
    return [names[type(event)] for event in log if type(event) in names]
