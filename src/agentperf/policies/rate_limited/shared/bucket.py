"""A bucket whose rates are kept in a store: the queue is this process's, the decision is not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable

from agentperf._base.bounded import BoundedRegistry
from agentperf._base.keys import digest
from agentperf._engine.places import Waiter
from agentperf._engine.pushback import DIMENSIONS
from agentperf._engine.stores import LeftAlone, StoreReach
from agentperf.abc.waiting import Parker
from agentperf.policies.rate_limited.bucket import A_PAUSE, Bucket, Limits, Need
from agentperf.policies.rate_limited.caution import Change, change
from agentperf.policies.rate_limited.gcra import NANO
from agentperf.policies.rate_limited.outputs import Outputs
from agentperf.policies.rate_limited.replies import Lesson
from agentperf.policies.rate_limited.shared.decision import (
    GCRA,
    HEED,
    MICRO,
    NONE,
    PAUSED,
    Owed,
    Terms,
)

PAYS_FOR = NANO
"""Nanoseconds after which who tells the store what is owed is taken for lost, with his loop."""

_LONG_AGO = -(2**63)

MOST_AT_ONCE = 16
"""How many calls of a process ask at once, at most; others join the queue without having asked."""

_NANOS = 1000

Tell = Callable[[Change], object]
"""Who is told what a reply changed."""


class SharedBucket(Bucket):
    """The state of one key for this process; the rates stand in the store, for all processes.

    What calls did not use, or used beyond what they took, is owed to the store until the next
    decision takes it along.

    Args:
        limits: What is allowed.
        terms: The same in the numbers of the decision.

    Attributes:
        key: Where the rates stand in the store.
        local: What keeps the limit for this process alone while the store fails.
    """

    def __init__(self, limits: Limits, terms: Terms) -> None:
        super().__init__(limits)
        self.key = ""
        self.local = Bucket(limits)
        self._terms = terms
        self._owed: deque[Owed] = deque()
        self._lessons: deque[tuple[int, Lesson, Tell]] = deque()
        self._life = terms.ttl
        self._waits_for = -1
        self._asking = 0
        self._pays_until = _LONG_AGO

    @property
    def may_ask(self) -> bool:
        """Whether a call that comes may ask before it joins the queue."""
        return not self._queue and self._asking < MOST_AT_ONCE

    @property
    def owes(self) -> bool:
        """Whether the store is to be told of something."""
        return bool(self._owed or self._lessons)

    @property
    def has_lessons(self) -> bool:
        """Whether something was learned that the store doesn't know."""
        return bool(self._lessons)

    async def ask(self, reach: StoreReach, need: Need, *, borrow: bool = False) -> int:
        """Have the store take what a call needs, at once.

        Args:
            reach: The store.
            need: What it uses.
            borrow: Whether a call larger than a burst runs at a full burst, and leaves a debt.

        Returns:
            0 when it was taken, else the nanoseconds it would have to wait.

        Raises:
            Exception: The store failed. Whether it took anything is not known, and what was owed
                is taken as paid: a limit is kept rather than used up.
        """
        with self._lock:
            self._asking += 1
        try:
            wait, *_ = await self._decided(
                reach, lambda owed: self._terms.arguments(need, owed, borrows=borrow)
            )
        finally:
            with self._lock:
                self._asking -= 1
        return wait

    def begins_paying(self, now: int) -> bool:
        """Let a call tell the store what is owed, unless nothing is, or another does."""
        if not self.owes or now < self._pays_until:
            return False  # who is paying looks again whether more is owed
        self._pays_until = now + PAYS_FOR
        return True

    def ends_paying(self) -> None:
        """Leave it to others to tell the store what is owed."""
        self._pays_until = _LONG_AGO

    async def pay(self, reach: StoreReach, now: Callable[[], int]) -> None:
        """Tell the store what is owed, then what was learned from replies.

        Args:
            reach: The store.
            now: The clock, by which pauses get shorter until the store is told of them.

        Raises:
            Exception: The store failed; it is not told again what was on its way.
        """
        if self._owed:
            await self.ask(reach, NONE)
        while self._lessons:
            learned, lesson, tell = self._lessons.popleft()
            try:
                told = await self._heeded(reach, lesson.after((now() - learned) / NANO))
            except Exception:
                raise
            except BaseException:
                # What was learned does no harm if it is told twice.
                self._lessons.appendleft((learned, lesson, tell))
                raise
            if told is not None:
                tell(told)

    async def left(self, reach: StoreReach) -> dict[str, int]:
        """Return what fits now of each dimension, by its tightest rate.

        Raises:
            Exception: The store failed.
        """
        _, _, levels = await self._decided(reach, lambda owed: self._terms.looking(owed=owed))
        left: dict[str, int] = {}
        for term, level in zip(self._terms.each, levels, strict=True):
            name, fits = DIMENSIONS[term.dimension], term.remaining(level)
            left[name] = min(left.get(name, fits), fits)
        return left

    async def told_outlook(
        self, reach: StoreReach, need: Need, rank: int, *, borrow: bool = False
    ) -> int:
        """Tell when a call that came now would be let in, as `outlook` does in memory.

        Of those who wait, it knows the calls of this process.

        Raises:
            Exception: The store failed.
        """
        with self._lock:
            ahead = _need(map(sum, zip(NONE, *self._ahead(rank), strict=True)))
        wait, _, _ = await self._decided(
            reach,
            lambda owed: self._terms.looking(need, owed, ahead=ahead, borrows=borrow),
        )
        return wait

    async def told_share(self, reach: StoreReach) -> float:
        """Return the share of its rates at which calls go, of all processes.

        Raises:
            Exception: The store failed.
        """
        _, share, _ = await self._decided(reach, lambda owed: self._terms.looking(owed=owed))
        return share

    async def _decided(
        self, reach: StoreReach, asking: Callable[[Owed], tuple[float, ...]]
    ) -> tuple[int, float, list[float]]:
        """Return the wait in nanoseconds, the share of the rates, and the levels."""
        owed, life = self._collected(), self._life
        try:
            answer = await reach.decide(GCRA, self.key, asking(owed), life)
        except LeftAlone:
            self._owed.append(owed)
            raise
        wait, tightest, share, pause, *levels = answer
        self._waits_for = int(tightest)
        self._life = self._terms.life(share, pause)
        if self._life > life:
            # Another process learned of a pause that outlasts the life that records usually have.
            await reach.decide(GCRA, self.key, self._terms.looking(), self._life)
        return int(wait) * _NANOS, share, levels

    async def _heeded(self, reach: StoreReach, lesson: Lesson) -> Change | None:
        wait = (lesson.wait or 0.0) * MICRO
        life = max(self._life, self._terms.life(0.0, wait))
        answer = await reach.decide(HEED, self.key, self._terms.learning(lesson), life)
        old, new, before, pause = answer
        self._life = self._terms.life(new, pause)
        return change(lesson, (old, new), (int(before) * _NANOS, int(pause) * _NANOS))

    def learn(self, now: int, lesson: Lesson, tell: Tell) -> None:
        """Learn from a reply; the store is told by who pays next, and `tell` what that changed."""
        self._lessons.append((now, lesson, tell))
        # For the time when the store fails.
        self.local.heed(now, lesson)

    def keep_left(self, at: int, lesson: Lesson) -> None:
        """Have the store remember what an earlier reply left."""
        if lesson.left:
            self._lessons.append((at, Lesson(lesson.left), lambda _: None))

    def settle(self, now: int, reserved: Need, used: Need | None) -> None:
        """End a call: owe the store the difference between what it took and what it used."""
        if used is None or used == reserved:
            return
        more = [use - took for use, took in zip(used, reserved, strict=True)]
        unused, excess = (max(0, -one) for one in more), (max(0, one) for one in more)
        self._owed.append(Owed(_need(unused), _need(excess)))

    def is_first(self, waiter: Waiter, parker: Parker) -> bool:
        """Whether it is the waiter's turn to ask; `parker` is where it is woken if not."""
        with self._lock:
            return self._queue.is_first(waiter, parker)

    def wake(self) -> None:
        """Have the first in the queue ask again."""
        with self._lock:
            self._queue.wake()

    def tightest(self, now: int, need: Need) -> str:
        """Name the limit that the store said has to be waited for longest."""
        if self._waits_for < 0:
            return A_PAUSE if self._waits_for == PAUSED else "the queue"
        term = self._terms.each[self._waits_for]
        return f"{term.rate} {DIMENSIONS[term.dimension]}"

    def _collected(self) -> Owed:
        unused, excess = NONE, NONE
        while self._owed:
            try:
                one = self._owed.popleft()
            except IndexError:  # another thread took it
                break
            unused = _need(map(sum, zip(unused, one.unused, strict=True)))
            excess = _need(map(sum, zip(excess, one.excess, strict=True)))
        return Owed(unused, excess)


class SharedBuckets:
    """The buckets of one shared limit on one host.

    Args:
        name: What processes know the limit by.
        limits: What is allowed.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self.limits = limits
        self.terms = Terms(limits)
        self.outputs: BoundedRegistry[Outputs] = BoundedRegistry(Outputs)
        self._identity = ("rate_limited", name, self.terms.identity)
        self._buckets = BoundedRegistry(lambda: SharedBucket(limits, self.terms))

    def of(self, key: Hashable = None) -> SharedBucket:
        """Return the bucket of a value of `by`; None where all calls share one."""
        bucket = self._buckets[key]
        if not bucket.key:
            bucket.key = f"limit:{digest((*self._identity, key))}"
        return bucket


def _need(numbers: Iterable[int]) -> Need:
    requests, tokens, input_tokens, output_tokens = numbers
    return requests, tokens, input_tokens, output_tokens
