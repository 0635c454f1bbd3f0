"""Things in order, beside a sorted list that does the same slowly."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agentperf._base.ranked import Ranked


class RankedMachine(RuleBasedStateMachine):
    """Things come and go in any order."""

    def __init__(self):
        super().__init__()
        self.ranked = Ranked()
        self.model = []
        self.gone = []

    @rule(rank=st.integers(-3, 3))
    def add(self, rank):
        """One comes."""
        number = self.ranked.add(rank, f"thing {len(self.model) + len(self.gone)}")
        self.model.append((rank, number, f"thing {len(self.model) + len(self.gone)}"))
        self.model.sort()

    @precondition(lambda self: self.model)
    @rule(which=st.integers(0, 99))
    def remove(self, which):
        """One goes, wherever it stands."""
        _, number, _ = self.model.pop(which % len(self.model))
        assert self.ranked.remove(number)
        self.gone.append(number)

    @precondition(lambda self: self.gone)
    @rule(which=st.integers(0, 99))
    def remove_again(self, which):
        """What is gone stays gone."""
        assert not self.ranked.remove(self.gone[which % len(self.gone)])

    @invariant()
    def it_is_the_sorted_list(self):
        """First, all and how many."""
        assert self.ranked.first() == (self.model[0] if self.model else None)
        assert list(self.ranked) == [thing for _, _, thing in self.model]
        assert len(self.ranked) == len(self.model)


TestRanked = RankedMachine.TestCase


def test_what_was_taken_out_does_not_pile_up():
    """Behind a first that stays, any number may come and go."""
    ranked = Ranked()
    ranked.add(0, "first")
    for _ in range(10_000):
        ranked.remove(ranked.add(1, "other"))
    assert len(ranked._heap) < 100
    assert ranked.first()[2] == "first"
