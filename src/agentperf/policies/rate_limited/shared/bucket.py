"""A bucket whose rates are kept in a store: the queue is this process's, the decision is not."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable

from agentperf._base.bounded import BoundedRegistry
from agentperf._base.keys import digest
from agentperf._engine.places import Waiter
from agentperf._engine.stores import LeftAlone, StoreReach
from agentperf.abc.waiting import Parker
from agentperf.policies.rate_limited.bucket import DIMENSIONS, Bucket, Limits, Need
from agentperf.policies.rate_limited.outputs import Outputs
from agentperf.policies.rate_limited.shared.decision import GCRA, Owed, Terms

NOTHING: Need = (0, 0, 0, 0)
MOST_AT_ONCE = 16
"""How many calls of a process ask at once, at most; others join the queue without having asked."""

_NANOS = 1000


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
        paying: Whether somebody is telling the store what is owed.
    """

    def __init__(self, limits: Limits, terms: Terms) -> None:
        super().__init__(limits)
        self.key = ""
        self.local = Bucket(limits)
        self._terms = terms
        self._owed: deque[Owed] = deque()
        self._waits_for = -1
        self._asking = 0
        self.paying = False

    @property
    def may_ask(self) -> bool:
        """Whether a call that comes may ask before it joins the queue."""
        return not self._queue and self._asking < MOST_AT_ONCE

    @property
    def owes(self) -> bool:
        """Whether something is to be put right in the store."""
        return bool(self._owed)

    async def ask(self, reach: StoreReach, need: Need) -> int:
        """Have the store take what a call needs, at once.

        Returns:
            0 when it was taken, else the nanoseconds it would have to wait.

        Raises:
            Exception: The store failed. Whether it took anything is not known, and what was owed
                is taken as paid: a limit is kept rather than used up.
        """
        with self._lock:
            self._asking += 1
        try:
            wait, self._waits_for, _ = await self._decided(reach, need)
        finally:
            with self._lock:
                self._asking -= 1
        return wait

    async def left(self, reach: StoreReach) -> dict[str, int]:
        """Return what fits now of each dimension, by its tightest rate.

        Raises:
            Exception: The store failed.
        """
        _, _, levels = await self._decided(reach, NOTHING)
        left: dict[str, int] = {}
        for term, level in zip(self._terms.each, levels, strict=True):
            name, fits = DIMENSIONS[term.dimension], term.remaining(level)
            left[name] = min(left.get(name, fits), fits)
        return left

    async def _decided(self, reach: StoreReach, need: Need) -> tuple[int, int, list[float]]:
        owed = self._collected()
        try:
            arguments = self._terms.arguments(need, owed)
            answer = await reach.decide(GCRA, self.key, arguments, self._terms.ttl)
        except LeftAlone:
            self._owed.append(owed)
            raise
        wait, tightest, *levels = answer
        return int(wait) * _NANOS, int(tightest), levels

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
            return "the queue"
        term = self._terms.each[self._waits_for]
        return f"{term.rate} {DIMENSIONS[term.dimension]}"

    def _collected(self) -> Owed:
        unused, excess = NOTHING, NOTHING
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
