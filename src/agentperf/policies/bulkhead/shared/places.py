"""The places that this process has of all there are, and the line of its calls that want one."""

from __future__ import annotations

import contextlib
import random
import secrets
import threading
from collections.abc import Callable
from enum import Enum

from agentperf._engine.places import Line, Waiter
from agentperf._engine.stores import StoreReach
from agentperf.abc.waiting import Parker
from agentperf.policies.bulkhead.shared.decision import PLACES, Terms

TURN = 1.0
"""Seconds for which places that come free are handed on here while another process waits."""

SHORTEST, LONGEST = 0.01, 0.25
"""Seconds that the first in line waits between two questions, at first and at most."""

_LONG_AGO = float("-inf")


class Turn(Enum):
    """What becomes of a call that wants a place."""

    TAKEN = "it has one"
    ASK = "it is to ask the store now, which nobody else does meanwhile"
    WAIT = "it is to wait until it is woken, or for the pause"
    REFUSED = "there is no room to wait"


class Wish:
    """What one call that stands in the line waits for.

    Attributes:
        after: The number of the last statement that was made when it came.
        refused: Whether it stood too far behind when the store had no place for it.
    """

    __slots__ = ("after", "refused")

    def __init__(self, after: int) -> None:
        self.after = after
        self.refused = False


class SharedPlaces:
    """The places of one bulkhead, or of one value of `by`, as far as this process knows.

    One statement at a time is made to the store, for all who wait here together; until it is
    answered, no place is taken that the store might not count. A place that comes free is handed on
    to the next in line without asking, as long as no other process waits, and for `TURN` if one
    does; then it is for the store to say who comes first.

    Args:
        terms: How many places there are, and how long they last.
        queue: How many calls may wait here; None for any number.
        now: Monotonic seconds.

    Attributes:
        key: Where the record stands in the store.
        in_use: How many calls have a place here.
        refused: How many calls found neither a place nor room in the line.
    """

    def __init__(self, terms: Terms, queue: int | None, now: Callable[[], float]) -> None:
        self.key = ""
        self.in_use = 0
        self.refused = 0
        self._terms = terms
        self._queue = queue
        self._now = now
        self._holder = float(secrets.randbelow(2**53 - 1) + 1)
        self._number = 0
        # When somebody began to ask, as long as there is no answer.
        self._asked_at = _LONG_AGO
        # How many places the store counts for this process at least.
        self._kept = 0
        # Whether the store may count, or keep, something else than what is true.
        self._untold = False
        self._answered = self._turn_began = _LONG_AGO
        # Whether the first in line was told to wait, when it may ask again, and how long after.
        self._full = False
        self._next_question, self._pause = _LONG_AGO, SHORTEST
        self._renewal: Renewal | None = None
        # Reentrant: a stream that is collected while the lock is held gives its place back there.
        self._lock = threading.RLock()
        self._line = Line()

    @property
    def limit(self) -> int:
        """How many places there are for all processes together."""
        return self._terms.limit

    @property
    def waiting(self) -> int:
        """How many calls wait here."""
        return len(self._line)

    # -- one call

    def take(self) -> bool:
        """Take a place that this process has to spare, if there is one and nobody waits for it."""
        with self._lock:
            if self._line or not self._spare():
                return False
            self.in_use += 1
            return True

    def join(self, rank: int) -> Waiter | None:
        """Stand in the line, by rank; None where that is full of calls that were told to wait."""
        with self._lock:
            if not self._line:
                self._full = False
                self._next_question, self._pause = _LONG_AGO, SHORTEST
            elif self._queue is not None and self._full and len(self._line) >= self._queue > 0:
                self.refused += 1
                return None
            return self._line.join(Wish(self._number), rank)

    def turn(self, waiter: Waiter, parker: Parker) -> Turn:
        """Tell what becomes of a call in the line; `parker` is where it is woken.

        Who is told to ask has to call `ask`, whatever happens.
        """
        with self._lock:
            if waiter.need.refused:
                return Turn.REFUSED
            if not self._line.is_first(waiter, parker):
                return Turn.WAIT
            if self._spare():
                self._enter(waiter)
                return Turn.TAKEN
            if self._now() < max(self._next_question, self._asks_until):
                return Turn.WAIT
            self._asked_at = self._now()
            return Turn.ASK

    def pause(self, waiter: Waiter, parker: Parker) -> float | None:
        """Return for how long a call waits that nobody wakes; None for as long as it takes."""
        with self._lock:
            if not self._line.is_first(waiter, parker):
                return None
            return max(0.0, max(self._next_question, self._asks_until) - self._now())

    def alone(self, waiter: Waiter, most: int | None) -> bool:
        """Take a place that the store knows nothing of, as it fails.

        Args:
            waiter: Who asked.
            most: How many calls may run here at once; None for any number.
        """
        with self._lock:
            if most is None or self.in_use < most:
                self._next_question = _LONG_AGO  # the next goes in the same way
                self._enter(waiter)
                return True
            self._sift(0)
            return False

    def give_up(self, waiter: Waiter) -> None:
        """Leave the line, as the store fails; the next learns of it at once."""
        with self._lock:
            self._next_question = _LONG_AGO
            self._line.leave(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Give up one's place in the line."""
        with self._lock:
            self._line.leave(waiter)

    def refuse(self, waiter: Waiter) -> None:
        """Have a call leave the line that is not to wait any longer."""
        with self._lock:
            self.refused += 1
            self._line.leave(waiter)

    def release(self) -> None:
        """Give a place back: to the next in line, or to the store as soon as that is told."""
        with self._lock:
            self.in_use -= 1
            if self._line:
                if not self._spare():
                    self._next_question = _LONG_AGO
                self._line.wake()

    @property
    def _asks_until(self) -> float:
        """Until when nobody else asks: who does may be held up, by a loop that is busy."""
        return self._asked_at + self._terms.renewed_every

    def _spare(self) -> bool:
        return self.in_use < self._kept and self._now() - self._turn_began < TURN

    def _enter(self, waiter: Waiter) -> None:
        self.in_use += 1
        self._line.leave(waiter)  # and the next looks whether there is one more

    # -- the store

    async def ask(self, reach: StoreReach, *, stay: int | None) -> None:
        """State how things stand here, and take down what the store grants.

        Args:
            reach: The store.
            stay: How many of those who get nothing go on waiting; None for all of them.

        Raises:
            Exception: The store failed; whether it took note is not known.
        """
        with self._lock:
            have, wants, began = self.in_use, len(self._line), self._now()
            self._number += 1
            number, offers = self._number, have < self._kept
            self._kept, self._untold, self._asked_at = have, True, began
            arguments = self._terms.arguments(self._holder, number, have, wants, stay)
        answer: tuple[float, ...] | None = None
        try:
            answer = await reach.decide(PLACES, self.key, arguments, self._terms.ttl)
        finally:
            with self._lock:
                if number == self._number:  # else another statement was made since
                    self._asked_at = _LONG_AGO
                    if answer is None:
                        self._put_off(0, 1)
                    else:
                        count, _, others = map(int, answer)
                        self._kept, self._answered = count, began
                        if count > have or offers or not others:
                            self._turn_began = began
                        # What is kept for calls that wait is to be told if they go.
                        self._untold = wants > count - have and stay != 0
                        self._put_off(count - have, wants)
                        self._sift(count - self.in_use)
                self._line.wake()

    def owes(self) -> bool:
        """Whether the store is to be told something, and nobody in the line does it."""
        return not self._line and (self._untold or self.in_use < self._kept)

    async def tell(self, reach: StoreReach) -> None:
        """Tell the store what it has to know; where that fails, a later statement does it."""
        with contextlib.suppress(Exception):  # the reach has told of it
            while self._begin_telling():
                await self.ask(reach, stay=self._queue)

    async def look(self, reach: StoreReach) -> int:
        """Return how many places all processes have together.

        Raises:
            Exception: The store failed.
        """
        answer = await reach.decide(PLACES, self.key, self._terms.arguments(), self._terms.ttl)
        return int(answer[1])

    def _begin_telling(self) -> bool:
        with self._lock:
            if self._now() < self._asks_until or not self.owes():
                return False
            self._asked_at = self._now()
            return True

    def _put_off(self, granted: int, wanted: int) -> None:
        """Have those who got nothing wait before they ask again: longer each time, not in step."""
        self._pause = SHORTEST if granted else min(2 * self._pause, LONGEST)
        pause = self._pause * random.uniform(0.5, 1.0) if wanted > granted else 0.0
        self._next_question = self._now() + pause

    def _sift(self, spare: int) -> None:
        """Refuse those who asked, got nothing, and stand too far behind to wait."""
        self._full = len(self._line) > spare
        if self._queue is None or len(self._line) <= spare + self._queue:
            return
        for at, waiter in enumerate(self._line):
            if at >= spare + self._queue and waiter.need.after < self._number:
                waiter.need.refused = True
                if waiter.parker is not None:
                    waiter.parker.unpark()

    # -- staying known

    def renewal(self, reach: StoreReach) -> Renewal | None:
        """Return what has to be renewed from now on; None where that is done already."""
        with self._lock:
            if self._renewal is not None:
                return None
            self._renewal = Renewal(self, reach)
            return self._renewal

    def forget(self, renewal: Renewal) -> None:
        """Take note that nobody renews any more."""
        with self._lock:
            if self._renewal is renewal:
                self._renewal = None

    async def renew(self, renewal: Renewal, reach: StoreReach) -> bool:
        """Say how things stand here, unless that was said lately; False when nothing is left."""
        with self._lock:
            if self._renewal is not renewal:
                return False
            if not self.in_use and not self.owes():
                self._renewal = None
                return False
            now = self._now()
            due = now >= max(self._answered + self._terms.renewed_every, self._asks_until)
            if due:
                self._asked_at = now
        if due:
            with contextlib.suppress(Exception):  # the reach has told of it; there is another turn
                await self.ask(reach, stay=self._queue)
            await self.tell(reach)
        return True


class Renewal:
    """What keeps the places of a process while it uses them; renewed by `_engine.renewing`.

    Args:
        places: The places.
        reach: How their store is asked from where they are renewed.
    """

    def __init__(self, places: SharedPlaces, reach: StoreReach) -> None:
        self._places = places
        self._reach = reach

    async def renew(self) -> bool:
        """Renew it; False once that is no longer to be done."""
        return await self._places.renew(self, self._reach)

    def over(self) -> None:
        """Take note that whoever renewed it does so no more."""
        self._places.forget(self)
