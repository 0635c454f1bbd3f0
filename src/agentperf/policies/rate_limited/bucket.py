"""What one key may use: several rates and a number of places, taken all at once or not at all."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from agentperf._base.rates import Rate
from agentperf.abc.waiting import Parker
from agentperf.policies.rate_limited.gcra import NANO, Gcra

DIMENSIONS = ("requests", "tokens", "input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a limiter allows.

    Attributes:
        rates: The rates of each dimension, in the order of `DIMENSIONS`.
        concurrency: How many calls may run at once; None for any number.
        burst: How many requests may come at once after a rest; None for a whole allowance.
    """

    rates: tuple[tuple[Rate, ...], ...]
    concurrency: int | None = None
    burst: int | None = None

    @property
    def counts_tokens(self) -> bool:
        """Whether a call has to be estimated in tokens."""
        return any(self.rates[1:])


Need = tuple[int, int, int, int]
"""What a call uses of each dimension."""


@dataclass(eq=False, slots=True)
class Waiter:
    """One call in the queue."""

    need: Need
    parker: Parker | None = None
    gone: bool = field(default=False)


class Bucket:
    """The state of one key; everything under its own lock, which is never held while waiting.

    Waiting calls stand in one queue, first come, first served. Only its head is measured against the
    rates, so that a large call can't be overtaken for ever by small ones.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._queue: deque[Waiter] = deque()
        self._free = limits.concurrency
        self._rates: tuple[tuple[int, Gcra], ...] = tuple(
            (dimension, Gcra(rate, limits.burst if dimension == 0 else None))
            for dimension, rates in enumerate(limits.rates)
            for rate in rates
        )

    def fits_ever(self, need: Need) -> Gcra | None:
        """Return the rate that a call of this size could never fit; None where it can."""
        for dimension, gcra in self._rates:
            if need[dimension] > gcra.burst:
                return gcra
        return None

    def take(self, now: float, need: Need) -> float | None:
        """Take what a call needs, at once; else the seconds it would have to wait by itself.

        Returns:
            None when it was taken.
        """
        with self._lock:
            if self._queue:
                return self._wait(now, need)
            return self._take(now, need)

    def queue(self, need: Need) -> Waiter:
        """Stand at the end of the queue."""
        waiter = Waiter(need)
        with self._lock:
            self._queue.append(waiter)
        return waiter

    def advance(self, now: float, waiter: Waiter, make_parker: Callable[[], Parker]) -> float | None:
        """Take what the waiter needs if it is its turn.

        Returns:
            None when it was taken, and the waiter has left the queue. Else the seconds until it is worth
            asking again, infinite for one whose turn has not come; its `parker` is new and is woken
            before that if things change.
        """
        parker = make_parker()
        with self._lock:
            if self._queue[0] is not waiter:
                waiter.parker = parker
                return float("inf")
            wait = self._take(now, waiter.need)
            if wait is None:
                self._queue.popleft()
                self._wake_head()
            else:
                waiter.parker = parker
            return wait

    def leave(self, waiter: Waiter) -> None:
        """Give up one's place in the queue."""
        with self._lock:
            if waiter in self._queue:
                was_head = self._queue[0] is waiter
                self._queue.remove(waiter)
                if was_head:
                    self._wake_head()

    def settle(self, now: float, reserved: Need, used: Need | None) -> None:
        """End a call: free its place, and put right what it took by what it used.

        Args:
            now: Monotonic seconds.
            reserved: What was taken for it.
            used: What it really used; None leaves what was taken.
        """
        nanos = int(now * NANO)
        with self._lock:
            if self._free is not None:
                self._free += 1
            if used is not None:
                for dimension, gcra in self._rates:
                    more = used[dimension] - reserved[dimension]
                    if more > 0:
                        gcra.take(nanos, more)
                    elif more < 0:
                        gcra.give(nanos, -more)
            self._wake_head()

    def remaining(self, now: float) -> dict[str, int]:
        """Return what fits now of each dimension, by its tightest rate."""
        nanos = int(now * NANO)
        with self._lock:
            left: dict[str, int] = {}
            for dimension, gcra in self._rates:
                name = DIMENSIONS[dimension]
                left[name] = min(left.get(name, gcra.burst), gcra.remaining(nanos))
            if self._free is not None:
                left["concurrency"] = self._free
            return left

    @property
    def waiting(self) -> int:
        """How many calls stand in the queue."""
        return len(self._queue)

    def _take(self, now: float, need: Need) -> float | None:
        wait = self._wait(now, need)
        if wait > 0:
            return wait
        nanos = int(now * NANO)
        for dimension, gcra in self._rates:
            gcra.take(nanos, need[dimension])
        if self._free is not None:
            self._free -= 1
        return None

    def _wait(self, now: float, need: Need) -> float:
        if self._free is not None and self._free < 1:
            return float("inf")  # until a place is freed, which wakes the head
        nanos = int(now * NANO)
        longest = 0
        for dimension, gcra in self._rates:
            wait = gcra.wait(nanos, need[dimension])
            if wait > longest:
                longest = wait
        return longest / NANO

    def _wake_head(self) -> None:
        if self._queue and (parker := self._queue[0].parker) is not None:
            parker.unpark()
