"""No process gives what another removed beyond the bound, whatever comes between what."""

from __future__ import annotations

import types

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agentperf.abc import AsyncCacheBackend, Watchable
from agentperf.policies.cached.tiered import Tiered
from agentperf.testing import FakeClock

BOUND = 5.0
KEYS = ("a", "b")
PROCESSES = 2


@types.coroutine
def elsewhere():
    """Let others go on."""
    yield


class Mute(AsyncCacheBackend):
    """The far backend of several processes, slow on the way back.

    It numbers its changes, and notes at which one, and when, each value ceased to be there.
    """

    shared = True

    def __init__(self, clock):
        self.now = clock.now
        self.live = {}  # key: value
        self.gone = {}  # value: (change, moment)
        self.stored = {}  # value: change
        self.changes = 0
        self.ends = []  # the change after which each removal was done

    def change(self, key, value):
        """Put a value in place of what is there, None to remove that."""
        self.changes += 1
        if (before := self.live.pop(key, None)) is not None:
            self.gone[before] = self.changes, self.now()
        if value is not None:
            self.live[key] = value
            self.stored[value] = self.changes
        return before is not None

    async def get(self, key):
        """Look one up."""
        return (await self.get_many([key])).get(key)

    async def get_many(self, keys):
        """Look up."""
        found = {key: self.live[key] for key in keys if key in self.live}
        await elsewhere()
        return found

    async def set(self, key, value, ttl=None):
        """Store."""
        self.change(key, value)
        await elsewhere()

    async def delete(self, key):
        """Remove."""
        was_there = self.change(key, None)
        self.ends.append(self.changes)
        await elsewhere()
        return was_there

    async def clear(self, prefix=""):
        """Remove all, one after the other."""
        for key in KEYS:
            await elsewhere()
            self.change(key, None)
        self.ends.append(self.changes)
        await elsewhere()


class Told(Mute, Watchable):
    """The same, which tells; what it tells takes its time."""

    def __init__(self, clock):
        super().__init__(clock)
        self.watchers = {}  # watcher: what it isn't told yet

    def change(self, key, value):
        """Put a value in place of what is there, and tell."""
        was_there = super().change(key, value)
        for messages in self.watchers.values():
            messages.append((key, self.changes))
        return was_there

    def watch(self, watcher):
        """Tell a watcher from now on."""
        self.watchers[watcher] = []
        watcher.began()
        return lambda: None


class Process:
    """One of those who share the server, and what it knows to be gone."""

    def __init__(self, server, clock):
        self.backend = Tiered(server, near_ttl=BOUND, max_entries=3, clock=clock).asynchronous
        self.known_gone = set()


class Tiers(RuleBasedStateMachine):
    """Processes that read, write and remove at once, each step of each on its own."""

    kind = Told

    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        self.server = self.kind(self.clock)
        self.processes = [Process(self.server, self.clock) for _ in range(PROCESSES)]
        self.written = 0
        self.of_key = {}  # value: key
        self.running = []

    def begin(self, work, ended, rests):
        """Begin something, and leave it half done if it `rests`."""
        self.step(work, ended)
        while not rests and self.running and self.running[-1][0] is work:
            self.step(*self.running.pop())

    def step(self, work, ended):
        """Go on with something up to its next pause; tell its result at its end."""
        try:
            work.send(None)
        except StopIteration as stop:
            ended(stop.value)
        else:
            self.running.append((work, ended))

    def now_known(self, process, keys, change):
        """Note that a process knows what was gone by some change."""
        process.known_gone |= {
            value
            for value, (when, _) in self.server.gone.items()
            if self.of_key[value] in keys and when <= change
        }

    process = st.integers(0, PROCESSES - 1)
    key = st.sampled_from([*KEYS, KEYS[0], KEYS[0]])
    rests = st.sampled_from([True, False, False])

    @rule(which=process, key=key, rests=rests)
    def read(self, which, key, rests):
        """Begin to read."""
        process = self.processes[which]
        began, known = self.clock.now(), set(process.known_gone)
        at_begin = self.server.live.get(key)

        def ended(value):
            if value is None:
                assert at_begin is None or at_begin in self.server.gone
                return
            assert value not in known, "given although it was known to be gone"
            if value in self.server.gone:
                assert began - self.server.gone[value][1] < BOUND, "given beyond the bound"

        self.begin(process.backend.get(key), ended, rests)

    @rule(which=process, key=key, rests=rests)
    def write(self, which, key, rests):
        """Begin to write; in the end, what was there before is known to be gone."""
        self.written += 1
        value = b"%d" % self.written
        self.of_key[value] = key
        process = self.processes[which]

        def ended(_):
            self.now_known(process, {key}, self.server.stored[value])

        self.begin(process.backend.set(key, value, None), ended, rests)

    @rule(which=process, key=key, rests=rests)
    def remove(self, which, key, rests):
        """Begin to remove; in the end, what was there is known to be gone."""
        process = self.processes[which]
        self.begin(process.backend.delete(key), self.removed(process, {key}), rests)

    @rule(which=process, rests=rests)
    def clear(self, which, rests):
        """The same with everything."""
        process = self.processes[which]
        self.begin(process.backend.clear(""), self.removed(process, set(KEYS)), rests)

    def removed(self, process, keys):
        """Return what is to be called when something was removed."""
        before = len(self.server.ends)
        # Others may be removing too: what was gone at the end of the first of them is the least.
        return lambda _: self.now_known(process, keys, self.server.ends[before])

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def go_on(self, data):
        """Go on with something, not always with what was first."""
        self.step(*self.running.pop(data.draw(st.integers(0, len(self.running) - 1))))

    @rule(seconds=st.sampled_from([0.1, 1.0, BOUND - 0.1, BOUND]))
    def pass_time(self, seconds):
        """Let time pass."""
        self.clock.advance(seconds)

    @invariant()
    def sweep(self):
        """Whatever is near is good, or gone for less than the bound, and nobody told."""
        for process in self.processes:
            for key in KEYS:
                value = process.backend.at_hand(key)
                if value in self.server.gone:
                    assert value not in process.known_gone
                    assert self.clock.now() - self.server.gone[value][1] < BOUND

    def teardown(self):
        """End what was begun."""
        for work, _ in self.running:
            work.close()


class TiersTold(Tiers):
    """Processes whose server tells them, sooner or later."""

    def watchers(self):
        """Return those who are told, with their processes."""
        by_near = {process.backend.near: process for process in self.processes}
        return [
            (watcher, by_near[watcher._near()], messages)
            for watcher, messages in self.server.watchers.items()
        ]

    @precondition(lambda self: self.server.watchers)
    @rule(data=st.data())
    def tell(self, data):
        """Tell one of them the next thing."""
        watcher, process, messages = data.draw(st.sampled_from(self.watchers()))
        if messages:
            key, change = messages.pop(0)
            watcher.changed([key])
            self.now_known(process, {key}, change)

    @precondition(lambda self: self.server.watchers)
    @rule(data=st.data())
    def cut(self, data):
        """Cut one of them off, and let it begin again: what it wasn't told it need not know."""
        watcher, process, messages = data.draw(st.sampled_from(self.watchers()))
        messages.clear()
        watcher.ended(ConnectionError())
        watcher.began()
        self.now_known(process, set(KEYS), self.server.changes)


class TiersMute(Tiers):
    """Processes whose server tells nothing."""

    kind = Mute


for machine in (TiersTold, TiersMute):
    machine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestTold = TiersTold.TestCase
TestMute = TiersMute.TestCase
