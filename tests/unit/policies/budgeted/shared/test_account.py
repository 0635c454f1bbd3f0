"""What processes spend of a shared budget is counted once, whatever becomes of their questions."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agentperf._engine.stores import LeftAlone
from agentperf._engine.waiting import in_one_go
from agentperf.errors import BudgetExceeded, StoreUnavailable
from agentperf.policies.budgeted.core import Hold
from agentperf.policies.budgeted.options import SharedOptions
from agentperf.policies.budgeted.shared.account import Account
from agentperf.policies.budgeted.shared.decision import LEASE, Want
from agentperf.testing import FakeClock
from agentperf.testing.conformance.stores import MemoryStore
from agentperf.usage import Usage


class Lost(Exception):
    """There was no answer."""


class Way:
    """A way to a store on which questions and answers get lost or come late."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.fate = "answered"
        self.late = []

    async def decide(self, *question):
        """Ask, as far as one gets through."""
        if self.fate == "left alone":
            raise LeftAlone
        if self.fate == "late":
            self.late.append(question)
        answer = None
        if self.fate in ("answered", "answer lost"):
            answer = self.store.decide(*question)
        if answer is None or self.fate == "answer lost":
            raise Lost
        return answer

    def arrive(self):
        """Have everything that is late come after all."""
        while self.late:
            self.store.decide(*self.late.pop(0))


FATES = ["answered", "answered", "answered", "left alone", "late", "answer lost", "question lost"]

CALLS, TOKENS = 12, 400


class Process:
    """One process: its account, and the calls that it has under way."""

    def __init__(self, clock, store, mode) -> None:
        options = SharedOptions(store, None, TOKENS, CALLS, None, mode)
        self.account = Account("team", options, clock.now)
        self.way = Way(store)
        self.running = []


class Spending(RuleBasedStateMachine):
    """Three processes share one budget; what each of them did is also kept in plain sums."""

    mode = "closed"

    @initialize()
    def begin(self):
        """Nobody has done anything."""
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.processes = [Process(self.clock, self.store, self.mode) for _ in range(3)]
        self.calls = self.tokens = self.estimates = 0

    @rule(who=st.integers(0, 2), need=st.integers(0, 60), fate=st.sampled_from(FATES))
    def call(self, who, need, fate):
        """Begin a call."""
        process = self.processes[who]
        process.way.fate = fate
        try:
            in_one_go(process.account.take(process.way, Want(1, need)))
        except (BudgetExceeded, StoreUnavailable):
            return
        finally:
            process.way.fate = "answered"
        process.running.append(need)
        self.calls += 1

    @rule(who=st.integers(0, 2), more=st.integers(0, 30), fate=st.sampled_from(FATES))
    def end(self, who, more, fate):
        """End the oldest one: it spent its estimate, and something more."""
        process = self.processes[who]
        if not process.running:
            return
        need = process.running.pop(0)
        process.account.books.put(Usage(need + more), "op")
        process.account.free(Hold(need))
        self.tokens += need + more
        process.way.fate = fate
        in_one_go(process.account.pay(process.way))
        process.way.fate = "answered"

    @rule(who=st.integers(0, 2), need=st.integers(0, 60))
    def take_over(self, who, need):
        """Begin a call in place of the one that was begun last."""
        process = self.processes[who]
        if not process.running:
            return
        freed = process.running.pop()
        try:
            in_one_go(process.account.take(process.way, Want(0, need, 0, freed)))
        except BudgetExceeded:
            process.running.append(freed)
        else:
            process.running.append(need)

    @rule(who=st.integers(0, 2))
    def take_back(self, who):
        """A call was none after all."""
        process = self.processes[who]
        if process.running:
            process.account.free(Hold(process.running.pop()))
            process.account.undo()
            self.calls -= 1

    @rule(who=st.integers(0, 2))
    def arrive(self, who):
        """What is late arrives."""
        self.processes[who].way.arrive()

    @rule(seconds=st.sampled_from([1, 100, LEASE + 1, 10_000]))
    def wait(self, seconds):
        """Time passes; everybody says a word so as not to be forgotten with a lost answer."""
        self.settled()
        self.clock.advance(seconds)

    @rule()
    def settled(self):
        """Once all have told what they know, everything was counted once."""
        for _ in range(2):
            for process in self.processes:
                process.way.arrive()
                in_one_go(process.account.pay(process.way))
                figures = in_one_go(process.account.figures(process.way))
        assert (figures.calls, figures.tokens) == (self.calls, self.tokens)
        held = sum(sum(process.running) for process in self.processes)
        assert figures.held_tokens == held
        assert all(not process.account.owes for process in self.processes)

    @invariant()
    def never_too_many(self):
        """No call more than are allowed."""
        if self.mode == "closed":
            assert self.calls <= CALLS


class LocalSpending(Spending):
    """The same where each process goes on by itself."""

    mode = "local"


class OpenSpending(Spending):
    """The same where calls are let in without a store."""

    mode = "open"


TestClosed = Spending.TestCase
TestLocal = LocalSpending.TestCase
TestOpen = OpenSpending.TestCase
TestClosed.settings = TestLocal.settings = TestOpen.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
