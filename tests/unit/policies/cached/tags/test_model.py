"""Entries, tags, expiry and computations under way, in any order, against a model."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import agentperf
from agentperf import cache_control, cached, handle
from agentperf.testing import FakeClock, fresh_host
from tests.unit.policies.cached.test_freshness import WHERE, place

TTL = 10
KEYS = range(2)


@dataclass
class Computation:
    """One that is under way, as the model sees it."""

    x: int
    value: int
    gate: asyncio.Event
    tasks: list = field(default_factory=list)
    joinable: bool = True
    keeps: bool = True


class CachesAgainstModel(RuleBasedStateMachine):
    """A source of truth, a cache with tags over it, and invalidation after each change.

    What an answer is about is named in three ways: a tag of the call that belongs to it, one that
    it shares, and one that the function names at its end.
    """

    where = "memory"

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.within = fresh_host(FakeClock())
        self.clock = self.within.__enter__().clock
        self.truth = dict.fromkeys(KEYS, 0)
        self.held = {}  # the value, and until when
        self.under_way = []
        self.began = []
        self.f = cached(
            TTL,
            tags=("item:{x}", "all"),
            backend=place(self.where, self.clock),
            name="f",
        )(self.compute)

    async def compute(self, x):
        """Read the truth, take time, and name what it was about."""
        computation = Computation(x, self.truth[x], asyncio.Event())
        self.began.append(computation)
        await computation.gate.wait()
        cache_control(tags=f"late:{x}")
        return computation.value

    def run(self, *tasks):
        """Let everything go on as far as it can."""

        async def idle():
            for _ in range(40):
                await asyncio.sleep(0)

        self.loop.run_until_complete(idle())
        return all(task.done() for task in tasks)

    @rule(x=st.sampled_from(KEYS))
    def call(self, x):
        """It is answered with the truth, joins what is under way, or begins anew."""
        task = self.loop.create_task(self.f(x))
        done = self.run(task)
        joined = [one for one in self.under_way if one.x == x and one.joinable]
        if done:
            assert self.held[x][0] == self.truth[x] == task.result()
            assert not self.began
            return
        if self.where == "memory":  # elsewhere, some that could be kept are not
            assert x not in self.held
            assert bool(self.began) is not bool(joined)
        if self.began:
            for one in joined:
                one.joinable = one.keeps = False
            self.under_way.append(self.began.pop())
            joined = self.under_way[-1:]
        joined[0].tasks.append(task)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def land(self, data):
        """It serves all who waited, and is kept unless something was invalidated since it began."""
        one = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        one.gate.set()
        assert self.run(*one.tasks)
        assert {task.result() for task in one.tasks} == {one.value}
        if one.keeps:
            self.held[one.x] = one.value, self.clock.now() + TTL

    @rule(x=st.sampled_from(KEYS), by=st.sampled_from(["item", "late", "key"]))
    def change(self, x, by):
        """Change one thing, and say so."""
        self.truth[x] += 1
        if by == "key":
            self.loop.run_until_complete(handle(self.f).cache.ainvalidate(x))
        else:
            self.invalidate(f"{by}:{x}")
        self.gone(x, joinable=by == "late")

    @rule(by=st.sampled_from(["tag", "clear"]))
    def change_all(self, by):
        """Change everything, and say so by the tag that all share, or by the handle."""
        for x in KEYS:
            self.truth[x] += 1
            self.gone(x)
        if by == "tag":
            self.invalidate("all", "nothing")
        else:
            self.loop.run_until_complete(handle(self.f).cache.aclear())

    @rule(seconds=st.sampled_from([1, TTL / 2, TTL]))
    def wait(self, seconds):
        """Time passes."""
        self.clock.advance(seconds)
        now = self.clock.now()
        self.held = {x: (value, until) for x, (value, until) in self.held.items() if now < until}

    def invalidate(self, *tags):
        """Invalidate in the colour of the cache."""
        self.loop.run_until_complete(agentperf.ainvalidate(tags=tags))

    def gone(self, x, *, joinable=False):
        """Note that nothing that was there is good any more."""
        self.held.pop(x, None)
        for one in self.under_way:
            if one.x == x:
                one.keeps = False
                # What will be named at the end is not known yet: others still join.
                one.joinable = one.joinable and joinable

    @invariant()
    def counts(self):
        """Every call is counted once, also those that still wait."""
        stats = handle(self.f).cache.stats()
        assert stats.stored + stats.refused <= stats.misses

    def teardown(self):
        """Let all go home."""
        for one in self.under_way:
            one.gate.set()
        self.run()
        self.loop.close()
        self.within.__exit__(None, None, None)


@pytest.mark.parametrize("where", WHERE)
def test_against_the_model(where):
    """No order of events gives a stale answer, or keeps what was begun too early."""
    machine = type("Machine", (CachesAgainstModel,), {"where": where})
    run_state_machine_as_test(machine, settings=settings(max_examples=100, stateful_step_count=30))
