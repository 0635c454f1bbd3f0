"""What one key may use: several rates and a number of places, taken all at once or not at all."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentperf._base.rates import Rate
from agentperf._engine.places import Line, Waiter
from agentperf._engine.pushback import DIMENSIONS
from agentperf.abc.waiting import Parker
from agentperf.policies.rate_limited.gcra import Gcra

if TYPE_CHECKING:
    from agentperf.policies.rate_limited.caution import Caution, Change
    from agentperf.policies.rate_limited.replies import Lesson

Need = tuple[int, int, int, int]
"""What a call uses of each dimension."""

ONE: Need = (1, 0, 0, 0)
"""What a call uses that is one request and nothing else."""

A_PAUSE = "a pause that the upstream asked for"
"""What calls wait for where it is no limit of ours."""

UNTIL_WOKEN = -1
"""A wait that no clock ends: for a place, or for one's turn."""


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


class Bucket:
    """The state of one key; everything under its own lock, which is never held while waiting.

    Waiting calls stand in one queue, first come, first served, but for head starts. Only its head
    is measured against the rates, so that a large call can't be overtaken for ever by small ones.
    Times are nanoseconds.
    """

    def __init__(self, limits: Limits) -> None:
        self._lock = threading.Lock()
        self._queue = Line()
        # Whether calls have to stand in the queue: asked at every call, so it is kept, not found.
        self._held = False
        self._caution: Caution | None = None
        self._free = limits.concurrency
        self._rates: tuple[tuple[int, Gcra], ...] = tuple(
            (dimension, Gcra(rate, limits.burst if dimension == 0 else None))
            for dimension, rates in enumerate(limits.rates)
            for rate in rates
        )
        # One rate and nothing else is the usual case, and its decision is a single step.
        only = self._rates[0] if len(self._rates) == 1 and self._free is None else None
        self._only = None if only is None else only[1]
        self._dimension = 0 if only is None else only[0]

    def clamped(self, need: Need) -> Need:
        """Return as much of what a call needs as could ever fit."""
        most = list(need)
        for dimension, gcra in self._rates:
            most[dimension] = min(most[dimension], gcra.burst)
        return most[0], most[1], most[2], most[3]

    def fits_ever(self, need: Need) -> tuple[Gcra, str] | None:
        """Return the rate that a call of this size could never fit; None where it can.

        Returns:
            The rate, and what it is called.
        """
        for dimension, gcra in self._rates:
            if need[dimension] > gcra.burst:
                return gcra, f"{gcra.rate} {DIMENSIONS[dimension]}"
        return None

    def outlook(self, now: int, need: Need, rank: int, *, borrow: bool = False) -> int:
        """Tell when a call that came now would be let in; it takes nothing.

        Args:
            now: The time.
            need: What it would use.
            rank: Where it would stand in the queue.
            borrow: Whether a call larger than a burst runs at a full burst.

        Returns:
            The nanoseconds until those who wait and then this call are let in, if nobody gives up
            and nothing is given back; `UNTIL_WOKEN` where that is for a place to come free.
        """
        with self._lock:
            ahead = self._ahead(rank)
            if self._free is not None and self._free <= len(ahead):
                return UNTIL_WOKEN
            waits = [self._pause(now)]
            for at, gcra in self._rates:
                own = min(need[at], gcra.burst) if borrow else need[at]
                waits.append(gcra.wait(now, sum(one[at] for one in ahead) + own))
            return max(waits)

    def tightest(self, now: int, need: Need) -> str:
        """Name the limit that a call of this size has to wait longest for."""
        with self._lock:
            if self._pause(now) > 0:
                return A_PAUSE
            if self._free == 0:
                return "concurrency"
            waits = [(gcra.wait(now, need[at]), at, gcra) for at, gcra in self._rates]
            wait, at, gcra = max(waits, key=lambda one: one[0], default=(0, 0, None))
            return f"{gcra.rate} {DIMENSIONS[at]}" if gcra is not None and wait else "the queue"

    def take(self, now: int, need: Need) -> int:
        """Take what a call needs, at once.

        Returns:
            0 when it was taken, else the nanoseconds it would have to wait, or `UNTIL_WOKEN`.
        """
        # Not `with`, which costs twice as much, on the path of every call.
        self._lock.acquire()
        try:
            if self._held:
                return UNTIL_WOKEN
            if self._only is not None:
                return self._only.admit(now, need[self._dimension])
            return self._take(now, need)
        finally:
            self._lock.release()

    def let_in(self, now: int, need: Need, *, borrow: bool = False) -> int:
        """Take what a call needs, at once, for whoever keeps a queue of his own.

        Args:
            now: The time.
            need: What it uses.
            borrow: Whether a call larger than a burst runs at a full burst, and leaves a debt.

        Returns:
            As for `advance`.
        """
        with self._lock:
            return self._let_in(now, need, borrow=borrow)

    def queue(self, need: Need, rank: int) -> Waiter:
        """Stand in the queue, in the order of ranks: the time a call came, less its head start."""
        with self._lock:
            waiter = self._queue.join(need, rank)
            self._mind_queue()
            return waiter

    def advance(self, now: int, waiter: Waiter, parker: Parker, *, borrow: bool = False) -> int:
        """Take what the waiter needs if it is its turn; it has left the queue then.

        Args:
            now: The time.
            waiter: Whose turn it may be.
            parker: Where it waits if it is not.
            borrow: Whether a call larger than a burst runs at a full burst, and leaves a debt.

        Returns:
            0 when it was taken, else the nanoseconds until it is worth asking again, or
            `UNTIL_WOKEN`; `parker` is woken before that when things change.
        """
        with self._lock:
            if not self._queue.is_first(waiter, parker):
                return UNTIL_WOKEN
            wait = self._let_in(now, waiter.need, borrow=borrow)
            if wait == 0:
                self._queue.leave(waiter)
                self._mind_queue()
            return wait

    def leave(self, waiter: Waiter) -> None:
        """Give up one's place in the queue."""
        with self._lock:
            self._queue.leave(waiter)
            self._mind_queue()

    def settle(self, now: int, reserved: Need, used: Need | None) -> None:
        """End a call: free its place, and put right what it took by what it used.

        Args:
            now: The time.
            reserved: What was taken for it.
            used: What it really used; None leaves what was taken.
        """
        with self._lock:
            if self._free is not None:
                self._free += 1
            if used is not None:
                for dimension, gcra in self._rates:
                    more = used[dimension] - reserved[dimension]
                    if more > 0:
                        gcra.take(now, more)
                    elif more < 0:
                        gcra.give(now, -more)
            self._queue.wake()
            self._mind_queue()

    def heed(self, now: int, lesson: Lesson) -> Change | None:
        """Learn from a reply: what is left, and that the upstream wants to be left alone.

        Returns:
            How calls go otherwise than before, where that is news.
        """
        from agentperf.policies.rate_limited.caution import Caution, lower

        with self._lock:
            self._pause(now)
            lower(now, lesson.left, self._rates)
            if not lesson.refused and lesson.wait is None:
                return None
            if self._caution is None:
                self._caution = Caution()
            change = self._caution.heed(now, lesson, self._rates)
            self._mind_queue()
            return change

    def keep_left(self, at: int, lesson: Lesson) -> None:
        """Have no more left than an earlier reply left, as things went on from there.

        Args:
            at: When it came.
            lesson: What it said.
        """
        from agentperf.policies.rate_limited.caution import lower

        with self._lock:
            lower(at, lesson.left, self._rates)

    def remaining(self, now: int) -> dict[str, int]:
        """Return what fits now of each dimension, by its tightest rate."""
        with self._lock:
            left: dict[str, int] = {}
            for dimension, gcra in self._rates:
                name = DIMENSIONS[dimension]
                left[name] = min(left.get(name, gcra.burst), gcra.remaining(now))
            if self._free is not None:
                left["concurrency"] = self._free
            return left

    def share(self, now: int) -> float:
        """Return the share of its rates at which calls go: 1.0, or less after refusals."""
        with self._lock:
            self._pause(now)
            return 1.0 if self._caution is None else self._caution.share

    @property
    def waiting(self) -> int:
        """How many calls stand in the queue."""
        return len(self._queue)

    def _ahead(self, rank: int) -> list[Need]:
        return [one.need for one in self._queue if one.rank <= rank]

    def _mind_queue(self) -> None:
        self._held = self._caution is not None or len(self._queue) > 0

    def _pause(self, now: int) -> int:
        """Return how long the upstream wants to be left alone, and forget it when that is over."""
        if self._caution is None:
            return 0
        if self._caution.over(now, self._rates):
            self._caution = None
            self._mind_queue()
            return 0
        return self._caution.pause(now)

    def _let_in(self, now: int, need: Need, *, borrow: bool) -> int:
        pause = self._pause(now)
        return pause if pause > 0 else self._take(now, need, borrow=borrow)

    def _take(self, now: int, need: Need, *, borrow: bool = False) -> int:
        if self._free == 0:
            return UNTIL_WOKEN
        if borrow:
            waits = [gcra.wait(now, min(need[at], gcra.burst)) for at, gcra in self._rates]
            longest = max(waits, default=0)
        else:
            longest = max((gcra.wait(now, need[at]) for at, gcra in self._rates), default=0)
        if longest == 0:
            for dimension, gcra in self._rates:
                gcra.take(now, need[dimension])
            if self._free is not None:
                self._free -= 1
        return longest
