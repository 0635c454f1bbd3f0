"""Two tiers keep the contract of one, ask the far one only when they must, and keep no misses."""

from __future__ import annotations

import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.lowlevel
import pytest

import agentperf
from agentperf import BackendError, ConfigurationError, Tiered, UncacheableValueError
from agentperf.abc import AsyncCacheBackend, Backends, CacheBackend, Lasting, Watchable
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.policies.cached.sqlite import SqliteBackend
from agentperf.policies.cached.tags.versions import new_versions
from agentperf.policies.cached.tiered import TieredAddress
from agentperf.testing import FakeClock, fresh_host, recorded
from agentperf.testing.conformance import BackendConformance


class Awaited(AsyncCacheBackend):
    """The memory, to be awaited."""

    def __init__(self, clock=None):
        self._same = MemoryBackend(clock)

    async def get(self, key):
        """Look up."""
        await anyio.lowlevel.checkpoint()
        return self._same.get(key)

    async def get_lasting(self, keys):
        """Look up, and tell for how long."""
        return self._same.get_lasting(keys)

    async def set(self, key, value, ttl=None):
        """Store."""
        await anyio.lowlevel.checkpoint()
        self._same.set(key, value, ttl)

    async def delete(self, key):
        """Remove."""
        return self._same.delete(key)

    async def clear(self, prefix=""):
        """Remove many."""
        self._same.clear(prefix)


class Counting(MemoryBackend, Watchable):
    """The memory, which notes what it is asked, fails when it is told to, and tells of changes."""

    shared = True

    def __init__(self, clock=None):
        super().__init__(clock)
        self.asked = []
        self.failure = None
        self.watchers = []

    def _note(self, what):
        self.asked.append(what)
        if self.failure is not None:
            raise self.failure

    def get_lasting(self, keys):
        """Look up."""
        self._note(("get", *keys))
        return super().get_lasting(keys)

    def add(self, key, value, ttl=None):
        """Store where there is nothing."""
        self._note(("add", key))
        return super().add(key, value, ttl)

    def replace(self, key, old, new, ttl=None):
        """Store where there is something known."""
        self._note(("replace", key))
        return super().replace(key, old, new, ttl)

    def delete_if(self, key, value):
        """Remove what is known."""
        self._note(("delete", key))
        return super().delete_if(key, value)

    def set(self, key, value, ttl=None):
        """Store."""
        self._note(("set", key))
        super().set(key, value, ttl)

    def delete(self, key):
        """Remove."""
        self._note(("delete", key))
        return super().delete(key)

    def watch(self, watcher):
        """Tell a watcher when the test does so."""
        self.watchers.append(watcher)
        return lambda: self.watchers.remove(watcher)


@pytest.fixture
def clock():
    """Time that the test moves."""
    return FakeClock()


@pytest.fixture
def far(clock):
    """A far backend."""
    return Counting(clock)


@pytest.fixture
def near(far, clock):
    """Two tiers, for calls that block."""
    return Tiered(far, clock=clock).sync


class Suite(BackendConformance):
    """The suite for backends."""

    colour = "sync"

    @pytest.fixture(autouse=True)
    def _clock(self, tmp_path):
        self.folder, self.clock = tmp_path, FakeClock()

    def make(self):
        """Make an empty one."""
        return getattr(Tiered(self.far(), clock=self.clock), self.colour)

    def pass_time(self, seconds):
        """Move the clock."""
        self.clock.advance(seconds)


class TestInFrontOfMemory(Suite):
    """For calls that block."""

    def far(self):
        """Make the far one."""
        return MemoryBackend(self.clock)


class TestInFrontOfMemoryAwaited(TestInFrontOfMemory):
    """For calls that are awaited, of one that blocks."""

    colour = "asynchronous"


class TestInFrontOfSqlite(Suite):
    """A far one that does I/O."""

    def far(self):
        """Make the far one."""
        return SqliteBackend(self.folder / "cache.db", clock=self.clock)


class TestInFrontOfSqliteAwaited(TestInFrontOfSqlite):
    """The same in worker threads."""

    colour = "asynchronous"


class TestInFrontOfAwaited(Suite):
    """A far one that is awaited."""

    colour = "asynchronous"

    def far(self):
        """Make the far one."""
        return Awaited(self.clock)


del Suite


def test_what_was_read_is_near(far, near, clock):
    """It is fetched once in the time that it is given from memory."""
    MemoryBackend.set(far, "key", b"value")
    assert [near.get("key") for _ in range(3)] == [b"value"] * 3
    assert far.asked == [("get", "key")]
    clock.advance(4.9)
    near.get("key")
    clock.advance(0.2)
    assert near.get("key") == b"value"
    assert far.asked == [("get", "key")] * 2


def test_what_was_stored_is_near(far, near):
    """Whoever stores has it at hand."""
    near.set("key", b"value", 60)
    near.set_many({"other": b"1"})
    near.replace("other", b"1", b"2")
    assert near.get_many(["key", "other"]) == {"key": b"value", "other": b"2"}
    assert [what for what, *_ in far.asked].count("get") == 0


def test_what_is_not_there_is_asked_for_again(far, near):
    """Another process may store it at any time."""
    assert near.get("key") is None
    MemoryBackend.set(far, "key", b"value")
    assert near.get("key") == b"value"


def test_only_what_is_not_near_is_asked_for(far, near):
    """Several keys go in one question, those that are near in none."""
    near.set("a", b"1")
    MemoryBackend.set(far, "b", b"2")
    assert near.get_many(["a", "b", "c"]) == {"a": b"1", "b": b"2"}
    assert far.asked[1:] == [("get", "b", "c")]


def test_an_entry_near_ends_with_the_far_one(far, near, clock):
    """What is left of a time to live counts, as far as the far one tells."""

    class Telling(Counting):
        def get_lasting(self, keys):
            return {key: Lasting(b"value", 1.0) for key in keys}

    telling = Telling(clock)
    near = Tiered(telling, clock=clock).sync
    near.get("key")
    clock.advance(0.9)
    assert near.at_hand("key") == b"value"
    clock.advance(0.2)
    assert near.at_hand("key") is None


def test_the_latest_is_not_from_memory(far, near):
    """Who must know asks past the memory."""
    near.set("key", b"old")
    MemoryBackend.set(far, "key", b"new")
    assert (near.get("key"), near.latest("key")) == (b"old", b"new")


@pytest.mark.parametrize(
    "change",
    [
        lambda near: near.set("key", b"new"),
        lambda near: near.set_many({"key": b"new"}),
        lambda near: near.delete("key"),
        lambda near: near.delete_many(["key"]),
        lambda near: near.delete_if("key", b"value"),
        lambda near: near.replace("key", b"value", b"new"),
        lambda near: near.add("key", b"new"),
        lambda near: near.clear(""),
    ],
)
@pytest.mark.parametrize("failure", [ConnectionError(), UncacheableValueError("full")])
def test_after_a_change_that_failed_nothing_is_near(far, near, change, failure):
    """It may have been made all the same."""
    near.set("key", b"value")
    far.failure = failure
    far.clear = lambda prefix="": far._note("clear")
    with pytest.raises(type(failure)):
        change(near)
    assert near.at_hand("key") is None


def test_after_a_change_that_was_refused_nothing_is_near(far, near):
    """Something else is there than was thought."""
    near.set("key", b"value")
    assert not near.replace("key", b"other", b"new")
    assert near.at_hand("key") is None
    assert not near.delete_if("key", b"other")
    near.get("key")
    assert not near.add("key", b"new")
    assert near.at_hand("key") == b"value"


def test_storing_under_a_guard_is_the_far_ones(far, near):
    """What is near says nothing of who may store."""

    def set_if(key, value, ttl, *, guard, token, mark, mark_ttl):
        allowed = MemoryBackend.replace(far, guard, token, mark, mark_ttl)
        if allowed:
            MemoryBackend.set(far, key, value, ttl)
        return allowed

    far.set_if = set_if
    near.set("lease", b"mine")
    MemoryBackend.set(far, "lease", b"his")
    fence = {"guard": "lease", "token": b"mine", "mark": b"done", "mark_ttl": 1.0}
    assert not near.set_if("key", b"value", 60, **fence)
    assert (near.at_hand("key"), near.get("lease")) == (None, b"his")
    assert near.set_if("key", b"value", 60, **fence | {"token": b"his"})
    assert (near.at_hand("key"), near.at_hand("lease")) == (b"value", None)


@pytest.mark.anyio
async def test_a_cancelled_change_leaves_nothing_near():
    """Nobody knows whether it was made."""

    class Slow(Awaited):
        async def set(self, key, value, ttl=None):
            await super().set(key, value, ttl)
            await anyio.sleep_forever()

    slow = Slow()
    near = Tiered(slow).asynchronous
    slow._same.set("key", b"old")
    assert await near.get("key") == b"old"
    with anyio.move_on_after(0.05):
        await near.set("key", b"new")
    assert near.at_hand("key") is None


def test_both_colours_share_the_memory(far, clock):
    """What one has fetched, the other has at hand."""
    both = Tiered(far, clock=clock)
    both.sync.set("key", b"value")
    assert both.asynchronous.at_hand("key") == b"value"
    anyio.run(both.asynchronous.delete, "key")
    assert both.sync.at_hand("key") is None


def test_the_far_one_says_what_the_pair_is(clock):
    """Shared, atomic and asyncio-only are as behind."""

    class Strange(Awaited):
        asyncio_only = shared = True

    alone = Tiered(Strange())
    assert alone.sync is None
    assert (alone.shared, alone.asynchronous.asyncio_only) == (True, True)
    assert not alone.asynchronous.atomic
    beside = Tiered(Backends(sync=MemoryBackend(), asynchronous=Strange()))
    assert not beside.asynchronous.asyncio_only  # under trio the other one is asked
    assert (beside.sync.atomic, beside.asynchronous.atomic) == (True, False)
    assert Tiered(MemoryBackend()).sync.atomic
    assert not Tiered(MemoryBackend()).sync.blocking


def test_the_memory_is_bounded(far, clock):
    """By entries and by bytes; the oldest makes room, and what is too large isn't kept."""
    tiers = Tiered(far, max_entries=10, max_bytes=5_000, clock=clock)
    for number in range(100):
        tiers.sync.set(f"key{number}", b"x")
        stats = tiers.near_stats()
        assert stats.entries == min(number + 1, 10)
    assert tiers.sync.at_hand("key99")
    for number in range(100):
        tiers.sync.set(f"key{number}", b"x" * 1_000)
        assert tiers.near_stats().size <= 5_000
    tiers.sync.set("key99", b"x" * 5_000)
    assert tiers.sync.at_hand("key99") is None
    tiers.sync.clear()
    assert (tiers.near_stats().entries, tiers.near_stats().size) == (0, 0)


def test_what_is_over_makes_room_first(far, clock):
    """Memory isn't held by what nobody may have any more."""
    tiers = Tiered(far, clock=clock)
    for number in range(100):
        tiers.sync.set(f"key{number}", b"x")
    clock.advance(10)
    tiers.sync.set("key", b"x")
    assert tiers.near_stats().entries == 1


def test_figures(far, clock):
    """They count what was near and what wasn't, and are reached by the handle too."""

    @agentperf.cached(ttl="1h", backend=Tiered(far, max_entries=7, clock=clock), name="f")
    def f(x):
        return x

    with fresh_host(clock):
        assert [f(1), f(1), f(1)] == [1, 1, 1]
        stats = agentperf.handle(f).cache.near_stats()
        assert (stats.hits, stats.misses, stats.entries, stats.max_entries) == (2, 1, 1, 7)
        assert not stats.watched
        far.watchers[0].began()
        assert agentperf.handle(f).cache.near_stats().watched

        @agentperf.cached(ttl="1h")
        def plain(x):
            return x

        assert agentperf.handle(plain).cache.near_stats() is None


def test_it_is_told_from_the_first_use_on(far, near):
    """Nobody listens before, or after it is closed."""
    assert far.watchers == []
    near.get("key")
    near.get("key")
    (watcher,) = far.watchers
    near.set("key", b"1")
    near.set("other", b"2")
    watcher.changed(["key"])
    assert (near.at_hand("key"), near.at_hand("other")) == (None, b"2")
    watcher.changed(None)
    assert near.at_hand("other") is None
    near.close()
    assert far.watchers == []
    near.set("key", b"1")
    assert len(far.watchers) == 1
    watcher.changed(None)
    watcher.ended(OSError())
    assert near.at_hand("key") == b"1"  # that one is over


def test_cut_off_it_keeps_nothing_of_before(far, near, caplog):
    """It may have been changed meanwhile; the log says so once."""
    near.set("key", b"1")
    (watcher,) = far.watchers
    watcher.began()
    assert near.at_hand("key") is None
    near.set("key", b"1")
    watcher.ended(ConnectionError("secret"))
    watcher.ended(ConnectionError("secret"))
    assert near.at_hand("key") is None
    near.set("key", b"1")
    assert near.at_hand("key") == b"1"  # for as long as the bound says
    watcher.began()
    assert near.at_hand("key") is None
    assert [record.message for record in caplog.records] == [
        "cache.not_watched error=ConnectionError"
    ]


def test_it_ends_with_the_last_who_has_it(far, clock):
    """A backend that nobody holds is told nothing."""
    tiers = Tiered(far, clock=clock)
    tiers.sync.get("key")
    assert len(far.watchers) == 1
    del tiers
    gc.collect()
    assert far.watchers == []


def test_what_can_not_be_watched_is_kept_for_the_bound(far, near, monkeypatch):
    """No thread can be had: calls go on."""

    def none_left(watcher):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(far, "watch", none_left)
    near.set("key", b"1")
    assert near.get("key") == b"1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_begins_anew(far, near):
    """The child has nothing near, and listens for itself."""
    near.set("key", b"1")
    child = os.fork()
    if not child:
        ok = near.at_hand("key") is None and near.get("key") == b"1" and len(far.watchers) == 2
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert near.at_hand("key") == b"1"


def test_a_late_answer_does_not_come_near(clock):
    """What was read before it was changed is given to who asked, and to nobody else."""
    reading, changed = threading.Event(), threading.Event()

    class Slow(Counting):
        def get_lasting(self, keys):
            found = super().get_lasting(keys)
            reading.set()
            assert changed.wait(10)
            return found

    slow = Slow(clock)
    MemoryBackend.set(slow, "key", b"old")
    near = Tiered(slow, clock=clock).sync
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(near.get, "key")
        assert reading.wait(10)
        slow.watchers[0].changed(["key"])
        changed.set()
        assert late.result(10) == b"old"
    assert near.at_hand("key") is None


def test_the_time_near_counts_from_the_question(clock):
    """An answer that was long on its way may be as old as the question."""

    class Slow(Counting):
        def get_lasting(self, keys):
            found = super().get_lasting(keys)
            clock.advance(3)
            return found

        def set(self, key, value, ttl=None):
            super().set(key, value, ttl)
            clock.advance(3)

    slow = Slow(clock)
    MemoryBackend.set(slow, "read", b"1")
    near = Tiered(slow, clock=clock).sync
    for key, work in {"read": near.get, "stored": lambda key: near.set(key, b"1")}.items():
        work(key)
        clock.advance(1.9)
        assert near.at_hand(key) == b"1"
        clock.advance(0.1)
        assert near.at_hand(key) is None


def test_while_the_far_one_is_out_of_order(far, clock):
    """What is near is given for as long as the bound says; then calls are computed."""
    computed = []

    @agentperf.cached(ttl="1h", backend=Tiered(far, clock=clock), name="f", tags="t")
    def f(x):
        computed.append(x)
        return x

    with fresh_host(clock), recorded() as log:
        f(1)
        f(2)
        far.failure = ConnectionError()
        with pytest.raises(BackendError):
            agentperf.handle(f).cache.invalidate(2)
        assert [f(1), f(1), f(2)] == [1, 1, 2]
        assert computed == [1, 2, 2]
        clock.advance(5)
        assert [f(1), f(1)] == [1, 1]
        assert computed == [1, 2, 2, 1, 1]
        assert len(log.of(agentperf.events.CacheBackendDown)) == 1
        far.failure = None
        clock.advance(10)
        assert [f(1), f(1)] == [1, 1]
        assert computed == [1, 2, 2, 1, 1]


def test_invalidation_by_tag_goes_through_both(far, clock):
    """The versions of tags are near too, and are replaced in both."""
    computed = []

    @agentperf.cached(ttl="1h", backend=Tiered(far, clock=clock), name="f", tags="t:{x}")
    def f(x):
        computed.append(x)
        return x

    with fresh_host(clock):
        f(1)
        asked = len(far.asked)
        f(1)
        assert len(far.asked) == asked
        agentperf.invalidate(tags="t:1")
        f(1)
        assert computed == [1, 1]
        MemoryBackend.set_many(far, new_versions(["t:1"], clock.wall()))  # another process
        f(1)
        assert computed == [1, 1]  # nobody told, and the bound isn't over
        clock.advance(5)
        f(1)
        assert computed == [1, 1, 1]
        MemoryBackend.set_many(far, new_versions(["t:1"], clock.wall()))
        far.watchers[0].changed(new_versions(["t:1"], clock.wall()))
        f(1)
        assert computed == [1, 1, 1, 1]


ADDRESSES = {
    "memory+redis://localhost/0": TieredAddress("redis://localhost/0"),
    "memory?near_ttl=2s+sqlite:a+b.db?max_bytes=1GB": TieredAddress(
        "sqlite:a+b.db?max_bytes=1GB", near_ttl=2.0
    ),
    "memory?max_entries=5&max_bytes=1MB+x": TieredAddress("x", max_entries=5, max_bytes=1_000_000),
    "memory": None,
    "sqlite:a+b": None,
    "memory-two+x": None,
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_addresses(text):
    """What stands before the + is the memory's, what comes after the far one's."""
    assert TieredAddress.read(text) == ADDRESSES[text]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("memory+", "an address"),
        ("memory?ttl=2s+redis://user:secret@host", "'ttl'"),
        ("memory?near_ttl=0s+redis://user:secret@host", "near_ttl"),
        ("memory?near_ttl=soon+redis://user:secret@host", "near_ttl"),
        ("memory?max_entries=none+redis://user:secret@host", "max_entries"),
        ("memory?max_bytes=-1+redis://user:secret@host", "max_bytes"),
    ],
)
def test_bad_addresses(text, said):
    """They are refused with an example, and without what may be secret."""
    with fresh_host() as host, pytest.raises(ConfigurationError, match=said) as caught:
        host.backend(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"near_ttl": 0}, {"max_entries": 0}, {"max_bytes": 0}, {"far": "redis://x"}]
)
def test_bad_options(options):
    """The error names the parameter."""
    far = options.pop("far", MemoryBackend())
    with pytest.raises(ConfigurationError, match=next(iter(options), "far backend")):
        Tiered(far, **options)


def test_by_address(tmp_path):
    """Text opens both; equal far addresses are one backend."""
    far = f"sqlite:{tmp_path / 'cache.db'}"
    with fresh_host() as host:
        tiers = host.backend(f"memory?max_entries=3+{far}")
        assert host.backend(f"memory?max_entries=3+{far}") is tiers
        tiers.sync.set("key", b"value")
        assert host.backend(far).sync.get("key") == b"value"
        assert tiers.near_stats().max_entries == 3
        assert isinstance(tiers.sync, CacheBackend)
