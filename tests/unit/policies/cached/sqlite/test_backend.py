"""Entries on disk: the contract, time, bounds, and who makes room."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agentperf._engine.sqlite import entries
from agentperf.policies.cached.sqlite import SqliteBackend
from agentperf.testing import FakeClock
from agentperf.testing.conformance import BackendConformance

SMALL = 256_000
LOG = 4_500_000


@pytest.fixture
def clock():
    """Time that the test moves."""
    return FakeClock()


@pytest.fixture
def make(tmp_path, clock):
    """Make backends on one file."""
    made = []

    def make(max_bytes=SMALL, name="cache.db"):
        made.append(SqliteBackend(tmp_path / name, max_bytes, clock))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


def rows(backend):
    """Count what is in the file, live or not."""
    with backend._pool.connection() as connection:
        return connection.execute("SELECT COUNT(*) FROM entries").fetchone()[0]


class TestConformance(BackendConformance):
    """The suite for backends, on a clock that is moved by hand."""

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path):
        self.file, self.clock = tmp_path / "cache.db", FakeClock()

    def make(self):
        """Make an empty one."""
        return SqliteBackend(self.file, clock=self.clock)

    def pass_time(self, seconds):
        """Move the clock."""
        self.clock.advance(seconds)


def test_entries_outlive_the_backend(make):
    """What one stored, the next one finds; its time to live goes on."""
    first = make()
    first.set("key", b"value", 60)
    first.close()
    assert make().get("key") == b"value"


def test_time_passes_while_nobody_is_there(make, clock):
    """An entry expires between two runs."""
    make().set("key", b"value", 60)
    clock.advance(60)
    assert make().get("key") is None


def test_a_clock_set_back_costs_only_misses(make, clock):
    """An entry from the future is taken as expired, and can be replaced."""
    backend = make()
    backend.set("key", b"value", 60)
    backend.set("endless", b"value")
    clock._now -= 3600
    assert backend.get("key") is None
    assert backend.get("endless") == b"value"
    assert backend.add("key", b"new", 60)
    assert backend.get("key") == b"new"
    clock.advance(60)
    assert backend.get("key") is None


@pytest.mark.parametrize("jump", [-7200, 3600])
def test_no_jump_makes_an_entry_live_longer(make, clock, jump):
    """Wherever the clock goes, an entry is never given out past its time."""
    backend = make()
    clock._now += jump
    backend.set("key", b"value", 60)
    clock._now -= jump
    clock.advance(60)
    assert backend.get("key") is None


def test_a_closed_backend_opens_again(make):
    """Closing lets go of the file; using it again is no error."""
    backend = make()
    backend.set("key", b"value")
    backend.close()
    assert backend.get("key") == b"value"


def test_many_in_one_step(make):
    """More keys than a statement takes parameters, and a failure in the middle undoes all."""
    backend = make(max_bytes="100MB")
    values = {f"key:{n}": b"%d" % n for n in range(1000)}
    backend.set_many(values)
    assert backend.get_many(f"key:{n}" for n in range(40_000)) == values
    with pytest.raises(Exception, match="type"):
        backend.set_many({"fresh": b"1", "bad": object()})
    assert backend.get("fresh") is None


def test_expired_entries_go_by_themselves(make, clock):
    """Every write takes some of them along, though nobody asks for them."""
    backend = make()
    for n in range(200):
        backend.set(f"old:{n}", b"x", 10)
    clock.advance(10)
    for n in range(20):
        backend.set(f"new:{n}", b"x", 10)
    assert rows(backend) == 20


def test_expired_entries_make_room_first(make, clock):
    """A full file loses what is expired before what is live."""
    backend = make()
    backend.set("live", b"x" * 1000)
    for n in range(500):
        backend.set(f"short:{n}", b"x" * 1000, 10)
        backend.get("live")
    clock.advance(10)
    backend.set("other", b"x" * 1000)
    for n in range(60):
        backend.set(f"more:{n}", b"x" * 1000)
    assert backend.get("live") is not None
    assert backend.get("other") is not None


def test_what_is_used_stays(make):
    """The entry that is asked for again and again outlives those that nobody asks for."""
    backend = make()
    backend.set("popular", b"x" * 2000)
    backend.set("forgotten", b"x" * 2000)
    for n in range(1000):
        assert backend.get("popular") is not None
        backend.set(f"fill:{n}", b"x" * 2000)
    assert backend.get("forgotten") is None


def test_reading_writes_nothing(make, tmp_path):
    """A hit, even of an entry that was never used before, leaves the file and its log alone."""
    backend = make()
    backend.set("key", b"value")
    with backend._pool.connection() as connection:
        before = connection.execute("PRAGMA data_version").fetchone()
    log = (tmp_path / "cache.db-wal").stat()
    reader = make()
    for _ in range(200):
        assert reader.get("key") == b"value"
        assert backend.get("key") == b"value"
    after = (tmp_path / "cache.db-wal").stat()
    assert (after.st_size, after.st_mtime_ns) == (log.st_size, log.st_mtime_ns)
    with backend._pool.connection() as connection:
        assert connection.execute("PRAGMA data_version").fetchone() == before


def test_what_is_too_large_is_not_kept(make):
    """It would push out everything else; what it would have replaced is gone all the same."""
    backend = make()
    backend.set("key", b"old")
    backend.set("key", b"x" * (SMALL // 4 + 1))
    assert backend.get("key") is None
    assert not backend.add("key", b"x" * SMALL)
    backend.set("key", b"x" * (SMALL // 4))
    assert backend.get("key") is not None


def test_a_smaller_bound_shrinks_the_file(make, tmp_path):
    """A file that grew under a larger bound keeps to the smaller one from the next write on."""
    large = make(max_bytes=4_000_000)
    for n in range(300):
        large.set(f"key:{n}", b"x" * 10_000)
    large.close()
    assert (tmp_path / "cache.db").stat().st_size > 2_000_000
    small = make()
    small.set("key", b"x")
    small.close()
    assert (tmp_path / "cache.db").stat().st_size <= SMALL
    assert small.get("key") == b"x"
    assert small.get("key:299") is not None


def test_clearing_gives_the_room_back(make, tmp_path):
    """The file becomes small when all is cleared."""
    backend = make(max_bytes=4_000_000)
    for n in range(300):
        backend.set(f"key:{n}", b"x" * 10_000)
    backend.clear()
    backend.close()
    assert (tmp_path / "cache.db").stat().st_size < 100_000


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=3), st.data())
@settings(max_examples=20)
def test_a_prefix_is_literal(tmp_path_factory, prefix, data):
    """Exactly the keys that begin with the prefix are cleared."""
    characters = st.characters(min_codepoint=33, max_codepoint=126)
    ends = data.draw(st.lists(st.text(characters, max_size=3), max_size=5))
    others = data.draw(st.lists(st.text(characters, min_size=1, max_size=4), max_size=5))
    keys = {prefix + end for end in ends} | set(others) | {prefix + "~~"}
    backend = SqliteBackend(tmp_path_factory.mktemp("prefix") / "cache.db")
    backend.set_many(dict.fromkeys(keys - {""}, b"x"))
    backend.clear(prefix)
    assert backend.get_many(keys).keys() == {k for k in keys - {""} if not k.startswith(prefix)}
    backend.close()


class Bounded(RuleBasedStateMachine):
    """Whatever is done, the file stays within its bound, and holds nothing that isn't true."""

    @initialize()
    def begin(self):
        """Begin with an empty file."""
        import tempfile
        from pathlib import Path

        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name, "cache.db")
        self.clock = FakeClock()
        self.backend = SqliteBackend(self.file, SMALL, self.clock)
        self.model: dict[str, tuple[bytes, float]] = {}

    def value(self, size, number):
        """Make a value of a size that differs from others."""
        return b"%d:" % number + b"x" * size

    @rule(
        keys=st.lists(st.integers(0, 40).map(str), min_size=1, max_size=30),
        size=st.sampled_from([0, 100, 5_000, 30_000, SMALL // 4, SMALL]),
        ttl=st.sampled_from([None, 5, 50]),
        number=st.integers(0, 9),
    )
    def store(self, keys, size, ttl, number):
        """Store several."""
        value = self.value(size, number)
        self.backend.set_many(dict.fromkeys(keys, value), ttl)
        until = float("inf") if ttl is None else self.clock.wall() + ttl
        self.model.update(dict.fromkeys(keys, (value, until)))

    @rule(key=st.integers(0, 40).map(str))
    def add(self, key):
        """Store where nothing is."""
        there = self.backend.get(key) is not None
        assert self.backend.add(key, b"added", 5) is not there
        if not there:
            self.model[key] = b"added", self.clock.wall() + 5

    @rule(key=st.integers(0, 40).map(str))
    def delete(self, key):
        """Remove one."""
        self.backend.delete(key)
        self.model.pop(key, None)

    @rule(seconds=st.sampled_from([1, 5, 60]))
    def wait(self, seconds):
        """Let time pass."""
        self.clock.advance(seconds)

    @rule(prefix=st.sampled_from(["", "1", "2"]))
    def clear(self, prefix):
        """Clear some."""
        self.backend.clear(prefix)
        self.model = {k: v for k, v in self.model.items() if not k.startswith(prefix)}

    @rule()
    def restart(self):
        """Close it and open it again."""
        self.backend.close()
        self.backend = SqliteBackend(self.file, SMALL, self.clock)

    @invariant()
    def what_is_found_is_true(self):
        """An entry may be lost, but what is there is the last that was stored, and in time."""
        for key, value in self.backend.get_many(str(n) for n in range(41)).items():
            stored, until = self.model[key]
            assert value == stored
            assert self.clock.wall() < until

    @invariant()
    def it_is_bounded(self):
        """Neither the file nor its log is larger than promised."""
        with self.backend._pool.connection() as connection:
            assert entries.pages(connection) * 4096 <= SMALL
        assert self.file.stat().st_size <= SMALL
        assert self.file.with_name("cache.db-wal").stat().st_size <= LOG

    def teardown(self):
        """Remove the file."""
        self.backend.close()
        self.folder.cleanup()


TestBounded = Bounded.TestCase
TestBounded.settings = settings(max_examples=30, stateful_step_count=25)
