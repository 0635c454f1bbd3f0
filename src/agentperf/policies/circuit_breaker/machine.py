"""The state machine of a circuit breaker; plain code, with the time passed in.

Follows the machine of resilience4j (`CircuitBreakerStateMachine`), with these differences: a result
counts only in the generation its call was admitted in; probes are bounded in how many run at once
too; a cancelled call leaves no trace; half-open can't last for ever; time is monotonic.
"""

from __future__ import annotations

import enum
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from agentperf.policies.circuit_breaker.windows import (
    CountWindow,
    Tally,
    TimeWindow,
    Window,
    tally_of,
)


class State(enum.Enum):
    """What a breaker does with calls."""

    CLOSED = "closed"
    """Lets them through and watches."""
    OPEN = "open"
    """Refuses them."""
    HALF_OPEN = "half-open"
    """Lets a few through to see whether the upstream has recovered."""
    FORCED_OPEN = "forced-open"
    """Refuses them until told otherwise."""
    DISABLED = "disabled"
    """Lets them through and looks away."""
    SHADOW = "shadow"
    """Lets them through, watches, and only says when it would have opened."""


# Members of an enum are looked up slowly on Python 3.11, and these are asked for at every call.
CLOSED, OPEN, HALF_OPEN = State.CLOSED, State.OPEN, State.HALF_OPEN
FORCED_OPEN, DISABLED, SHADOW = State.FORCED_OPEN, State.DISABLED, State.SHADOW

BY_REQUEST = "by request"
"""The reason of a change that somebody asked for."""

FOLD_AT = 512
"""How many successes may wait to be put into the window."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens and closes.

    Attributes:
        failure_rate: The share of failures at which it opens.
        slow_rate: The share of slow calls at which it opens; None: slow calls don't matter.
        slow_after: Seconds after which a call is slow.
        window: Calls to remember, as a whole number, or seconds, as a float.
        minimum_calls: Calls without which no rate means anything.
        open_for: Seconds it stays open the first time.
        open_growth: By how much longer it stays open each further time.
        open_at_most: Seconds it stays open at most.
        probes: Calls that decide in half-open, and how many of them may run at once.
        half_open_for: Seconds half-open lasts at most; then it opens again.
    """

    failure_rate: float = 0.5
    slow_rate: float | None = None
    slow_after: float | None = None
    window: int | float = 100
    minimum_calls: int = 20
    open_for: float = 30.0
    open_growth: float = 2.0
    open_at_most: float = 600.0
    probes: int = 3
    half_open_for: float = 60.0

    def make_window(self) -> Window:
        """Make an empty window."""
        if isinstance(self.window, int):
            return CountWindow(self.window)
        return TimeWindow(self.window)

    @property
    def calls_needed(self) -> int:
        """How many calls the window must hold before a rate means anything."""
        if isinstance(self.window, int):
            return min(self.minimum_calls, self.window)
        return self.minimum_calls


@dataclass(frozen=True, slots=True)
class Change:
    """A breaker went from one state to another.

    Attributes:
        old: The state before.
        new: The state now.
        reason: Why, in a few fixed words.
        tally: The figures that led to it.
        open_for: Seconds it will stay open, where it opened.
    """

    old: State
    new: State
    reason: str
    tally: Tally
    open_for: float | None = None


class Refused(Exception):
    """The machine does not admit a call now."""

    def __init__(self, state: State, retry_after: float | None) -> None:
        super().__init__(state.value)
        self.state = state
        self.retry_after = retry_after


Tell = Callable[[Change], object]
"""Is told of a change by whoever caused it, after the lock is released."""


def _nobody(change: Change) -> None:
    pass


class Machine:
    """One circuit: admits calls, takes their outcomes, changes state.

    Args:
        rules: When to open and close.
        jitter: Gives a factor around 1 for the time to stay open, so that a fleet doesn't come
            back at one moment.
    """

    def __init__(
        self,
        rules: Rules,
        jitter: Callable[[], float] = lambda: random.uniform(0.9, 1.1),
    ) -> None:
        self.rules = rules
        self.state = CLOSED
        self.generation = 0
        self.last_error: str | None = None
        self.requested = False
        self._jitter = jitter
        self._lock = threading.Lock()
        self._window = self._empty_window(CLOSED)
        # Successes change no state, so they only queue here; appending needs no lock.
        self._successes: list[float] = []
        self._slow_after = float("inf") if rules.slow_after is None else rules.slow_after
        self._until = 0.0
        self._openings = 0
        self._admitted = 0
        self._running = 0
        self._tripped = False

    # -- admission

    def admit(self, now: float, tell: Tell = _nobody) -> int:
        """Let a call in and return its generation; `tell` is told if the state changes.

        Raises:
            Refused: Not now.
        """
        if self.state is CLOSED:
            return self.generation  # nothing to count: most calls end here, without a lock
        change = None
        try:
            with self._lock:
                change = self._wake_up(now)
                return self._admit(now)
        finally:
            _announce(change, tell)

    def refusal(self, now: float) -> Refused | None:
        """Return what `admit` would raise now; lets nobody in and changes nothing."""
        if self.state is CLOSED:
            return None
        with self._lock:
            # Half-open too long, it has to be asked by a call to open again.
            is_over = self.state in (OPEN, HALF_OPEN) and now >= self._until
            return None if is_over else self._refusal(now)

    def _time_is_up(self, now: float) -> bool:
        return self.state is OPEN and now >= self._until

    def _wake_up(self, now: float) -> Change | None:
        if self._time_is_up(now):
            return self._go(HALF_OPEN, now, "its time is up")
        if self.state is HALF_OPEN and now >= self._until:
            return self._open(now, "the probes did not come back")
        return None

    def _refusal(self, now: float) -> Refused | None:
        if self.state in (OPEN, FORCED_OPEN):
            return Refused(self.state, self._left(now))
        probes = self.rules.probes
        if self.state is HALF_OPEN and max(self._admitted, self._running) >= probes:
            return Refused(self.state, self._left(now))
        return None

    def _admit(self, now: float) -> int:
        if (refused := self._refusal(now)) is not None:
            raise refused
        if self.state is HALF_OPEN:
            self._admitted += 1
            self._running += 1
        return self.generation

    def _left(self, now: float) -> float | None:
        return None if self.state is FORCED_OPEN else max(0.0, self._until - now)

    # -- outcomes

    def succeed(self, generation: int, now: float, seconds: float, tell: Tell = _nobody) -> None:
        """Take a success; the path of most calls, without a lock while the breaker is closed."""
        if self.state is CLOSED and seconds <= self._slow_after:
            if generation == self.generation:
                successes = self._successes
                successes.append(now)
                if len(successes) >= FOLD_AT:
                    with self._lock:
                        self._fold()
            return
        self.settle(generation, now, False, seconds, tell=tell)

    def _fold(self) -> None:
        """Put the successes that wait into the window, before anything that came after them."""
        waiting, self._successes = self._successes, []
        if waiting:
            self._window.succeed(waiting)

    def settle(
        self,
        generation: int,
        now: float,
        failed: bool,  # noqa: FBT001 - on the path of every call
        seconds: float,
        wait: float | None = None,
        *,
        late: bool = False,
        tell: Tell = _nobody,
    ) -> None:
        """Take the outcome of a call.

        Args:
            generation: What `admit` returned for it; an outcome of another time is dropped.
            now: Monotonic seconds.
            failed: Whether it speaks against the upstream.
            seconds: How long it took.
            wait: Seconds for which the upstream asked to be left alone.
            late: Whether it was slow, however long it took.
            tell: Is told if that changes the state.
        """
        slow = late or seconds > self._slow_after
        change = None
        with self._lock:
            if generation != self.generation or self.state is DISABLED:
                return
            self._fold()
            self._window.record(now, failed=failed, slow=slow)
            if self.state is HALF_OPEN:
                self._running -= 1
                change = self._judge_probes(now, wait)
            elif failed or slow:
                change = self._judge(now, wait)
        _announce(change, tell)

    def drop(self, generation: int) -> None:
        """Forget a call that was cancelled; a probe gives its place back."""
        with self._lock:
            if generation == self.generation and self.state is HALF_OPEN:
                self._admitted -= 1
                self._running -= 1

    def _judge(self, now: float, wait: float | None) -> Change | None:
        reason = self._verdict(now)
        if reason is None:
            return None
        if self.state is SHADOW:
            if self._tripped:
                return None
            self._tripped = True
            return Change(SHADOW, SHADOW, f"would open: {reason}", tally_of(self._window))
        if self.state is CLOSED:
            return self._open(now, reason, wait)
        return None

    def _judge_probes(self, now: float, wait: float | None) -> Change | None:
        window = self._window
        needed = min(self.rules.probes, max(1, self.rules.minimum_calls))
        if window.calls < needed:
            return None
        tally = tally_of(window)
        if tally.failure_rate >= self.rules.failure_rate or self._too_slow(tally):
            return self._open(now, "the probes failed", wait)
        return self._go(CLOSED, now, "the probes went well")

    def _verdict(self, now: float) -> str | None:
        self._window.expire(now)
        if self._window.calls < self.rules.calls_needed:
            return None
        tally = tally_of(self._window)
        if tally.failure_rate >= self.rules.failure_rate:
            return "too many failures"
        return "too many slow calls" if self._too_slow(tally) else None

    def _too_slow(self, tally: Tally) -> bool:
        return self.rules.slow_rate is not None and tally.slow_rate >= self.rules.slow_rate

    # -- changes

    def force(self, state: State, now: float, tell: Tell = _nobody) -> None:
        """Go to a state by request: `FORCED_OPEN`, `DISABLED`, `SHADOW`, `OPEN` or `CLOSED`."""
        with self._lock:
            if state is OPEN:
                change = self._open(now, BY_REQUEST)
            else:
                change = self._go(state, now, BY_REQUEST)
        _announce(change, tell)

    def _open(self, now: float, reason: str, wait: float | None = None) -> Change:
        rules = self.rules
        grown = rules.open_for * rules.open_growth**self._openings
        open_for = min(rules.open_at_most, grown) * self._jitter()
        if wait is not None:
            open_for = min(max(wait, 0.0), rules.open_at_most)
        else:
            self._openings += 1
        return self._go(OPEN, now, reason, open_for)

    def _go(self, state: State, now: float, reason: str, open_for: float | None = None) -> Change:
        self._fold()
        change = Change(self.state, state, reason, tally_of(self._window), open_for)
        self.state = state
        self.requested = reason == BY_REQUEST or state is FORCED_OPEN
        if self.requested or state is CLOSED:
            self.last_error = None  # it is not why the next refusals come
        self.generation += 1
        self._admitted = self._running = 0
        self._tripped = False
        if state is OPEN:
            self._until = now + (open_for or 0.0)
            return change
        self._window = self._empty_window(state)
        if state is HALF_OPEN:
            self._until = now + self.rules.half_open_for
        else:
            self._openings = 0
        return change

    def _empty_window(self, state: State) -> Window:
        return CountWindow(self.rules.probes) if state is HALF_OPEN else self.rules.make_window()

    def figures(self, now: float) -> Tally:
        """Return what decides whether it opens; the figures of the window."""
        return self.tally

    @property
    def tally(self) -> Tally:
        """The figures of the window now."""
        with self._lock:
            self._fold()
            return tally_of(self._window)


def _announce(change: Change | None, tell: Tell) -> None:
    if change is not None:
        tell(change)
