"""The suite for stores of limiters and breakers, of either colour, and a store in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from agentperf._base.clock import Clock
from agentperf.abc import AsyncStore, Decision, Record, Store
from agentperf.testing.conformance.expecting import Either, at_once, expect, finished

_Answer = tuple[Record | None, Sequence[float]]


def _count(record: Record | None, arguments: Sequence[float], _: float) -> _Answer:
    before = record or (0.0,)
    after = before[0] + arguments[0]
    return (after,), (before[0], after)


def _remember(record: Record | None, arguments: Sequence[float], _: float) -> _Answer:
    return tuple(arguments), record or ()


def _forget(record: Record | None, _: Sequence[float], __: float) -> _Answer:
    return None, record or ()


def _time(record: Record | None, _: Sequence[float], now: float) -> _Answer:
    return record, (now,)


def _fail(_: Record | None, __: Sequence[float], ___: float) -> _Answer:
    raise ArithmeticError


COUNT = Decision("count", _count)
"""Adds its argument to the record; answers with the sums before and after."""
REMEMBER = Decision("remember", _remember)
"""Makes its arguments the record; answers with the record before."""
FORGET = Decision("forget", _forget)
"""Removes the record; answers with the record before."""
TIME = Decision("time", _time)
"""Leaves the record; answers with the store's time."""
FAIL = Decision("fail", _fail)
"""Raises `ArithmeticError`."""


class MemoryStore(Store):
    """Keeps records in memory: what a store for real has to do, in a few lines.

    Args:
        clock: Where time comes from; real time by default.
    """

    blocking = False

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        self._records: dict[str, tuple[Record, float]] = {}

    def now(self) -> float:
        """Return the seconds of its clock."""
        return self._clock.now()

    def decide(
        self, decision: Decision, key: str, arguments: Sequence[float], ttl: float
    ) -> tuple[float, ...]:
        """Take a decision on the record of `key`."""
        with self._lock:
            now = self.now()
            record, answer = decision.apply(self._living(key, now), arguments, now)
            if record is None:
                self._records.pop(key, None)
            else:
                self._records[key] = (tuple(record), now + ttl)
            return tuple(answer)

    def delete(self, key: str) -> bool:
        """Forget the record of `key`."""
        with self._lock:
            was_there = self._living(key, self.now()) is not None
            self._records.pop(key, None)
            return was_there

    def _living(self, key: str, now: float) -> Record | None:
        record, until = self._records.get(key, (None, 0.0))
        return record if now < until else None


class StoreConformance:
    """Holds a `Store` or an `AsyncStore` to its contract.

    A server that runs decisions as scripts overrides the decisions with ones that have them.

    Attributes:
        ttl: The time to live that the checks use, in seconds.
    """

    ttl = 0.1
    count = COUNT
    remember = REMEMBER
    forget = FORGET
    time = TIME
    fail: Decision | None = FAIL

    def make(self) -> Store | AsyncStore:
        """Return the store to check, empty."""
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the store; override it where a clock can be moved by hand."""
        time.sleep(seconds)

    def _check(self, check: Callable[[Any], Awaitable[None]]) -> None:
        store = self.make()

        async def run() -> None:
            either = Either(store)
            try:
                await check(either)
            finally:
                await either.close()
                await either.close()

        finished(run, is_async=isinstance(store, AsyncStore))

    def test_it_extends_the_contract(self) -> None:
        """It is a store, and says whether others share it."""
        store = self.make()
        expect(isinstance(store, Store | AsyncStore), "it must extend Store or AsyncStore")
        expect(isinstance(store.shared, bool), "shared must be True or False")

    def test_decisions_build_on_each_other(self) -> None:
        """A decision finds what the one before made of the record."""

        async def check(store: Any) -> None:
            first = await store.decide(self.count, "key", (1.0,), 60.0)
            second = await store.decide(self.count, "key", (2.5,), 60.0)
            expect(tuple(first) == (0.0, 1.0), f"the first decision answered {first}")
            expect(tuple(second) == (1.0, 3.5), f"the second decision answered {second}")

        self._check(check)

    def test_numbers_stay_exact(self) -> None:
        """A record's numbers come back to the last bit, however many there are."""

        async def check(store: Any) -> None:
            numbers = (0.1, 1 / 3, 1e15 + 0.3, 1_700_000_000.123456, -0.0, 5e-324, 2.0**53)
            await store.decide(self.remember, "key", numbers, 60.0)
            found = tuple(await store.decide(self.remember, "key", (), 60.0))
            expect(found == numbers, f"{numbers} came back as {found}")

        self._check(check)

    def test_keys_are_told_apart(self) -> None:
        """A decision on one key leaves the others alone."""

        async def check(store: Any) -> None:
            keys = ["a", "A", "a:b", "a*", "x" * 199 + "1", "x" * 199 + "2"]
            for number, key in enumerate(keys):
                await store.decide(self.remember, key, (float(number),), 60.0)
            for number, key in enumerate(keys):
                found = tuple(await store.decide(self.forget, key, (), 60.0))
                expect(found == (float(number),), f"the key {key!r} is mixed up")

        self._check(check)

    def test_removing(self) -> None:
        """A record can be removed, by a decision and from outside."""

        async def check(store: Any) -> None:
            expect(await store.delete("key") is False, "delete() of nothing must give False")
            await store.decide(self.count, "key", (1.0,), 60.0)
            expect(await store.delete("key") is True, "delete() must tell that it was there")
            await store.decide(self.count, "key", (5.0,), 60.0)
            await store.decide(self.forget, "key", (), 60.0)
            found = tuple(await store.decide(self.count, "key", (1.0,), 60.0))
            expect(found == (0.0, 1.0), "a decision that gives None must remove the record")

        self._check(check)

    def test_time_to_live(self) -> None:
        """A record is forgotten when its time is up, and each decision renews it."""

        async def check(store: Any) -> None:
            await store.decide(self.count, "idle", (1.0,), self.ttl)
            await store.decide(self.count, "busy", (1.0,), self.ttl)
            self.pass_time(self.ttl * 0.6)
            await store.decide(self.count, "busy", (1.0,), self.ttl)
            self.pass_time(self.ttl * 0.6)
            idle = tuple(await store.decide(self.count, "idle", (1.0,), self.ttl))
            busy = tuple(await store.decide(self.count, "busy", (1.0,), self.ttl))
            expect(idle == (0.0, 1.0), "a record must be forgotten after its ttl")
            expect(busy == (2.0, 3.0), "a decision must renew the ttl")
            self.pass_time(self.ttl * 1.5)
            expect(await store.delete("busy") is False, "an expired record must count as absent")

        self._check(check)

    def test_time_is_the_stores(self) -> None:
        """Decisions are taken by the clock that `now` tells, and it moves forward."""

        async def check(store: Any) -> None:
            before = await store.now()
            (during,) = await store.decide(self.time, "key", (), 60.0)
            self.pass_time(self.ttl)
            after = await store.now()
            expect(before <= during <= after, f"now() {before}, decided at {during}, then {after}")
            passed = after - before
            expect(0.5 * self.ttl <= passed, f"{passed} s passed where {self.ttl} s had to")

        self._check(check)

    def test_a_failed_decision_changes_nothing(self) -> None:
        """An error comes out, and the record is as it was."""
        if (fail := self.fail) is None:
            return

        async def check(store: Any) -> None:
            await store.decide(self.count, "key", (1.0,), 60.0)
            try:
                await store.decide(fail, "key", (), 60.0)
            except ArithmeticError:
                pass
            else:
                expect(False, "the error of a decision must come out")
            found = tuple(await store.decide(self.count, "key", (1.0,), 60.0))
            expect(found == (1.0, 2.0), "a failed decision must leave the record as it was")

        self._check(check)

    def test_nobody_comes_between(self) -> None:
        """Of decisions that threads take at the same time, none is lost."""
        store = self.make()
        if not isinstance(store, Store):
            return
        rounds, threads = 100, 4

        def work(_: int) -> None:
            for _ in range(rounds):
                store.decide(self.count, "key", (1.0,), 60.0)

        try:
            at_once(threads, work)
            before, _ = store.decide(self.count, "key", (0.0,), 60.0)
            expect(before == rounds * threads, f"{before} of {rounds * threads} decisions counted")
        finally:
            store.close()
