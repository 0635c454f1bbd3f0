"""What the decision of a shared budget makes of its record."""

from __future__ import annotations

from hypothesis import given

from agentperf.policies.budgeted.shared.decision import (
    FORGOTTEN,
    LEASE,
    MICRO,
    NO_CALL,
    SHARED_BUDGET,
    Allowed,
    Figures,
    Purpose,
    Status,
    Totals,
    Want,
    arguments,
)
from tests.unit.policies.budgeted.shared.sequences import sequences

START = 1_700_000_000
NOTHING = Totals()


class Record:
    """A record, and those who ask for it."""

    def __init__(self, *allowed, per=None) -> None:
        self.allowed = Allowed(*allowed)
        self.per = per
        self.kept = None
        self.now = START
        self.serials = {}

    def ask(self, purpose, holder=1, told=NOTHING, counted=NOTHING, want=NO_CALL, **more):
        """Ask as a process does; return the status and the figures."""
        serial = more.pop("serial", None) or self.serials.get(holder, 0) + 1
        self.serials[holder] = max(serial, self.serials.get(holder, 0))
        takes = arguments(
            purpose,
            self.allowed,
            self.per,
            holder=holder,
            serial=serial,
            floor=more.pop("floor", 0),
            known=more.pop("known", Figures()),
            told=told,
            counted=counted,
            want=want,
        )
        self.kept, (status, *figures) = SHARED_BUDGET.apply(self.kept, takes, self.now)
        return Status(int(status)), Figures(*map(int, figures))

    def begin(self, *want, **more):
        """Ask for a call."""
        return self.ask(Purpose.BEGIN, want=Want(*want), **more)[0]

    def told(self, *told, **more):
        """Tell what was done; return the figures."""
        return self.ask(Purpose.TELL, told=Totals(*told), **more)[1]


@given(sequences())
def test_numbers_stay_whole_and_nothing_shrinks_but_anew(sequence):
    """Whatever comes: no fraction, nothing below nothing, and no call beyond the limit."""
    record, now = None, float(START)
    for passed, takes in sequence:
        now += passed / MICRO
        before = (0.0,) * 5 if record is None else record[:5]
        record, (status, *figures) = SHARED_BUDGET.apply(record, takes, now)
        assert all(number == int(number) for number in record)
        assert all(number >= 0 for number in record)
        seen = Figures(*map(int, figures))
        if takes[0] == Purpose.BEGIN and status == Status.DONE and takes[27] and takes[7] >= 0:
            assert seen.calls <= takes[7]
        if record[0] == before[0]:
            assert all(after >= was for after, was in zip(record[1:5], before[1:5], strict=True))


def test_calls_are_exact_over_processes():
    """Whoever asks first gets them."""
    record = Record(3)
    assert [record.begin(1, holder=who) for who in (1, 2, 1, 2)] == [
        *[Status.DONE] * 3,
        Status.NO_CALLS,
    ]


def test_a_call_in_the_place_of_another_counts_nothing():
    """A pipeline that only calls another one is one call with it."""
    record = Record(1, 100)
    assert record.begin(1, 80) is Status.DONE
    assert record.begin(0, 90, 0, 80) is Status.DONE
    assert record.told(1, 0, 0, 0, 170, 80).held_tokens == 90


def test_what_is_kept_free_is_refused_to_others():
    """Until it is told that it is free again."""
    record = Record(-1, 100)
    assert record.begin(1, 60) is Status.DONE
    assert record.begin(1, 60, holder=2) is Status.NO_TOKENS
    record.told(1, 0, 10, 0, 60, 60)
    assert record.begin(1, 60, holder=2) is Status.DONE


def test_what_is_told_twice_counts_once():
    """Totals are told, and only what exceeds those known is new; also out of order."""
    record = Record(-1, 1000)
    for tokens in (100, 250, 100, 250, 180):
        figures = record.told(0, 0, tokens)
    assert figures.tokens == 250


def test_what_was_given_up_is_void():
    """A question that comes after its asker has gone on changes nothing."""
    record = Record(3)
    assert record.begin(1, serial=2, floor=1) is Status.DONE
    assert record.begin(1, serial=1, floor=0) is Status.VOID
    assert record.told(1).calls == 1


def test_a_silent_process_keeps_nothing_free_for_long():
    """A lease ends; who speaks again has it again."""
    record = Record(-1, 100)
    record.begin(1, 60)
    record.now += LEASE - 1
    assert record.begin(1, 60, holder=2) is Status.NO_TOKENS
    record.now += 2
    assert record.begin(1, 60, holder=2) is Status.DONE
    assert record.told(1, 0, 0, 0, 60, holder=1).held_tokens == 120


def test_a_process_that_was_silent_for_long_is_forgotten():
    """Its numbers go, what it spent stays; what it spends later is added."""
    record = Record(-1, 1000)
    record.told(1, 0, 100)
    record.now += FORGOTTEN + 1
    record.told(holder=2)
    assert len(record.kept) == 5 + 11
    assert record.told(1, 0, 130, counted=Totals(1, 0, 100)).tokens == 130


def test_a_period_begins_with_the_first_spending():
    """And after it nothing is spent; who keeps something free still does."""
    record = Record(2, 100, per=60)
    assert record.told().began == 0
    record.now += 1000
    record.begin(1, 10)
    record.begin(1)
    assert record.begin(1) is Status.NO_CALLS
    record.now += 59
    assert record.begin(1) is Status.NO_CALLS
    record.now += 1
    figures = record.told(2, 0, 0, 0, 10)
    assert (figures.calls, figures.began, figures.held_tokens) == (0, 0, 10)
    assert record.begin(1, told=Totals(2, 0, 0, 0, 10)) is Status.DONE


def test_a_reset_begins_anew():
    """What was told before is known, and what somebody knew of before counts no more."""
    record = Record(2)
    record.begin(1)
    record.begin(1)
    known = record.told(2)
    record.now += 5
    status, figures = record.ask(Purpose.RESET, holder=2)
    assert (status, figures.calls) == (Status.DONE, 0)
    assert record.told(2, known=known).calls == 0
    assert record.begin(1, told=Totals(2)) is Status.DONE


def test_a_store_that_lost_its_memory_is_told_what_was_known():
    """The one who knows most of the same budget is right; and what nobody told it is added."""
    record = Record(-1, 1000)
    early = record.told(0, 0, 100)
    late = record.told(0, 0, 50, holder=2)
    record.kept = None
    assert record.told(0, 0, 110, counted=Totals(0, 0, 100), known=early).tokens == 110
    told = record.told(0, 0, 70, counted=Totals(0, 0, 50), known=late, holder=2)
    assert told.tokens == 170


def test_a_record_of_another_shape_counts_as_none():
    """Should a key ever be used for something else, the budget begins anew."""
    record = Record(1)
    record.kept = (1.0, 2.0)
    assert record.begin(1) is Status.DONE
    assert len(record.kept) == 16
