"""A clock that a test moves by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from agentperf._base.clock import Clock
from agentperf._base.ranked import Ranked
from agentperf._engine.waiting import in_trio, on_event_loop

_IDLE_ROUNDS = 25
"""How often the loop turns before everybody who can run is taken to have run."""


class FakeClock(Clock):
    """Time that passes only when told to; give it to a host: `Host(clock=FakeClock())`.

    A synchronous call that sleeps in the thread that made the clock moves time itself, since
    nobody else could. Other threads, and tasks, sleep until somebody calls `advance` or
    `aadvance`; with `autojump`, tasks move time to the next alarm whenever all of them wait.

    Args:
        start: Monotonic seconds at the beginning.
        autojump: Whether time jumps by itself when the event loop has nothing else to do. Not for
            tasks that do real I/O: a loop that waits for a socket has nothing else to do either.

    Example:
        clock = FakeClock()
        with agentperf.use(agentperf.Host(clock=clock)):
            quote("ACME")
            clock.advance("10m")
            quote("ACME")  # its entry has expired
    """

    def __init__(self, start: float = 1_000_000.0, *, autojump: bool = False) -> None:
        self._now = start
        self._autojump = autojump
        self._owner = threading.get_ident()
        self._lock = threading.RLock()
        self._waiting_for_work = 0
        self._activity = 0
        self._alarms: Ranked[Callable[[], object]] = Ranked()
        self.now = self._read
        self.now_ns = lambda: round(self._now * 1_000_000_000)
        self.wall = lambda: 1_700_000_000.0 + self._now - start

    def _read(self) -> float:
        return self._now

    @property
    def sleepers(self) -> int:
        """How many alarms are set."""
        return len(self._alarms)

    def alarm(
        self,
        seconds: float,
        wake: Callable[[], object],
        *,
        blocking: bool,
        passive: bool = False,
    ) -> Callable[[], None]:
        """Call `wake` when `seconds` have passed; returns what takes that back."""
        seconds = max(0.0, seconds)
        with self._lock:
            number = self._alarms.add(self._now + seconds, wake)
            self._waiting_for_work += passive
        if not blocking:
            self._jump_when_idle()
        elif threading.get_ident() == self._owner and not passive:
            self.advance(seconds)
        elif 0 < self._waiting_for_work < len(self._alarms):
            # One waits for the other's work, which waits for time: nobody else will move it.
            self._ring_next(float("inf"))

        def take_back() -> None:
            with self._lock:
                self._waiting_for_work -= passive
                self._alarms.remove(number)

        return take_back

    def advance(self, duration: Any) -> None:
        """Let time pass and ring every alarm on the way, in order.

        Args:
            duration: Seconds, a `timedelta`, or text such as `"5m"`.

        Raises:
            ConfigurationError: It is malformed or negative: time doesn't run backwards.
        """
        until = self._now + _seconds(duration)
        while self._ring_next(until):
            pass
        self._now = max(self._now, until)

    async def aadvance(self, duration: Any) -> None:
        """The same on an event loop: after each alarm, everybody who can run does so."""
        until = self._now + _seconds(duration)
        await _turn()
        while self._ring_next(until):
            await _turn()
        self._now = max(self._now, until)
        await _turn()

    def _ring_next(self, until: float) -> bool:
        with self._lock:
            if (first := self._alarms.first()) is None or first[0] > until:
                return False
            when, number, wake = first
            self._alarms.remove(number)
            self._now = max(self._now, when)
        wake()
        return True

    def _jump_when_idle(self) -> None:
        if not self._autojump or not on_event_loop():
            return
        self._activity += 1
        seen = self._activity

        def jump() -> None:
            # Whoever set an alarm meanwhile is not idle, and looks after the next jump.
            if seen == self._activity and (first := self._alarms.first()) is not None:
                self._ring_next(first[0])
                self._jump_when_idle()

        _when_idle(jump)


def _seconds(duration: Any) -> float:
    from agentperf._base.durations import seconds

    return seconds(duration, "duration", zero=True)


async def _turn() -> None:
    """Let everybody who can run do so."""
    from anyio.lowlevel import checkpoint

    for _ in range(_IDLE_ROUNDS):
        await checkpoint()


def _when_idle(act: Callable[[], None]) -> None:
    """Call `act` once the running loop has turned often enough to have nothing left to do."""

    async def wait_and_act() -> None:
        await _turn()
        act()

    if in_trio():
        import trio

        trio.lowlevel.spawn_system_task(wait_and_act)
        return
    import asyncio

    loop = asyncio.get_running_loop()

    def turn(left: int) -> None:
        if left:
            loop.call_soon(turn, left - 1)
        else:
            act()

    loop.call_soon(turn, _IDLE_ROUNDS)
