"""Calls that wait, are cancelled, fail and end in any order, beside a simple model of who is in.

Limiter and bulkhead are driven as their users drive them, on asyncio and in threads; whatever
happens, exactly those run whom the model lets in, and exactly so much is left as it has left.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import agentperf
from agentperf import handle
from agentperf.errors import BulkheadFull, RateLimitExceeded
from agentperf.testing import FakeClock
from agentperf.usage import Usage

RATE = 8
"""Tokens a second, and at once; all times are then sums of powers of two, which floats hold."""
STEP = 10.0
"""Seconds of head start that a step of priority gives."""
PATIENCE = 30.0


@dataclass
class Model:
    """Who runs, who waits, and what is left.

    Attributes:
        places: How many may run at once.
        rated: Whether there is a rate as well.
        max_wait: Seconds after which who waits is refused.
        room: How many may wait.
    """

    places: int
    rated: bool = True
    max_wait: float = math.inf
    room: float = math.inf
    now: float = 0.0
    tat: float = 0.0
    running: dict[int, int] = field(default_factory=dict)
    line: list[tuple[float, int, int, float]] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    holds: bool = False
    """Whether those who were woken have not gone on yet."""

    def call(self, number: int, size: int, urgency: int) -> None:
        """One comes: it is let in, waits or is refused."""
        has_to_wait = bool(self.line) or self.wait(size) > 0
        if has_to_wait and len(self.line) >= self.room:
            self.refused.add(number)
            return
        rank = self.now - STEP * urgency if self.rated else 0.0
        self.line.append((rank, number, size, self.now + self.max_wait))
        self.line.sort(key=lambda one: one[:2])
        if self.line[0][1] == number:
            self.look_at_first()
        self.let_in()

    def end(self, number: int, used: int | None) -> None:
        """One that runs ends; None for what it took, else what it really used."""
        size = self.running.pop(number)
        more = 0 if used is None else used - size
        if more > 0:
            self.tat = max(self.tat, self.now) + more / RATE
        elif more < 0:
            self.tat = max(self.now, self.tat + more / RATE)
        self.let_in()

    def cancel(self, number: int) -> None:
        """One is cancelled, wherever it is; it used nothing."""
        if number in self.running:
            self.end(number, 0)
        else:
            self.line = [one for one in self.line if one[1] != number]
            self.let_in()

    def wait(self, size: int) -> float:
        """How long until a call of that size fits; for ever where somebody has to end first."""
        if len(self.running) >= self.places:
            return math.inf
        over = max(self.tat, self.now) + size / RATE - 1.0 - self.now
        return max(0.0, over) if self.rated else 0.0

    def let_in(self) -> None:
        """Let in who comes first as long as it fits."""
        while not self.holds and self.look_at_first():
            pass

    def look_at_first(self) -> bool:
        """Let the first in if it fits, refuse it where it never will in time; tell if it left."""
        if not self.line:
            return False
        _, number, size, until = self.line[0]
        wait, left = self.wait(size), until - self.now
        if wait == 0:
            self.running[number] = size
            self.tat = max(self.tat, self.now) + size / RATE
        elif left <= 0 or (wait < math.inf and wait > left):
            self.refused.add(number)
        else:
            return False
        del self.line[0]
        return True

    def passes(self, seconds: float) -> None:
        """Let time pass, from one moment at which something happens to the next."""
        until = self.now + seconds
        while self.line:
            moments = [end for *_, end in self.line] + [self.now + self.wait(self.line[0][2])]
            if (moment := min(moments)) > until:
                break
            self.now = moment
            self.refused |= {one[1] for one in self.line[1:] if one[3] <= moment}
            self.line = [self.line[0], *(one for one in self.line[1:] if one[3] > moment)]
            self.let_in()
        self.now = until

    @property
    def left(self) -> int:
        """How many tokens fit now."""
        return math.floor((1.0 - max(0.0, self.tat - self.now)) * RATE)


LIMITS = st.sampled_from(
    [
        ("rate_limited", Model(places=3, max_wait=3600.0)),
        ("rate_limited", Model(places=1, max_wait=3600.0)),
        ("rate_limited", Model(places=2, max_wait=2.0625)),  # when nobody else comes or goes
        ("bulkhead", Model(places=1, rated=False)),
        ("bulkhead", Model(places=3, rated=False, room=4)),
    ]
)


class Guarded:
    """A guarded function, and what its handle says."""

    def __init__(self, kind, model, body):
        self.kind = kind
        self.model = model
        if kind == "bulkhead":
            room = None if model.room == math.inf else model.room
            decorate = agentperf.bulkhead(model.places, queue=room)
        else:
            decorate = agentperf.rate_limited(
                tokens=f"{RATE}/s",
                concurrency=model.places,
                cost="size",
                priority="urgency",
                max_wait=model.max_wait,
            )
        self.call = decorate(body)
        self.handle = handle(self.call)

    def seen(self):
        """What it says: how many run, wait and were refused, and how much is left."""
        if self.kind == "bulkhead":
            stats = self.handle.bulkhead.stats()
            return stats.in_use, stats.waiting, stats.rejected, None
        left = self.handle.limiter.remaining()
        free = self.model.places - left["concurrency"]
        return free, self.handle.limiter.waiting(), None, left["tokens"]

    def expected(self):
        """What the model says of the same."""
        model = self.model
        if self.kind == "bulkhead":
            return len(model.running), len(model.line), len(model.refused), None
        return len(model.running), len(model.line), None, model.left


def copied(model):
    """Return a fresh one like it."""
    return Model(model.places, model.rated, model.max_wait, model.room)


WHICH = st.integers(0, 99)
USED = st.sampled_from(["as reserved", "failed", 0, 1, 5, 12])
CALL = st.tuples(st.just("call"), st.integers(1, RATE), st.sampled_from([0, 0, 0, 1, -2]))
END = st.tuples(st.just("end"), WHICH, USED)
CANCEL = st.tuples(st.just("cancel"), WHICH)


class Machine(RuleBasedStateMachine):
    """Does to the real thing and to the model the same, and compares."""

    def begin(self, kind, model):
        """Make both."""
        self.clock = FakeClock()
        self.host = agentperf.Host(clock=self.clock)
        self.model = copied(model)
        self.began = self.clock.now()
        self.running = {}
        self.refused = set()
        self.made = 0
        with agentperf.use(self.host):
            self.guarded = Guarded(kind, self.model, self.body())

    def alive(self):
        """Who runs or waits."""
        return {*self.model.running, *(one[1] for one in self.model.line)}

    def tell_model(self, action, able=None):
        """Do it to the model; return what to do to the real thing, None for nothing.

        Args:
            action: What, with numbers that choose whom.
            able: To whom it may be done; None for everybody.
        """
        model = self.model
        what, *rest = action
        if what == "call":
            self.made += 1
            model.call(self.made, *rest)
            return ("call", self.made, *rest)
        able = self.alive() if able is None else self.alive() & able
        if what == "end" and (running := sorted(able & set(model.running))):
            number = running[rest[0] % len(running)]
            used = {"as reserved": None, "failed": 0}.get(rest[1], rest[1])
            model.end(number, used if model.rated else None)
            return ("end", number, rest[1])
        if what == "cancel" and able:
            number = sorted(able)[rest[0] % len(able)]
            model.cancel(number)
            return ("cancel", number)
        return None

    def really_is(self):
        """Who runs, who was refused, and what the handle says."""
        return sorted(self.running), sorted(self.refused), self.guarded.seen()

    def should_be(self):
        """The same as the model has it."""
        model = self.model
        return sorted(model.running), sorted(model.refused), self.guarded.expected()

    def outcome(self, used):
        """End a call that runs as it was told to."""
        if used == "failed":
            raise LookupError
        return "fine" if used == "as reserved" else Usage(0, used)


class TasksMachine(Machine):
    """Tasks of one event loop; several things may happen before the loop turns."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.tasks = {}

    @initialize(limits=LIMITS)
    def start(self, limits):
        """Begin with one of the limits."""
        self.begin(*limits)

    def body(self):
        """Make the function that is guarded."""

        async def body(number, size, urgency):
            gate = self.running[number] = self.loop.create_future()
            try:
                return self.outcome(await gate)
            finally:
                del self.running[number]

        return body

    async def call(self, number, size, urgency):
        """Call, and note a refusal."""
        try:
            await self.guarded.call(number, size, urgency)
        except (RateLimitExceeded, BulkheadFull):
            self.refused.add(number)
        except LookupError:
            pass

    def really(self, what, number, *rest):
        """Do it to the real thing."""
        if what == "call":
            self.tasks[number] = self.loop.create_task(self.call(number, *rest))
        elif what == "cancel":
            self.tasks[number].cancel()
        else:
            self.running[number].set_result(*rest)

    @rule(action=st.one_of(CALL, CALL, END, CANCEL))
    def happens(self, action):
        """One thing happens."""
        self.happen([action])

    @rule(actions=st.lists(st.one_of(END, CANCEL, CALL, CANCEL), min_size=2, max_size=5))
    def happen(self, actions):
        """Several things happen before anybody who is woken by them can go on."""
        before = self.alive()
        self.model.holds = True
        todo = [self.tell_model(action, before) for action in actions]
        self.model.holds = False
        self.model.let_in()

        async def do():
            for one in todo:
                if one is not None:
                    self.really(*one)
            await self.clock.aadvance(0)

        self.turn(do())

    @rule(eighths=st.integers(1, 24))
    def time_passes(self, eighths):
        """Those who wait are let in as it does, and refused when theirs is over."""
        self.model.passes(eighths / 8)
        self.turn(self.clock.aadvance(eighths / 8))

    def turn(self, work):
        """Let the loop run."""
        with agentperf.use(self.host):
            self.loop.run_until_complete(work)

    @invariant()
    def nothing_is_lost_or_invented(self):
        """The real thing is as the model says."""
        with agentperf.use(self.host):
            assert self.really_is() == self.should_be()

    def teardown(self):
        """All are cancelled, and everything is as at the beginning but for what was used."""

        async def end():
            for task in self.tasks.values():
                task.cancel()
            await asyncio.gather(*self.tasks.values(), return_exceptions=True)

        try:
            self.model.holds = True
            for number in self.alive():
                self.model.cancel(number)
            self.turn(end())
            self.nothing_is_lost_or_invented()
        finally:
            self.loop.close()


TestTasks = TasksMachine.TestCase
TestTasks.settings = settings(max_examples=60, stateful_step_count=40)


class Crowd(Machine):
    """Threads, which nobody can cancel; one thing happens after the other."""

    def body(self):
        """Make the function that is guarded."""

        def body(number, size, urgency):
            gate, used = self.running[number] = threading.Event(), []
            try:
                gate.wait(PATIENCE)
                return self.outcome(used[0])
            finally:
                del self.running[number]

        return body

    def call(self, number, size, urgency):
        """Call, and note a refusal."""
        with agentperf.use(self.host):
            try:
                self.guarded.call(number, size, urgency)
            except (RateLimitExceeded, BulkheadFull):
                self.refused.add(number)
            except LookupError:
                pass


class ThreadsMachine(Crowd):
    """Threads come, wait, are let in, and end."""

    def __init__(self):
        super().__init__()
        self.threads = []

    @initialize(limits=LIMITS)
    def start(self, limits):
        """Begin with one of the limits."""
        self.begin(*limits)

    @rule(action=st.one_of(CALL, CALL, END))
    def happens(self, action):
        """One thing happens; soon it is as the model says, and stays so."""
        if (todo := self.tell_model(action)) is None:
            return
        what, number, *rest = todo
        if what == "call":
            thread = threading.Thread(target=self.call, args=(number, *rest), daemon=True)
            self.threads.append(thread)
            thread.start()
        else:
            gate, used = self.running[number]
            used.append(*rest)
            gate.set()
        with agentperf.use(self.host):
            eventually(lambda: self.really_is() == self.should_be())

    def teardown(self):
        """Those who run end, those who wait get their turn or are refused."""
        deadline = time.monotonic() + PATIENCE
        while any(thread.is_alive() for thread in self.threads):
            assert time.monotonic() < deadline, "somebody waits for ever"
            for gate, used in list(self.running.values()):
                used.append("as reserved")
                gate.set()
            self.clock.advance(3600)
            time.sleep(0.001)
        assert self.guarded.seen()[:2] == (0, 0)


TestThreads = ThreadsMachine.TestCase
TestThreads.settings = settings(max_examples=20, stateful_step_count=25)


def eventually(condition):
    """Wait for something that other threads bring about."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.0005)
