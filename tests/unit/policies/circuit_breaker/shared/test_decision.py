"""The decision of a shared breaker: the machine of one in memory, for many processes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agentperf.policies.circuit_breaker.machine import Machine, Refused, Rules, State
from agentperf.policies.circuit_breaker.shared.decision import (
    CIRCUIT,
    NOTHING,
    STATES,
    Answer,
    Known,
    Request,
    Terms,
)
from tests.unit.policies.circuit_breaker.shared.sequences import RULES, knowledge, sequences

START = 1_700_000_000.0


class Place:
    """A record on a store, and the time there."""

    def __init__(self, **rules):
        self.terms = Terms(Rules(**rules))
        self.record, self.now = None, START
        self.known = Known()

    def ask(self, *, known=None, told=(), jitter=1.0, **request):
        """Decide, as somebody who knows the last answer unless told otherwise."""
        arguments = self.terms.arguments(
            self.known if known is None else known, NOTHING._replace(**request), jitter, told
        )
        self.record, numbers = CIRCUIT.apply(self.record, arguments, self.now)
        answer = Answer.of(numbers)
        self.known = answer.known
        return answer

    def calls(self, good=0, bad=0, slow=0, age=0.0, **options):
        """Tell of calls."""
        return self.ask(told=((age, float(good + bad), float(bad), float(slow)),), **options)

    def probe(self, lease):
        """Ask for a lease."""
        return self.ask(lease=float(lease), wants=1.0)

    def ends(self, lease, *, failed=False, **options):
        """Tell of a probe's end."""
        return self.calls(good=0 if failed else 1, bad=int(failed), lease=float(lease), **options)

    def opened(self):
        """Open it by failures."""
        self.ask()
        answer = self.calls(bad=30)
        assert answer.state is State.OPEN
        return self

    def half_open(self, leases=1):
        """Wait until it is half-open, with so many probes."""
        self.opened()
        self.now += self.known.left
        for lease in range(1, leases + 1):
            assert self.probe(lease).granted
        return self


def test_calls_of_all_processes_open_it_together():
    """Each of them alone would be too few."""
    place = Place(minimum_calls=20)
    place.ask()
    for _ in range(3):
        assert place.calls(good=2, bad=3).reason == ""
    answer = place.calls(good=2, bad=3)
    assert (answer.state, answer.reason) == (State.OPEN, "too many failures")
    assert (answer.tally.calls, answer.tally.failures) == (20, 12)
    assert answer.known.left == 30


def test_what_is_told_of_another_version_does_not_count():
    """Whoever comes late changes nothing."""
    place = Place(minimum_calls=4)
    late = place.ask().known
    place.ask(force=0.0)
    answer = place.calls(bad=50, known=late)
    assert (answer.state, answer.tally.calls) == (State.CLOSED, 0)


def test_the_last_calls_count_where_the_window_counts_calls():
    """What many successes have pushed out is forgotten, within a tenth."""
    place = Place(window=100, minimum_calls=20)
    place.ask()
    for _ in range(40):
        answer = place.calls(good=10)
    assert 100 <= answer.tally.calls <= 110
    assert place.calls(good=60, bad=40).tally.failures == 40
    assert place.calls(bad=20).state is State.OPEN


def test_calls_grow_old_where_the_window_is_a_time():
    """By when they ended, not by when they were told."""
    place = Place(window=10.0, minimum_calls=4)
    place.ask()
    assert place.calls(bad=3, age=8.5).tally.calls == 3
    place.now += 1.5
    assert place.calls(bad=3).tally.calls == 3
    assert place.calls(bad=1).state is State.OPEN


def test_it_opens_for_longer_each_time_and_not_for_ever():
    """Twice as long from round to round, ten minutes at most."""
    place, lasted = Place().half_open(), []
    for lease in range(2, 8):
        answer = place.ends(lease - 1, failed=True)
        for more in (100, 101):
            place.probe(more)
            answer = place.ends(more, failed=True)
        assert (answer.state, answer.reason) == (State.OPEN, "the probes failed")
        lasted.append(answer.known.left)
        place.now += answer.known.left
        assert place.probe(lease).granted
    assert lasted == [60, 120, 240, 480, 600, 600]


def test_the_upstream_says_how_long_to_leave_it_alone():
    """Of the call that opens it."""
    place = Place()
    place.ask()
    assert place.calls(bad=30, wait=7.0).known.left == 7
    place = Place().half_open(leases=3)
    place.ends(1), place.ends(2, failed=True)
    assert place.ends(3, failed=True, wait=5000.0).known.left == 600


def test_probes_of_all_processes_together():
    """No more than it takes; the next only when one of them gives its lease back unused."""
    place = Place(probes=3).half_open(leases=3)
    assert not place.probe(4).granted
    place.ends(1)
    assert not place.probe(4).granted
    place.ask(lease=2.0)
    assert place.probe(4).granted
    assert not place.probe(5).granted
    place.ends(3)
    answer = place.ends(4)
    assert (answer.state, answer.reason) == (State.CLOSED, "the probes went well")


def test_the_lease_of_a_holder_that_died_runs_out():
    """After half the time of a round; then another probe may run."""
    place = Place(probes=1).half_open()
    place.now += 29.9
    assert not place.probe(2).granted
    place.now += 0.2
    assert place.probe(2).granted
    assert place.ends(2).state is State.CLOSED


def test_a_round_that_lasts_too_long():
    """Opens it again, whoever asks first."""
    place = Place(probes=2).half_open()
    place.now += 60
    answer = place.ends(1)
    assert (answer.state, answer.reason) == (State.OPEN, "the probes did not come back")
    assert answer.known.left == 60


def test_by_request():
    """Into every state, from every state."""
    place = Place().opened()
    for number in (3, 4, 5, 1, 0):
        version = place.known.version
        answer = place.ask(force=float(number))
        assert (answer.state, answer.reason) == (STATES[number], "by request")
        assert answer.known.version == version + 1


def test_shadow_tells_once():
    """It never opens."""
    place = Place(minimum_calls=4)
    place.ask(force=5.0)
    answer = place.calls(bad=5)
    assert (answer.state, answer.reason) == (State.SHADOW, "would open: too many failures")
    assert place.calls(bad=5).reason == ""
    assert place.ask(force=1.0).known.left == 30


def test_a_lost_record_comes_back_from_what_a_process_knows():
    """Also the time that is left; who knows nothing finds it closed."""
    place = Place()
    place.ask(force=3.0)
    place.record = None
    assert place.ask().state is State.FORCED_OPEN
    place = Place().opened()
    place.record, before = None, place.known
    place.known = Known(*before)._replace(left=11.0)
    answer = place.ask()
    assert (answer.state, answer.known.left) == (State.OPEN, 11)
    assert answer.known.version == before.version
    place.record = None
    assert place.ask(known=Known()).state is State.CLOSED


def test_a_record_that_is_none_counts_as_lost():
    """Cut off, for example."""
    place = Place()
    place.record = (1.0, 2.0)
    assert place.ask().state is State.CLOSED
    place.record = (START, 2.0, START, 0.0, 0.0, 5.0, 1.0)
    assert place.ask(known=Known()).state is State.CLOSED


@pytest.mark.parametrize("step", [-10_000.0, 10_000.0])
def test_a_clock_that_is_set_leaves_nothing_open_for_ever(step):
    """It stays open no longer than it was to stay from then on, and leases run out."""
    place = Place(probes=1).opened()
    place.now += step
    place.now += place.ask().known.left
    assert place.known.left <= 30
    assert place.probe(1).granted
    place.now += step
    place.ask()
    place.now += 30
    for lease in range(2, 9):
        if place.probe(lease).granted:
            break
        place.now += place.known.left if place.known.state == 1 else 30
    assert place.known.state == 2
    assert place.ends(lease).state is State.CLOSED
    place.calls(good=5)
    place.now += step
    assert place.calls(bad=30).state is State.OPEN


@settings(deadline=None)
@given(st.sampled_from(RULES), sequences())
def test_on_any_history(rules, sequence):
    """Versions never fall, bounds hold, and no more probes run than may."""
    terms, record, answer, now = Terms(rules), None, None, START
    for passed, behind, request, jitter, told in sequence:
        now += passed
        known = knowledge(answer, behind)
        before = record
        record, answer = CIRCUIT.apply(record, terms.arguments(known, request, jitter, told), now)
        version, state, left, _, granted, reason, *tally = answer
        assert version >= max(known.version, before[0] if before else 0)
        assert (reason != 0) or before is None or state == before[1] or known.version > before[0]
        assert len(record) == 6 + 2 * record[5] + 4 * ((len(record) - 6 - 2 * record[5]) // 4)
        assert 0 <= left <= max(1.1 * rules.open_at_most, rules.half_open_for)
        assert record[5] <= rules.probes
        assert not granted or state == 2
        assert tally[1] <= tally[0] >= tally[2]
        assert len(record) < 6 + 2 * rules.probes + 4 * 40


class Fleet(RuleBasedStateMachine):
    """Processes that follow a record: what they are let in for is within bounds."""

    def __init__(self):
        super().__init__()
        self.place = Place(minimum_calls=4, window=10, probes=2)
        self.leases, self.next_lease, self.round = {}, 0, None

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds):
        """Leases run out meanwhile."""
        self.place.now += seconds

    @rule(good=st.integers(0, 5), bad=st.integers(0, 5))
    def calls_end(self, good, bad):
        """As they were told."""
        if self.place.known.state != 2:
            self.place.calls(good=good, bad=bad)

    @rule()
    def wants_to_probe(self):
        """Gets a lease or not."""
        self.next_lease += 1
        answer = self.place.probe(self.next_lease)
        if self.round != answer.known.version:
            self.round, self.leases = answer.known.version, {}
        if answer.granted:
            self.leases[self.next_lease] = self.place.now + 30

    @rule(failed=st.booleans(), dies=st.booleans(), cancelled=st.booleans(), data=st.data())
    def a_probe_ends(self, failed, dies, cancelled, data):
        """It tells, is cancelled, or is never heard of again."""
        if not self.leases:
            return
        lease = data.draw(st.sampled_from(sorted(self.leases)))
        if dies:
            return
        del self.leases[lease]
        if cancelled:
            self.place.ask(lease=float(lease))
        else:
            self.place.ends(lease, failed=failed)

    @invariant()
    def no_more_probes_than_may_run(self):
        """Of those whose leases are good, in this round."""
        if self.place.known.state == 2 and self.place.known.version == self.round:
            living = [ends for ends in self.leases.values() if ends > self.place.now]
            assert len(living) <= 2


class LikeOneInMemory(RuleBasedStateMachine):
    """One process that tells at once: the store decides as the machine in memory does."""

    def __init__(self):
        super().__init__()
        rules = {"minimum_calls": 4, "window": 100, "probes": 2, "open_for": 5.0}
        rules["half_open_for"] = 10_000.0  # no lease runs out, which those in memory don't
        self.place = Place(**rules)
        self.place.ask()
        self.machine = Machine(Rules(**rules), jitter=lambda: 1.0)
        self.running = {}
        self.lease = 0

    @rule(seconds=st.integers(0, 20))
    def time_passes(self, seconds):
        """For both."""
        self.place.now += seconds

    @rule(failed=st.booleans(), wait=st.sampled_from([None, None, 3.0]))
    def a_call(self, failed, wait):
        """Is let in by both or by neither, and ends at once where it is no probe."""
        now, known = self.place.now, self.place.known
        try:
            generation = self.machine.admit(now)
        except Refused:
            generation = None
        if known.state == 0:
            assert generation is not None
            self._settled(generation, 0.0, failed, wait)
            return
        self.lease += 1
        answer = self.place.probe(self.lease)
        assert answer.granted == (generation is not None)
        if answer.granted:
            self.running[self.lease] = generation, answer.known

    @rule(failed=st.booleans(), data=st.data())
    def a_probe_ends(self, failed, data):
        """Also one of a round that is over."""
        if self.running:
            lease = data.draw(st.sampled_from(sorted(self.running)))
            generation, known = self.running.pop(lease)
            self._settled(generation, float(lease), failed, None, known)

    @rule(state=st.sampled_from([State.CLOSED, State.OPEN]))
    def by_request(self, state):
        """To either state."""
        self.machine.force(state, self.place.now)
        self.place.ask(force=float(STATES.index(state)))

    def _settled(self, generation, lease, failed, wait, known=None):
        now = self.place.now
        self.machine.settle(generation, now, failed, 0.1, wait if failed else None)
        self.place.calls(
            good=0 if failed else 1,
            bad=int(failed),
            lease=lease,
            known=known,
            wait=-1.0 if wait is None or not failed else wait,
        )

    @invariant()
    def alike(self):
        """In state and figures."""
        assert self.machine.state is STATES[int(self.place.known.state)]
        assert self.machine.tally == self.place.ask().tally


TestFleet = Fleet.TestCase
TestLikeOneInMemory = LikeOneInMemory.TestCase
TestFleet.settings = TestLikeOneInMemory.settings = settings(deadline=None, max_examples=60)


def test_a_request_reads_back():
    """The numbers stand where the decision looks for them."""
    request = Request(force=1.0, lease=2.0, wants=1.0, wait=4.0)
    arguments = Terms(Rules()).arguments(Known(5.0, 6.0, 7.0, 8.0), request, 0.95, ((1, 2, 3, 4),))
    assert arguments[12:] == (5, 6, 7, 8, 1, 2, 1, 4, 0.95, 1, 2, 3, 4)
