"""Who gets places: never more than there are, none lost, and nobody passed over for ever."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agentperf.policies.bulkhead.shared.decision import CLAIM, PLACES, Terms
from tests.unit.policies.bulkhead.shared.statements import statements, terms

LASTS = 15.0
START = 1_700_000_000.0


class Store:
    """One record, on a clock that the test moves."""

    def __init__(self, limit=3, lasts=LASTS):
        self.terms = Terms(limit, lasts)
        self.record = None
        self.now = START

    def state(self, holder, number, have, wants, stay=None):
        """Make a statement; return what was granted beyond what it has, and what others have."""
        arguments = self.terms.arguments(float(holder), number, have, wants, stay)
        self.record, answer = PLACES.apply(self.record, arguments, self.now)
        return int(answer[0]) - have, int(answer[1])


class Process:
    """What a process believes: the plain model."""

    def __init__(self, holder):
        self.holder = holder
        self.number = 0
        self.in_use = 0
        self.seen = START
        self.alive = True


class PlacesMachine(RuleBasedStateMachine):
    """Processes take and give back, stand still, die, and hear nothing of some answers."""

    def __init__(self):
        super().__init__()
        self.store = Store()
        self.processes = [Process(holder) for holder in (1, 2, 3)]
        self.late = []

    def usable(self, process):
        """Whether a process works and its lease is good: what it does is bounded by the limit."""
        return process.alive and self.store.now - process.seen <= LASTS

    def state(self, process, wants):
        """Have a process say how things stand."""
        process.number += 1
        granted, _ = self.store.state(process.holder, process.number, process.in_use, wants)
        process.seen = self.store.now
        return granted

    @rule(who=st.integers(0, 2), wants=st.integers(0, 4))
    def ask(self, who, wants):
        """Take what is granted."""
        process = self.processes[who]
        if self.usable(process):
            process.in_use += self.state(process, wants)

    @rule(who=st.integers(0, 2), wants=st.integers(1, 4))
    def ask_and_hear_nothing(self, who, wants):
        """The answer is lost: nothing is taken."""
        if self.usable(self.processes[who]):
            self.state(self.processes[who], wants)

    @rule(who=st.integers(0, 2), wants=st.integers(0, 4))
    def ask_late(self, who, wants):
        """A statement is made that arrives some time after; its answer reaches nobody."""
        process = self.processes[who]
        process.number += 1
        self.late.append((process.holder, process.number, process.in_use, wants))

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def arrive(self, data):
        """Now it arrives: others of its process may have overtaken it."""
        late = data.draw(st.sampled_from(self.late))
        self.late.remove(late)
        process = self.processes[late[0] - 1]
        if late[1] == process.number or self.usable(process):
            self.store.state(*late)

    @rule(who=st.integers(0, 2), tells=st.booleans())
    def give_back(self, who, tells):
        """A call ends; the store may hear of it later."""
        process = self.processes[who]
        if process.in_use:
            process.in_use -= 1
            if tells and self.usable(process):
                self.state(process, 0)

    @rule(seconds=st.sampled_from([0.1, 1.1, 4.0, LASTS + 0.5]))
    def time_passes(self, seconds):
        """Those whose lease ends meanwhile are gone."""
        self.store.now += seconds
        for process in self.processes:
            if not self.usable(process):
                process.in_use, process.number = 0, process.number + 1

    @rule(who=st.integers(0, 2))
    def come_again(self, who):
        """A process that was gone begins anew."""
        process = self.processes[who]
        if not self.usable(process):
            process.seen = self.store.now
            self.state(process, 0)

    @invariant()
    def never_more_than_there_are(self):
        """Whatever got lost or came late."""
        assert sum(process.in_use for process in self.processes) <= self.store.terms.limit

    @invariant()
    def none_is_lost_for_longer_than_a_lease(self):
        """Who asks alone after everybody was silent gets them all."""
        record, limit = self.store.record, self.store.terms.limit
        arguments = self.store.terms.arguments(9.0, 1, 0, limit + 1)
        _, answer = PLACES.apply(record, arguments, self.store.now + LASTS + 0.001)
        assert answer == (limit, 0, 0)

    @invariant()
    def none_is_lost_once_all_is_told(self):
        """When every process said that it has none, one that asks gets them all."""
        record, limit = self.store.record, self.store.terms.limit
        for process in self.processes:
            arguments = self.store.terms.arguments(
                float(process.holder), process.number + len(self.late) + 1, 0, 0
            )
            record, _ = PLACES.apply(record, arguments, self.store.now)
        _, answer = PLACES.apply(
            record, self.store.terms.arguments(9.0, 1, 0, limit + 1), self.store.now
        )
        assert answer == (limit, 0, 0)


TestPlaces = PlacesMachine.TestCase
TestPlaces.settings = settings(max_examples=200, stateful_step_count=40)


@given(terms(), statements())
def test_nothing_is_granted_that_is_not_there(terms, sequence):
    """Whatever anybody claims to have, also with a clock that is set back."""
    record, now = None, START
    for passed, holder, number, have, wants, stay in sequence:
        now += passed / 1_000_000
        record, (count, taken, waiting) = PLACES.apply(
            record, terms.arguments(holder, number, have, wants, stay), now
        )
        assert count >= 0
        assert taken >= 0
        assert waiting >= 0
        entries = [record[at : at + 6] for at in range(0, len(record or ()), 6)]
        assert len({entry[0] for entry in entries}) == len(entries)
        mine = [entry for entry in entries if entry[0] == holder]
        if mine and mine[0][1] == number and mine[0][2] == now:
            granted = mine[0][3] - have
            if granted > 0:
                assert have + granted + taken <= terms.limit


def test_first_come_first_served_where_nobody_else_waits():
    """One process may have all places."""
    store = Store()
    assert store.state(1, 1, 0, 5) == (3, 0)
    assert store.state(2, 1, 0, 1) == (0, 3)
    assert store.state(1, 2, 2, 0) == (0, 0)
    assert store.state(2, 2, 0, 1) == (1, 2)


def test_a_statement_that_is_made_twice_is_answered_twice():
    """A client that tries again hears what was granted the first time."""
    store = Store()
    assert store.state(1, 1, 0, 2) == (2, 0)
    assert store.state(1, 1, 0, 2) == (2, 0)


def test_who_waits_is_served_before_those_who_have_their_share():
    """Even if they ask first."""
    store = Store(limit=4)
    assert store.state(1, 1, 0, 4) == (4, 0)
    assert store.state(2, 1, 0, 4) == (0, 4)
    # Two of the four are kept for the other one, from those that come free.
    assert store.state(1, 2, 3, 4) == (0, 0)
    assert store.state(1, 3, 2, 4) == (0, 0)
    assert store.state(1, 4, 1, 4) == (1, 0)
    assert store.state(2, 2, 0, 4) == (2, 2)


def test_what_is_kept_for_somebody_is_not_kept_for_long():
    """A process that died while it waited holds up nobody."""
    store = Store(limit=1)
    store.state(1, 1, 0, 1)
    store.state(2, 1, 0, 1)
    store.now += CLAIM
    assert store.state(1, 2, 0, 1) == (0, 0)
    store.now += 0.001
    assert store.state(1, 3, 0, 1) == (1, 0)


def test_more_processes_than_places_take_turns():
    """Of those who wait, the one that got nothing for longest; also if others ask more often."""
    store, turns, has = Store(limit=1), [], None
    numbers = dict.fromkeys((1, 2, 3), 0)
    for moment in range(300):
        for who in (3, 3, 1, 3, 2):
            store.now += 0.05
            if who != has or moment % 3 == 0:  # who has it gives it back, and wants it again
                numbers[who] += 1
                has = None if who == has else has
                granted, _ = store.state(who, numbers[who], 0, 1)
                if granted:
                    assert has is None
                    has = who
                    turns.append(who)
    counts = [turns.count(who) for who in (1, 2, 3)]
    assert min(counts) > 30
    assert max(counts) - min(counts) <= 2


def test_who_was_away_for_too_long_is_counted_again():
    """More than there are, then, and nothing is granted before that is over."""
    store = Store(limit=2)
    assert store.state(1, 1, 0, 2) == (2, 0)
    store.now += LASTS + 1
    assert store.state(2, 1, 0, 2) == (2, 0)
    assert store.state(1, 2, 2, 1) == (0, 2)
    assert store.state(2, 2, 1, 1) == (0, 2)
    assert store.state(1, 3, 0, 0) == (0, 1)
    assert store.state(2, 3, 1, 1) == (1, 0)


def test_who_only_looks_changes_nothing():
    """Also where there is nothing."""
    store = Store()
    assert store.state(0, 0, 0, 0) == (0, 0)
    assert store.record is None
    store.state(1, 1, 0, 2)
    before = store.record
    assert store.state(0, 0, 0, 0) == (0, 2)
    assert store.record == before
