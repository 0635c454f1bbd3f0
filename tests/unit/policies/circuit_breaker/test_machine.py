"""The state machine of a breaker, without anything around it."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agentperf.policies.circuit_breaker.machine import Change, Machine, Refused, Rules, State
from agentperf.policies.circuit_breaker.windows import CountWindow, TimeWindow


class Watched(Machine):
    """A machine all of whose changes are noted, whoever causes them."""

    def __init__(self, rules):
        """Make it without chance."""
        super().__init__(rules, jitter=lambda: 1.0)
        self.changes: list[Change] = []

    def admit(self, now):
        """Let a call in."""
        return super().admit(now, self.changes.append)

    def succeed(self, *outcome):
        """Take a success."""
        super().succeed(*outcome, self.changes.append)

    def settle(self, *outcome, **_):
        """Take an outcome."""
        super().settle(*outcome, tell=self.changes.append)

    def force(self, state, now):
        """Go to a state."""
        super().force(state, now, self.changes.append)


def machine(**rules):
    """Make a machine, and the list of its changes."""
    made = Watched(Rules(**rules))
    return made, made.changes


def run(breaker, now, *, failed, seconds=0.1, wait=None):
    """Make one call."""
    ticket = breaker.admit(now)
    if failed:
        breaker.settle(ticket, now, True, seconds, wait)
    else:
        breaker.succeed(ticket, now, seconds)


def trip(breaker, now=0.0, calls=4):
    """Let it open."""
    for _ in range(calls):
        run(breaker, now, failed=True)
    assert breaker.state is State.OPEN


def test_it_opens_when_the_share_of_failures_is_reached_and_not_before():
    """Nine of twenty are not a half, ten of twenty are; the change carries the numbers."""
    breaker, changes = machine(failure_rate=0.5, minimum_calls=20)
    for _ in range(10):
        run(breaker, 0, failed=False)
    for _ in range(9):
        run(breaker, 0, failed=True)
    assert breaker.state is State.CLOSED
    run(breaker, 0, failed=True)
    assert breaker.state is State.OPEN
    (change,) = changes
    assert (change.tally.calls, change.tally.failures, change.reason) == (
        20,
        10,
        "too many failures",
    )


def test_too_few_calls_mean_nothing():
    """All of them may fail below the minimum."""
    breaker, _ = machine(minimum_calls=5)
    for _ in range(4):
        run(breaker, 0, failed=True)
    assert breaker.state is State.CLOSED


def test_slow_calls_open_it_too():
    """Slow means longer than the limit, not as long."""
    breaker, changes = machine(slow_rate=0.5, slow_after=1.0, minimum_calls=4)
    for _ in range(4):
        run(breaker, 0, failed=False, seconds=1.0)
    assert breaker.state is State.CLOSED
    for _ in range(4):
        run(breaker, 0, failed=False, seconds=1.1)
    assert (breaker.state, changes[0].reason) == (State.OPEN, "too many slow calls")


def test_open_refuses_and_says_for_how_long():
    """Until its time is up; then the next call is the first probe."""
    breaker, _ = machine(minimum_calls=4, open_for=30)
    trip(breaker)
    with pytest.raises(Refused) as caught:
        breaker.admit(10)
    assert caught.value.retry_after == 20
    breaker.admit(30)
    assert breaker.state is State.HALF_OPEN


def test_no_more_probes_than_allowed_run_at_once():
    """Of fifty callers three get through; a cancelled probe gives its place back."""
    breaker, _ = machine(minimum_calls=4, open_for=30, probes=3)
    trip(breaker)
    admitted = []
    for _ in range(50):
        try:
            admitted.append(breaker.admit(31))
        except Refused:
            continue
    assert len(admitted) == 3
    breaker.drop(admitted[0])
    breaker.admit(31)
    with pytest.raises(Refused):
        breaker.admit(31)


def test_good_probes_close_it_and_bad_ones_open_it_for_longer():
    """Thirty seconds, then sixty, then a hundred and twenty; closed, it starts anew."""
    breaker, changes = machine(minimum_calls=4, open_for=30, probes=2)
    trip(breaker)
    now = 0.0
    for expected in (30, 60, 120):
        assert changes[-1].open_for == expected
        now += expected
        for _ in range(2):
            run(breaker, now, failed=True)
    assert changes[-1].open_for == 240
    now += 240
    for _ in range(2):
        run(breaker, now, failed=False)
    assert breaker.state is State.CLOSED
    assert breaker.tally.calls == 0
    trip(breaker, now)
    assert changes[-1].open_for == 30


def test_an_outcome_of_another_time_is_dropped():
    """A call admitted while it was closed is no probe when it ends late."""
    breaker, _ = machine(minimum_calls=4, open_for=30, probes=1)
    late = breaker.admit(0)
    trip(breaker)
    breaker.admit(30)
    breaker.settle(late, 31, True, 31)
    assert breaker.state is State.HALF_OPEN
    breaker.succeed(late, 31, 31)
    assert breaker.state is State.HALF_OPEN
    breaker.drop(late)
    with pytest.raises(Refused):
        breaker.admit(31)


def test_probes_that_never_come_back_open_it_again():
    """Half-open does not last for ever."""
    breaker, changes = machine(minimum_calls=4, open_for=30, probes=1, half_open_for=60)
    trip(breaker)
    breaker.admit(30)
    with pytest.raises(Refused):
        breaker.admit(91)
    assert (breaker.state, changes[-1].reason) == (State.OPEN, "the probes did not come back")


def test_an_upstream_that_says_how_long_is_left_alone_that_long():
    """Its wait overrules `open_for`, within bounds, and doesn't make the next time longer."""
    breaker, changes = machine(minimum_calls=1, window=1, open_for=30, open_at_most=600)
    run(breaker, 0, failed=True, wait=90)
    assert changes[-1].open_for == 90
    run(breaker, 90, failed=True, wait=1e9)
    assert changes[-1].open_for == 600


def test_states_by_request():
    """Forced open refuses, disabled looks away, shadow only says what it would do."""
    breaker, changes = machine(minimum_calls=2)
    breaker.force(State.FORCED_OPEN, 0)
    with pytest.raises(Refused) as caught:
        breaker.admit(1e9)
    assert caught.value.retry_after is None
    breaker.force(State.DISABLED, 0)
    for _ in range(10):
        run(breaker, 0, failed=True)
    assert breaker.state is State.DISABLED
    breaker.force(State.SHADOW, 0)
    for _ in range(10):
        run(breaker, 0, failed=True)
    assert breaker.state is State.SHADOW
    assert [change.reason for change in changes if change.reason.startswith("would")] == [
        "would open: too many failures"
    ]
    breaker.force(State.CLOSED, 0)
    assert breaker.tally.calls == 0


@pytest.mark.parametrize("outcomes", [[True] * 3, [False] * 7 + [True] * 2, [True, False] * 9])
def test_a_count_window_holds_the_last_calls(outcomes):
    """Whatever falls out is taken off the figures."""
    window = CountWindow(5)
    for number, failed in enumerate(outcomes, 1):
        if failed:
            window.record(0, failed=True, slow=False)
        else:
            window.succeed([0])
        last = outcomes[max(0, number - 5) : number]
        assert (window.calls, window.failures) == (len(last), sum(last))


def test_a_time_window_forgets_what_is_too_old():
    """After its length nothing is left."""
    window = TimeWindow(10)
    for second in range(20):
        window.record(second, failed=second % 2 == 0, slow=False)
    assert 9 <= window.calls <= 10
    window.expire(40)
    assert (window.calls, window.failures, window.slow) == (0, 0, 0)


class AnyHistory(RuleBasedStateMachine):
    """Whatever happens: few probes, no call in the open state, figures that fit the window."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.breaker, self.changes = machine(window=6, minimum_calls=3, open_for=5, probes=2)
        self.running: list[int] = []

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds):
        """Some time goes by."""
        self.now += seconds

    @rule()
    def call(self):
        """Somebody calls."""
        before = self.breaker.state
        foretold = self.breaker.refusal(self.now)
        assert self.breaker.state is before
        try:
            self.running.append(self.breaker.admit(self.now))
        except Refused:
            assert self.breaker.state is not State.CLOSED
            assert before is not State.CLOSED
            gave_up = before is State.HALF_OPEN and self.breaker.state is State.OPEN
            assert foretold is not None or gave_up
        else:
            assert foretold is None

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.sampled_from(["good", "bad", "cancelled"]))
    def end(self, data, how):
        """A running call ends somehow."""
        ticket = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        if how == "good":
            self.breaker.succeed(ticket, self.now, 0.1)
        elif how == "bad":
            self.breaker.settle(ticket, self.now, True, 0.1)
        else:
            self.breaker.drop(ticket)

    @invariant()
    def few_probes(self):
        """No more probes than allowed run at once."""
        if self.breaker.state is State.HALF_OPEN:
            probes = [ticket for ticket in self.running if ticket == self.breaker.generation]
            assert len(probes) <= 2

    @invariant()
    def figures_fit(self):
        """The figures are those of a window."""
        tally = self.breaker.tally
        assert 0 <= tally.failures <= tally.calls <= 6


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class Model:
    """A breaker as the documentation tells of it, written down as plainly as possible."""

    def __init__(self):
        """Begin closed."""
        self.state, self.round = "closed", 0
        self.window: list[bool] = []
        self.until, self.opened, self.admitted, self.running = 0.0, 0, 0, 0

    def go(self, state, now=0.0, seconds=0.0):
        """Change state."""
        self.state, self.round = state, self.round + 1
        self.admitted = self.running = 0
        self.until = now + seconds
        if state != "open":
            self.window = []
        if state == "closed":
            self.opened = 0

    def open(self, now, wait):
        """Open for longer each time, or as asked."""
        seconds = min(600, 5 * 2**self.opened) if wait is None else min(wait, 600)
        self.opened += wait is None
        self.go("open", now, seconds)

    def admit(self, now):
        """Let a call in, or return None."""
        if self.state == "open" and now >= self.until:
            self.go("half-open", now, 60)
        elif self.state == "half-open" and now >= self.until:
            self.open(now, None)
        if self.state == "open" or max(self.admitted, self.running) >= 2:
            return None
        if self.state == "half-open":
            self.admitted += 1
            self.running += 1
        return self.round

    def end(self, ticket, now, failed, wait):
        """Take the outcome of a call; None where it was cancelled."""
        if ticket != self.round or self.state == "open":
            return
        if failed is None:
            if self.state == "half-open":
                self.admitted -= 1
                self.running -= 1
            return
        self.window = [*self.window, failed][-6 if self.state == "closed" else -2 :]
        bad = sum(self.window) >= len(self.window) / 2
        if self.state == "half-open":
            self.running -= 1
            if len(self.window) == 2:
                self.open(now, wait) if bad else self.go("closed")
        elif failed and bad and len(self.window) >= 3:
            self.open(now, wait)


class LikeItsModel(RuleBasedStateMachine):
    """Step by step the machine does what the model does."""

    def __init__(self):
        super().__init__()
        self.now, self.model = 0.0, Model()
        self.breaker, _ = machine(window=6, minimum_calls=3, open_for=5, probes=2)
        self.running: list[tuple[int, int]] = []

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 10.0, 60.0]))
    def time_passes(self, seconds):
        """Some time goes by."""
        self.now += seconds

    @rule()
    def call(self):
        """Both let a call in, or neither does, for as long."""
        expected = self.model.admit(self.now)
        try:
            ticket = self.breaker.admit(self.now)
        except Refused as refused:
            left = refused.retry_after
        else:
            self.running.append((ticket, expected))
            left = None
        assert left == (None if expected is not None else self.model.until - self.now)

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(),
        failed=st.sampled_from([False, True, True, None]),
        wait=st.sampled_from([None, None, 7.0, 1e9]),
    )
    def end(self, data, failed, wait):
        """A call ends: well, badly, or cancelled."""
        ticket, expected = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        wait = wait if failed else None
        if failed is None:
            self.breaker.drop(ticket)
        elif failed:
            self.breaker.settle(ticket, self.now, True, 0.1, wait)
        else:
            self.breaker.succeed(ticket, self.now, 0.1)
        self.model.end(expected, self.now, failed, wait)

    @rule(state=st.sampled_from([State.OPEN, State.CLOSED]))
    def by_hand(self, state):
        """Somebody trips or resets it."""
        self.breaker.force(state, self.now)
        if state is State.OPEN:
            self.model.open(self.now, None)
        else:
            self.model.go("closed")

    @invariant()
    def alike(self):
        """The same state, and the same figures."""
        tally = self.breaker.tally
        assert self.breaker.state.value == self.model.state
        if self.model.state != "open":
            assert (tally.calls, tally.failures) == (len(self.model.window), sum(self.model.window))


TestLikeItsModel = LikeItsModel.TestCase
TestLikeItsModel.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
