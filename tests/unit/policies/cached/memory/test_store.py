"""The store: bounded, linked without fault, SIEVE."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agentperf.policies.cached.memory.store import Entry, MemoryStore

KEYS = st.integers(0, 7)
SIZE = 4


class SieveModel:
    """SIEVE over a plain list, oldest first, as slow and as clear as can be."""

    def __init__(self) -> None:
        self.queue: list[list] = []  # [key, visited]
        self.hand: int | None = None

    def position(self, key):
        """Where the key stands."""
        return next((i for i, (held, _) in enumerate(self.queue) if held == key), None)

    def visit(self, key):
        """Mark the key as asked for."""
        self.queue[self.position(key)][1] = True

    def put(self, key):
        """Insert at the newest end, after room was made; tell what was evicted."""
        self.remove(key)
        gone = self.evict() if len(self.queue) >= SIZE else None
        self.queue.append([key, False])
        return gone

    def evict(self):
        """Move the hand towards the newest, taking marks away, to the first one without."""
        at = 0 if self.hand is None else self.hand
        while self.queue[at][1]:
            self.queue[at][1] = False
            at = (at + 1) % len(self.queue)
        self.hand = at
        key = self.queue[at][0]
        self.remove(key)
        return key

    def remove(self, key):
        """Take the key out; a hand that stands on it moves to the next newer one."""
        at = self.position(key)
        if at is None:
            return False
        del self.queue[at]
        if self.hand is not None and self.hand > at:
            self.hand -= 1
        if self.hand is not None and self.hand >= len(self.queue):
            self.hand = None
        return True


class StoreAgainstModel(RuleBasedStateMachine):
    """Does the same things to both."""

    def __init__(self):
        super().__init__()
        self.store = MemoryStore(SIZE)
        self.model = SieveModel()
        self.stamp = 0

    @rule(key=KEYS)
    def put(self, key):
        """Insertion replaces, and tells how many had to go."""
        self.stamp += 1
        evicted = self.store.put(Entry(key, self.stamp, float("inf"), quick=True))
        assert evicted == (self.model.put(key) is not None)

    @rule(key=KEYS)
    def read(self, key):
        """A hit sets the mark."""
        entry = self.store.entries.get(key)
        assert (entry is not None) == (self.model.position(key) is not None)
        if entry is not None:
            entry.visited = True
            self.model.visit(key)

    @rule(key=KEYS)
    def remove(self, key):
        """Removal by key tells whether there was something."""
        assert self.store.remove(key) == self.model.remove(key)

    @rule(key=KEYS)
    def remove_another(self, key):
        """An entry that isn't the one in the store removes nothing."""
        assert not self.store.remove(key, Entry(key, None, 0.0, quick=True))

    @rule(key=KEYS)
    def remove_the_very_entry(self, key):
        """The one in the store does."""
        entry = self.store.entries.get(key)
        if entry is not None:
            assert self.store.remove(key, entry)
            assert self.model.remove(key)

    @precondition(lambda self: self.stamp % 3 == 0)
    @rule()
    def clear(self):
        """Clearing tells how many there were."""
        assert self.store.clear() == len(self.model.queue)
        self.model.queue.clear()
        self.model.hand = None

    @invariant()
    def the_bound_holds(self):
        """Never more than `max_entries`."""
        assert len(self.store) <= SIZE

    @invariant()
    def the_links_are_sound(self):
        """Both directions visit the same entries, in the order of their insertion, marks alike."""
        forwards, entry = [], self.store._oldest
        while entry is not None:
            forwards.append(entry)
            entry = entry.newer
        backwards, entry = [], self.store._newest
        while entry is not None:
            backwards.append(entry)
            entry = entry.older
        assert forwards == backwards[::-1]
        assert [[e.key, e.visited] for e in forwards] == self.model.queue
        assert {e.key: e for e in forwards} == self.store.entries
        assert list(self.store) == list(self.store.entries.values())
        assert self.store._hand is None or self.store._hand in forwards


TestStoreAgainstModel = StoreAgainstModel.TestCase


def _filled(*keys):
    store = MemoryStore(3)
    for key in keys:
        store.put(Entry(key, key, float("inf"), quick=True))
    return store


def test_what_nobody_asks_for_goes_first():
    """The oldest entry without a mark makes room; a marked one stays and loses its mark."""
    store = _filled("a", "b", "c")
    store.entries["a"].visited = True
    assert store.put(Entry("d", 0, 0.0, quick=True)) == 1
    assert set(store.entries) == {"a", "c", "d"}
    assert not store.entries["a"].visited


def test_one_pass_over_many_keys_leaves_what_is_in_use():
    """A scan of keys that are never asked for again evicts itself, not the working set."""
    store = _filled("hot", "warm", "x")
    for n in range(100):
        store.entries["hot"].visited = store.entries["warm"].visited = True
        store.put(Entry(n, n, float("inf"), quick=True))
    assert {"hot", "warm"} < set(store.entries)


def test_all_marked_evicts_all_the_same():
    """When everything is in use, the hand goes round once and takes the first it unmarked."""
    store = _filled("a", "b", "c")
    for entry in store:
        entry.visited = True
    store.put(Entry("d", 0, 0.0, quick=True))
    assert set(store.entries) == {"b", "c", "d"}


def test_clearing_keeps_the_very_dict():
    """Readers hold on to `entries` itself."""
    store = _filled("a", "b")
    entries = store.entries
    assert store.clear() == 2
    assert store.entries is entries
    assert entries == {}
