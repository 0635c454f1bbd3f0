"""The accounts of budgets, whatever comes in whichever order."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agentperf.errors import BudgetExceeded
from agentperf.policies.budgeted.core import KNOWN_OPERATIONS, NOTHING, OTHER, Amount, Ledger
from agentperf.policies.budgeted.options import BudgetOptions
from agentperf.usage import Usage

CENT = 10**10


def opened(outer: Ledger | None = None, **options) -> Ledger:
    """Open a budget at no particular time."""
    return Ledger(BudgetOptions(**options), "mine", lambda: 0.0, outer)


@given(
    limit=st.integers(1, 500),
    spends=st.lists(st.integers(0, 100), max_size=60),
)
def test_in_a_row_the_last_call_alone_goes_beyond(limit, spends):
    """What is over the limit is part of what the last call that was let in spent."""
    ledger = opened(tokens=limit)
    spent = last = 0
    for tokens in spends:
        try:
            call = ledger.admit(None)
        except BudgetExceeded:
            assert spent >= limit
        else:
            assert spent < limit
            ledger.put(Usage(tokens), "op")
            call.ended()
            spent, last = spent + tokens, tokens
    assert ledger.spent().input_tokens == spent
    assert spent - last < limit


@given(st.lists(st.integers(1, 40), max_size=40), st.integers(1, 400))
def test_dollars_are_exact(cents, limit):
    """A call is refused exactly when the cents before it reach the limit."""
    ledger = opened(usd=limit / 100)
    spent = 0
    for cent in cents:
        try:
            ledger.admit(None)
        except BudgetExceeded:
            assert spent >= limit
        else:
            assert spent < limit
            ledger.put(Usage(cost_usd=cent / 100), "op")
            spent += cent
    assert (ledger.spent().cost_usd or 0) == spent / 100


class Accounts(RuleBasedStateMachine):
    """Two budgets, one in the other, and calls under way in both."""

    def __init__(self) -> None:
        super().__init__()
        self.outer = opened(tokens=100, calls=30)
        self.inner = opened(self.outer, tokens=60, calls=12)
        self.under_way: list[tuple] = []
        self.spent = {self.outer: 0, self.inner: 0}
        self.calls = {self.outer: 0, self.inner: 0}
        self.at_last_admission = {self.outer: 0, self.inner: 0}

    def promised(self, ledger: Ledger) -> int:
        """What the model says is promised."""
        return sum(
            need for call, need in self.under_way if ledger in call.ledger.chain and call.is_leaf
        )

    @rule(inside=st.booleans(), need=st.integers(0, 30))
    def begin(self, inside, need):
        """A call begins, or is refused for a reason."""
        ledger = self.inner if inside else self.outer
        before = {each: self.spent[each] + self.promised(each) for each in ledger.chain}
        fits = all(
            before[each] < each.options.tokens
            and need <= each.options.tokens - before[each]
            and self.calls[each] < each.options.calls
            for each in ledger.chain
        )
        try:
            call = ledger.admit(None, Amount(need, 0) if need else NOTHING)
        except BudgetExceeded:
            assert not fits
        else:
            assert fits
            self.under_way.append((call, need))
            for each in ledger.chain:
                self.calls[each] += 1

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def begin_within(self, data):
        """A call inside of another takes over its place, or counts anew."""
        parent, need = data.draw(st.sampled_from(self.under_way))
        counted = () if parent.is_leaf else parent.ledger.chain
        was_leaf = parent.is_leaf
        try:
            call = parent.ledger.admit(parent)
        except BudgetExceeded:
            return
        assert not parent.is_leaf
        self.under_way.append((call, 0))
        for each in counted:
            self.calls[each] += 1
        if was_leaf:
            assert need == 0 or parent.promised is NOTHING

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), tokens=st.integers(0, 40))
    def end(self, data, tokens):
        """A call ends, having spent something."""
        at = data.draw(st.integers(0, len(self.under_way) - 1))
        call, _ = self.under_way.pop(at)
        call.ledger.put(Usage(tokens), "op")
        call.ended()
        for each in call.ledger.chain:
            self.spent[each] += tokens

    @invariant()
    def the_accounts_agree(self):
        """With a model that adds up by hand; calls never exceed their limit."""
        for ledger in (self.outer, self.inner):
            assert ledger.spent().input_tokens == self.spent[ledger]
            assert ledger.calls == self.calls[ledger] <= ledger.options.calls
        left = self.inner.remaining()["tokens"]
        used = {each: self.spent[each] + self.promised(each) for each in self.inner.chain}
        assert left == min(each.options.tokens - used[each] for each in self.inner.chain)


TestAccounts = Accounts.TestCase


def test_threads_never_let_in_one_call_too_many():
    """Exactly as many as the outermost limit allows, over several budgets inside."""
    outer = opened(calls=200)
    let_in = []

    def work() -> None:
        inner = opened(outer, calls=90)
        for _ in range(100):
            try:
                call = inner.admit(None, Amount(1, CENT))
            except BudgetExceeded:
                continue
            inner.put(Usage(1), "op")
            call.ended()
            let_in.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_in) == outer.calls == outer.spent().input_tokens == 200


def test_operations_are_bounded():
    """Those beyond the bound are counted together."""
    ledger = opened()
    for number in range(KNOWN_OPERATIONS + 10):
        ledger.put(Usage(1), f"op{number}")
    usages = ledger.usages()
    assert len(usages) == KNOWN_OPERATIONS + 1
    assert usages[OTHER] == Usage(10)


def test_calls_that_are_remembered_are_bounded():
    """Those made longest ago are forgotten."""
    ledger = opened(max_repeats=1)
    for number in range(3000):
        assert ledger.count_repeat(str(number)) == []
    assert ledger.count_repeat("0") == []
    assert ledger.count_repeat("2999") == [(ledger, 2)]
    assert len(ledger.repeats) == 1024
