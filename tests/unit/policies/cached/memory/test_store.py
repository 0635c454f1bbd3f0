"""The stores against models: bounded by entries and bytes, linked without fault, nothing lost."""

from __future__ import annotations

from collections import OrderedDict

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agentperf import Usage
from agentperf.policies.cached.memory.evictions import SieveStore, store_by
from agentperf.policies.cached.memory.store import GHOSTS, NEWCOMERS, Entry, MemoryStore

KEYS = st.integers(0, 11)
WEIGHTS = st.integers(0, 4)
SIZE, BYTES = 6, 14


def entry(key, weight=0, value=None):
    """Make an entry."""
    made = Entry(key, value, float("inf"), quick=True)
    made.weight = weight
    return made


class Held:
    """What a model knows of an entry."""

    def __init__(self, key, weight):
        self.key = key
        self.weight = weight
        self.new = 0  # asked for since the eviction looked
        self.uses = 0
        self.credit = 0


class Model:
    """What is common to the models: a bound by number and by weight, as clear as can be."""

    def __init__(self):
        self.left = self.unasked = self.given = 0

    def all(self):
        """All entries."""
        raise NotImplementedError

    def find(self, key):
        """The entry of a key."""
        return next((held for held in self.all() if held.key == key), None)

    def drop(self, held, *, lapsed=False):
        """Take an entry out and book it."""
        self.take(held)
        self.given += held.uses
        self.left += lapsed
        self.unasked += lapsed and not held.uses

    def put(self, key, weight):
        """Store; tell how many were evicted."""
        held = Held(key, weight)
        place = self.arrive(held, old := self.find(key))
        if old:
            self.drop(old)
        evicted = 0
        while self.all() and (
            len(self.all()) >= SIZE or sum(x.weight for x in self.all()) + weight > BYTES
        ):
            self.drop(self.victim(), lapsed=True)
            evicted += 1
        self.join(held, place)
        return evicted


class QueuesModel(Model):
    """S3-FIFO with ghosts that move the bound, over plain lists."""

    def __init__(self):
        super().__init__()
        self.probation, self.kept = [], []
        self.newcomers, self.veterans = [], []  # ghosts, oldest first
        self.share = NEWCOMERS
        self.returned = 0

    def all(self):
        """All entries."""
        return self.probation + self.kept

    def take(self, held):
        """Take an entry from its place."""
        (self.probation if held in self.probation else self.kept).remove(held)

    def arrive(self, held, old):
        """Find the place for a new one."""
        if old is not None:
            return self.probation if old in self.probation else self.kept
        few, many = max(1, len(self.newcomers)), max(1, len(self.veterans))
        room = max(1, len(self.all()))
        if held.key in self.newcomers:
            self.newcomers.remove(held.key)
            self.share = min(0.99, self.share + max(1, many / few) / room)
        elif held.key in self.veterans:
            self.veterans.remove(held.key)
            self.share = max(0.01, self.share - max(1, few / many) / room)
        else:
            return self.probation
        self.returned += 1
        return self.kept

    def join(self, held, place):
        """Put it there."""
        place.append(held)

    def haunt(self, ghosts, key, most):
        """Remember who left."""
        if key in ghosts:
            ghosts[ghosts.index(key)] = key
        else:
            ghosts.append(key)
        while len(ghosts) > most:
            del ghosts[0]

    def victim(self):
        """Choose who goes."""
        most = GHOSTS * len(self.all())
        while True:
            long_enough = len(self.probation) >= self.share * len(self.all())
            if self.probation and (long_enough or not self.kept):
                held = self.probation[0]
                if not held.new:
                    self.haunt(self.newcomers, held.key, most)
                    return held
                held.new = 0
                self.kept.append(self.probation.pop(0))
            else:
                held = self.kept[0]
                held.credit, held.new = min(3, held.credit + held.new), 0
                if not held.credit:
                    self.haunt(self.veterans, held.key, most)
                    return held
                held.credit -= 1
                self.kept.append(self.kept.pop(0))


class SieveModel(Model):
    """SIEVE over a plain list, oldest first."""

    returned = 0

    def __init__(self):
        super().__init__()
        self.queue = []
        self.hand = None

    def all(self):
        """All entries."""
        return self.queue

    def take(self, held):
        """Take an entry from its place."""
        at = self.queue.index(held)
        del self.queue[at]
        if self.hand is not None and self.hand > at:
            self.hand -= 1
        if self.hand is not None and self.hand >= len(self.queue):
            self.hand = None

    def arrive(self, held, old):
        """Find the place for a new one."""
        return self.queue

    def join(self, held, place):
        """Put it there."""
        place.append(held)

    def victim(self):
        """Choose who goes."""
        at = self.hand or 0
        while self.queue[at].new:
            self.queue[at].new = 0
            at = (at + 1) % len(self.queue)
        self.hand = at
        return self.queue[at]


class LruModel(Model):
    """The least recently used goes first."""

    returned = 0

    def __init__(self):
        super().__init__()
        self.queue = OrderedDict()

    def all(self):
        """All entries."""
        return list(self.queue.values())

    def take(self, held):
        """Take an entry from its place."""
        del self.queue[held.key]

    def arrive(self, held, old):
        """Find the place for a new one."""
        return

    def join(self, held, place):
        """Put it there."""
        self.queue[held.key] = held

    def victim(self):
        """Choose who goes."""
        return next(iter(self.queue.values()))


class StoreAgainstModel(RuleBasedStateMachine):
    """Does the same things to both; the other evictions are subclasses."""

    model_class = QueuesModel

    def make(self):
        """Make the store."""
        return MemoryStore(SIZE, BYTES)

    def __init__(self):
        super().__init__()
        self.store = self.make()
        self.model = self.model_class()
        self.steps = self.quick = 0

    @rule(key=KEYS, weight=WEIGHTS)
    def put(self, key, weight):
        """Insertion replaces, and tells how many had to go."""
        self.steps += 1
        assert self.store.put(entry(key, weight)) == self.model.put(key, weight)

    @rule(key=KEYS, quick=st.booleans())
    def read(self, key, quick):
        """A hit counts, on the hot path or beside it."""
        found, held = self.store.entries.get(key), self.model.find(key)
        assert (found is None) == (held is None)
        if found is None:
            return
        if quick and self.store.quick:
            next(found.ticks)
            self.quick += 1
        else:
            self.store.used(found)
        held.new += 1
        held.uses += 1
        if isinstance(self.model, LruModel):
            self.model.queue.move_to_end(key)

    @rule(key=KEYS, lapsed=st.booleans())
    def remove(self, key, lapsed):
        """Removal by key tells whether there was something."""
        held = self.model.find(key)
        assert self.store.remove(key, lapsed=lapsed) == (held is not None)
        if held is not None:
            self.model.drop(held, lapsed=lapsed)

    @rule(key=KEYS)
    def remove_another(self, key):
        """An entry that isn't the one in the store removes nothing."""
        assert not self.store.remove(key, entry(key))

    @rule(key=KEYS)
    def read_late(self, key):
        """A reader that found an entry just before it left still counts."""
        found, held = self.store.entries.get(key), self.model.find(key)
        if found is not None:
            assert self.store.remove(key, found)
            self.model.drop(held)
            next(found.ticks)
            self.quick += 1

    @precondition(lambda self: self.steps % 4 == 3)
    @rule()
    def clear(self):
        """Clearing tells how many there were, and forgets who left."""
        entries = self.store.entries
        assert self.store.clear() == len(self.model.all())
        for held in list(self.model.all()):
            self.model.drop(held)
        if isinstance(self.model, QueuesModel):
            self.model.newcomers, self.model.veterans = [], []
        assert self.store.entries is entries

    @invariant()
    def the_bounds_hold(self):
        """Never more than `max_entries` nor `max_bytes`."""
        assert len(self.store) <= SIZE
        assert self.store.bytes == sum(e.weight for e in self.store) <= BYTES

    @invariant()
    def the_entries_are_the_same(self):
        """As many, the same, and whatever the model says of them."""
        assert {e.key for e in self.store} == {held.key for held in self.model.all()}

    @invariant()
    def the_queues_are_sound(self):
        """Both directions visit the same entries, in the model's order."""
        if self.store.quick:
            probation = getattr(self.model, "probation", [])
            kept = getattr(self.model, "kept", self.model.all())
            assert in_order(self.store._probation) == [held.key for held in probation]
            assert in_order(self.store._kept) == [held.key for held in kept]
        else:
            assert len(self.store._order) == len(self.store)

    @invariant()
    def nothing_is_lost(self):
        """Every hit is booked, before and after its entry left; ghosts are bounded."""
        account = self.store.account()
        assert account.hits == self.quick
        assert (account.left, account.idle) == (self.model.left, self.model.unasked)
        assert account.uses == self.model.given + sum(held.uses for held in self.model.all())
        assert self.store.returned == self.model.returned
        if isinstance(self.model, QueuesModel):
            ghosts = self.store._ghosts
            assert [list(g._hashes) for g in ghosts] == [
                [hash(key) for key in keys] for keys in (self.model.newcomers, self.model.veterans)
            ]
            assert all(len(g) <= GHOSTS * SIZE for g in ghosts)


def in_order(queue):
    """The keys of a queue, oldest first, the same in both directions."""
    forwards, found = [], queue.oldest
    while found is not None:
        assert found.queue is queue
        forwards.append(found.key)
        found = found.newer
    backwards, found = [], queue.newest
    while found is not None:
        backwards.append(found.key)
        found = found.older
    assert forwards == backwards[::-1]
    assert len(forwards) == queue.length
    return forwards


class SieveAgainstModel(StoreAgainstModel):
    """The same for SIEVE."""

    model_class = SieveModel

    def make(self):
        """Make the store."""
        return SieveStore(SIZE, BYTES)

    @invariant()
    def the_hand_is_on_an_entry(self):
        """Or nowhere, which means the oldest."""
        hand = self.store._hand
        assert hand is None or self.store.entries[hand.key] is hand


class LruAgainstModel(StoreAgainstModel):
    """The same for LRU, where each hit is told."""

    model_class = LruModel

    def make(self):
        """Make the store."""
        return store_by("lru", SIZE, BYTES, None, lambda: 0.0)


TestStoreAgainstModel = StoreAgainstModel.TestCase
TestSieveAgainstModel = SieveAgainstModel.TestCase
TestLruAgainstModel = LruAgainstModel.TestCase


def _filled(*keys, size=3):
    store = MemoryStore(size)
    for key in keys:
        store.put(entry(key))
    return store


def test_what_nobody_asks_for_goes_first():
    """The oldest entry that was not asked for makes room."""
    store = _filled("a", "b", "c")
    next(store.entries["a"].ticks)
    assert store.put(entry("d")) == 1
    assert set(store.entries) == {"a", "c", "d"}


def test_one_pass_over_many_keys_leaves_what_is_in_use():
    """A scan of keys that are never asked for again evicts itself, not the working set."""
    store = _filled("hot", "warm", "x")
    for n in range(100):
        next(store.entries["hot"].ticks)
        next(store.entries["warm"].ticks)
        store.put(entry(n))
    assert {"hot", "warm"} < set(store.entries)


def test_all_in_use_evicts_all_the_same():
    """When everything is in use, something goes nevertheless."""
    store = _filled("a", "b", "c")
    for held in store:
        next(held.ticks)
    assert store.put(entry("d")) == 1
    assert len(store) == 3


def test_one_entry_is_room_enough():
    """The smallest store there can be."""
    store = _filled(*"abcab", size=1)
    assert set(store.entries) == {"b"}


def test_what_was_used_is_booked_for_every_time_it_was_given():
    """Usage and seconds count once for each hit, also when the entry has left."""
    store = MemoryStore(2)
    paid = entry("a")
    paid.spent, paid.cost = Usage(10, 5, 2, 0.5), 2.0
    store.put(paid)
    next(paid.ticks)
    store.used(paid)
    for _ in range(2):
        account = store.account()
        assert (account.uses, account.hits, account.spared) == (2, 1, 4.0)
        assert account.saved == Usage(20, 10, 4, 1.0)
        store.remove("a")


@pytest.mark.parametrize("name", ["lru", "lfu", "ttl"])
def test_an_order_of_cachetools_decides(name):
    """LRU looks at the last use, LFU at their number, TTL at the end."""
    now = 0.0
    store = store_by(name, 3, None, None, lambda: now)
    for key, until in (("often", 10.0), ("once", 5.0), ("late", 20.0)):
        store.put(Entry(key, key, until, quick=False))
    for key in ("often", "often", "late", "once"):
        store.used(store.entries[key])
    now = 6.0
    assert store.put(Entry("new", 0, 20.0, quick=False)) == (name != "ttl")
    gone = {"lru": "often", "lfu": "late", "ttl": "once"}[name]
    assert {"often", "once", "late"} - set(store.entries) == {gone}
    assert store.account().left == 1


def test_what_has_expired_already_can_be_stored_by_time():
    """It goes with the next one."""
    now = 5.0
    store = store_by("ttl", 3, None, None, lambda: now)
    store.put(Entry("late", 1, 1.0, quick=False))
    assert set(store.entries) == {"late"}
    store.put(Entry("next", 1, 9.0, quick=False))
    assert set(store.entries) == {"next"}
    store.put(Entry("late", 1, 1.0, quick=False))
    store.put(Entry("late", 1, 2.0, quick=False))
    assert len(store) == len(store._order) == 2


def test_code_that_runs_when_an_entry_goes_may_store_something():
    """The value of an evicted entry may have a `__del__` that uses the very cache."""
    store = MemoryStore(1)

    class Last:
        def __del__(self):
            store.put(entry("b", value="from within"))

    store.put(entry("a", value=Last()))
    store.put(entry("b"))
    assert [e.value for e in store] == ["from within"]
    assert in_order(store._probation) + in_order(store._kept) == ["b"]
