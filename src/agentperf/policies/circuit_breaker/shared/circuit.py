"""A circuit that is kept in a store: what this process knows of it, and has to tell of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from agentperf._base.bounded import BoundedRegistry
from agentperf._base.keys import digest
from agentperf._base.options import OnFailure
from agentperf._engine.stores import StoreReach
from agentperf.errors import ConfigurationError
from agentperf.policies.circuit_breaker.layer import Circuits
from agentperf.policies.circuit_breaker.machine import (
    CLOSED,
    FORCED_OPEN,
    HALF_OPEN,
    OPEN,
    SHADOW,
    Change,
    Machine,
    Refused,
    Rules,
    State,
    Tell,
)
from agentperf.policies.circuit_breaker.shared.decision import (
    CIRCUIT,
    NOTHING,
    STATES,
    Answer,
    Known,
    Request,
    Terms,
)
from agentperf.policies.circuit_breaker.shared.noted import Noted
from agentperf.policies.circuit_breaker.windows import Batch, Tally, Window, tally_of

LOOK_EVERY = 0.5
"""Seconds after which a call asks how the circuit stands, and a bad one is told at the latest."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What is on its way to the store.

    Attributes:
        number: Which question of this process.
        wants: Whether it asks for the lease of a probe.
        news: The calls that it tells of.
        wait: Seconds for which one of them was asked to leave the upstream alone; -1 for none.
    """

    number: int
    wants: bool
    news: Window
    wait: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a probe.

    Attributes:
        version: The version of the circuit that it ran for.
        request: Gives its lease back.
        told: The call as a batch; none where it was cancelled.
    """

    version: float
    request: Request
    told: tuple[Batch, ...]


class SharedCircuit(Machine):
    """One circuit as this process sees it: it follows the store, which decides for all processes.

    It notes how calls end and tells the store now and then. While the store fails it is a machine
    of its own, which begins with what this process saw of the last calls.

    Args:
        rules: When it opens and closes.
        terms: The same in the numbers of the decision.
        on_failure: What it does while the store fails; it decides by itself if that is `"local"`.

    Attributes:
        key: Where it stands in the store.
        follows: Whether the store has answered, and hasn't failed since.
        asked: Whether the store was ever asked, whatever came of it.
        calm_until: Until when a closed circuit lets calls in without a look at the store.
        eager: Whether there is something that the store should be told at once.
        unheard: Whether a task asks it that wasn't answered yet, and may never be.
    """

    def __init__(self, rules: Rules, terms: Terms, on_failure: OnFailure) -> None:
        self._news = rules.make_window()
        super().__init__(rules)
        self.key = ""
        self.follows = self.asked = self.eager = self.unheard = False
        self.calm_until = float("-inf")
        self._terms = terms
        self._alone = on_failure == "local"
        self._lets_in = on_failure != "closed"
        self._known, self._ends = Known(), 0.0
        self._pooled = Tally()
        self._wait = -1.0
        self._owed: deque[Outcome] = deque()
        self._next_look = self._next_telling = self._room_at = float("-inf")
        self._tells_until = float("-inf")
        self._asking = 0
        self._number = self._heard = 0

    @property
    def home(self) -> SharedCircuit:
        """The circuit itself; of a probe the one it is for."""
        return self

    # -- what calls want to know

    def looks(self, now: float) -> bool:
        """Whether this call is the one to look how the circuit stands."""
        if now < self._next_look:
            return False
        with self._lock:
            if now < self._next_look:
                return False
            self._next_look = now + LOOK_EVERY
            if self.asked and (self.follows or self._lets_in):
                self.calm_until = self._next_look  # others don't wait for its answer
            return True

    def wants_probe(self, now: float) -> bool:
        """Whether the next call may be a probe, as far as this process knows from the store."""
        if not self.follows:
            return False
        if self.state is OPEN:
            return now >= self._until
        return self.state is HALF_OPEN and now >= self._room_at

    def begins_asking(self) -> bool:
        """Let a call ask for a lease; no more do so at once than there are probes."""
        with self._lock:
            if self._asking >= self.rules.probes:
                return False
            self._asking += 1
            return True

    def ends_asking(self) -> None:
        """Make room for another call that asks."""
        with self._lock:
            self._asking -= 1

    def refusal(self, now: float) -> Refused | None:
        """Return what a call would be refused with now."""
        return super().refusal(now) if self.follows or self._alone else None

    def _wake_up(self, now: float) -> Change | None:
        return None if self.follows else super()._wake_up(now)

    def _refusal(self, now: float) -> Refused | None:
        if not self.follows:
            return super()._refusal(now)
        is_full = self.state is HALF_OPEN and now < self._room_at
        if is_full or self.state in (OPEN, FORCED_OPEN):
            return Refused(self.state, self._left(now))
        return None

    # -- what calls tell

    def _empty_window(self, state: State) -> Window:
        return Noted(super()._empty_window(state), self._news)

    def _judge(self, now: float, wait: float | None) -> Change | None:
        if wait is not None:
            self._wait = wait
        if self.follows:
            if now >= self._next_telling:
                self._next_telling, self.eager = now + LOOK_EVERY, True
            self.eager = self.eager or self._looks_bad(now)
            return None
        return super()._judge(now, wait) if self._alone else None

    def _looks_bad(self, now: float) -> bool:
        """Whether the store would open it, had it been told of all that this process saw."""
        tally = self._whole(now)
        if tally.calls < self.rules.calls_needed:
            return False
        return tally.failure_rate >= self.rules.failure_rate or self._too_slow(tally)

    def _whole(self, now: float) -> Tally:
        """Return the figures of all processes with what wasn't told yet, as far as is known."""
        self._news.expire(now)
        news, pooled, window = tally_of(self._news), self._pooled, self.rules.window
        kept = 1.0
        if isinstance(window, int) and pooled.calls:
            kept = min(1.0, max(0, window - news.calls) / pooled.calls)
        return Tally(
            news.calls + round(kept * pooled.calls),
            news.failures + round(kept * pooled.failures),
            news.slow + round(kept * pooled.slow),
        )

    def owe(self, outcome: Outcome) -> None:
        """Keep the outcome of a probe until the store is told of it."""
        self._owed.append(outcome)

    @property
    def has_to_tell(self) -> bool:
        """Whether the store should be told something now."""
        return self.follows and (self.eager or bool(self._owed))

    def figures(self, now: float) -> Tally:
        """Return what decides whether it opens: the figures of all processes, as known here."""
        with self._lock:
            self._fold()
            return self._whole(now) if self.follows else tally_of(self._window)

    def begins_telling(self, now: float) -> bool:
        """Let a call tell the store, unless another does; one whose loop is gone does no more."""
        with self._lock:
            if now < self._tells_until:
                return False
            self._tells_until = now + LOOK_EVERY
            return True

    def cut_off(self) -> None:
        """Take note that a loop ended over a question: the next call asks, and waits for it."""
        with self._lock:
            self._tells_until = self._next_look = self.calm_until = float("-inf")

    # -- asking the store

    @staticmethod
    def by_request(state: State) -> Request:
        """Return the request for a state."""
        return Request(force=float(STATES.index(state)))

    async def ask(
        self,
        reach: StoreReach,
        now: Callable[[], float],
        tell: Tell,
        request: Request = NOTHING,
        outcome: Outcome | None = None,
    ) -> Answer:
        """Tell the store what there is to tell, and follow its answer.

        Args:
            reach: The way to the store.
            now: Monotonic seconds.
            tell: Is told of a change.
            request: What is wanted.
            outcome: A probe that ended; without it the calls that ended are told.

        Raises:
            Exception: The store failed; what it was to be told is kept.
        """
        question, known, told = self._question(now(), request, outcome)
        if outcome is not None:
            request = outcome.request
        elif question.wait >= 0:
            request = request._replace(wait=question.wait)
        state = STATES[int(request.force)] if request.force >= 0 else STATES[int(known.state)]
        arguments = self._terms.arguments(known, request, self._jitter(), told)
        try:
            numbers = await reach.decide(CIRCUIT, self.key, arguments, self._terms.life(state))
        except ConfigurationError:
            self._untold(question)
            self._next_look = float("-inf")
            raise
        except Exception:
            self.unheard = False
            self._lost(question, now())
            raise
        except BaseException:
            self._untold(question)
            self.eager = self.eager or self._news.calls > 0
            raise
        self.unheard = False
        answer = Answer.of(numbers)
        if (change := self._follow(question, answer, now())) is not None:
            tell(change)
        return answer

    async def tell_all(self, reach: StoreReach, now: Callable[[], float], tell: Tell) -> None:
        """Tell the store what is owed to it; who comes meanwhile leaves it to this one.

        Raises:
            Exception: The store failed; what it was to be told is kept.
        """
        try:
            while self.has_to_tell:
                outcome = self._owed.popleft() if self._owed else None
                if outcome and outcome.told and outcome.version != self._known.version:
                    continue  # its round is over, and its lease with it
                try:
                    await self.ask(reach, now, tell, outcome=outcome)
                except BaseException:
                    if outcome is not None:
                        self._owed.appendleft(outcome)
                    raise
        finally:
            self._tells_until = float("-inf")

    def _question(
        self, now: float, request: Request, outcome: Outcome | None
    ) -> tuple[_Question, Known, tuple[Batch, ...]]:
        with self._lock:
            self._number += 1
            known = self._known._replace(left=max(0.0, self._ends - now))
            if outcome is not None or known.version == 0:
                # Who doesn't know the version yet can't tell of calls.
                told = () if outcome is None else outcome.told
                nothing = self.rules.make_window()
                return _Question(self._number, request.wants > 0, nothing, -1.0), known, told
            self._fold()
            question = _Question(self._number, request.wants > 0, self._news, self._wait)
            self._take_note_anew()
            return question, known, tuple(question.news.batches(now))

    def _take_note_anew(self) -> None:
        self._news, self._wait, self.eager = self.rules.make_window(), -1.0, False
        cast(Noted, self._window).news = self._news

    def _untold(self, question: _Question) -> None:
        """Take back what the store may not have heard."""
        with self._lock:
            question.news.absorb(self._news)
            self._news = question.news
            cast(Noted, self._window).news = self._news
            self._wait = max(self._wait, question.wait)

    def _lost(self, question: _Question, now: float) -> None:
        """Go on without the store."""
        self._untold(question)
        with self._lock:
            if question.number < self._heard:
                return  # it has answered a later question
            if self.follows:
                self._admitted = self._running = 0
            self.asked, self.follows, self.eager = True, False, False
            self._next_look = now + LOOK_EVERY
            self.calm_until = self._next_look if self._lets_in else float("-inf")

    # -- following

    def _follow(self, question: _Question, answer: Answer, now: float) -> Change | None:
        """Take over what the store says; an answer that comes late says nothing."""
        with self._lock:
            before, known, alone = self._known, answer.known, self.asked and not self.follows
            if known.version < before.version:
                return None
            self._heard = max(self._heard, question.number)
            self.asked = self.follows = True
            self._next_look = self.calm_until = now + LOOK_EVERY
            self._known, self._ends = known, now + known.left
            change = None
            if known.version != before.version or answer.state is not self.state:
                change = self._take_over(before, answer, now, alone=alone)
            elif answer.reason:
                change = Change(self.state, self.state, answer.reason, answer.tally)
            if self.state in (OPEN, HALF_OPEN):
                self._until = now + known.left
            if question.wants and not answer.granted:
                self._room_at = now + LOOK_EVERY
            forgotten = change is not None and self.state is not OPEN and self.state is not SHADOW
            self._pooled = Tally() if answer.reason and forgotten else answer.tally
            return change

    def _take_over(
        self, before: Known, answer: Answer, now: float, *, alone: bool
    ) -> Change | None:
        known, old = answer.known, self.state
        if old is answer.state is CLOSED and before.version == 0:
            self.eager = self._news.calls > 0
            return None  # the first answer: what was noted until now counts
        if known.version != before.version:
            self._fold()
            self._take_note_anew()
            self._room_at = now
        change = self._go(answer.state, now, answer.reason, known.left or None)
        self._openings = int(known.openings)
        if old is answer.state and not answer.reason:
            return None
        reason = answer.reason or ("the store works again" if alone else "another process")
        open_for = known.left if answer.state is OPEN else None
        return replace(change, reason=reason, tally=answer.tally, open_for=open_for)


class SharedCircuits(Circuits):
    """The circuits of one shared breaker on one host.

    Args:
        name: What processes know the breaker by.
        rules: When its circuits open and close.
        on_failure: What they do while the store fails.

    Attributes:
        one: The circuit where all calls share one.
    """

    def __init__(self, name: str, rules: Rules, on_failure: OnFailure) -> None:
        terms = Terms(rules)
        self._identity = ("circuit_breaker", name, *map(repr, terms.each))
        make = partial(SharedCircuit, rules, terms, on_failure)
        self._shared = BoundedRegistry(make)
        super().__init__(rules)
        self.one = self._keyed(make(), None)
        self.single = self.one

    def of(self, key: Hashable) -> SharedCircuit:
        """Return the circuit of a value of `by`."""
        return self._keyed(self._shared[key], key)

    def _keyed(self, circuit: SharedCircuit, key: Hashable) -> SharedCircuit:
        if not circuit.key:
            circuit.key = f"circuit:{digest((*self._identity, key))}"
        return circuit

    def known(self) -> list[tuple[Hashable, SharedCircuit]]:
        """Return the circuits that this process knows, by their value of `by`."""
        return self._shared.items()
