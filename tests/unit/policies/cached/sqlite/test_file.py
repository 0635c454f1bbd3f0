"""The file: whose it is, what may be in it, and what happens when it goes wrong."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import agentperf
from agentperf import BackendError, ConfigurationError
from agentperf.events import CacheBackendDown, CacheBackendUp
from agentperf.policies.cached.sqlite import SqliteBackend
from agentperf.testing import FakeClock, fresh_host


@pytest.fixture
def file(tmp_path):
    """Where the cache is."""
    return tmp_path / "cache.db"


@pytest.fixture
def clock():
    """Time that the test moves."""
    return FakeClock()


@pytest.fixture
def make(file, clock):
    """Make backends on one file."""
    with contextlib.ExitStack() as stack:

        def make(path=file):
            backend = SqliteBackend(path, clock=clock)
            stack.callback(backend.close)
            return backend

        yield make


def mode(path):
    """Return who may do what."""
    return stat.S_IMODE(path.stat().st_mode)


def filled(backend, count=200):
    """Fill a file with more than a page can hold."""
    backend.set_many({f"key:{n}": b"%d" % n * 500 for n in range(count)})
    return backend


def call_twice(host_clock, file):
    """Call a cached function twice; return the answers, the events and the figures."""
    seen = []

    @agentperf.cached(backend=f"sqlite:{file}", name="double")
    def double(x: int) -> int:
        return 2 * x

    with fresh_host(host_clock) as host:
        host.subscribe(seen.append, CacheBackendDown, CacheBackendUp)
        answers = [double(4), double(4)]
        stats = agentperf.handle(double).cache.stats()
        del host
    return answers, [type(event) for event in seen], stats


# The address


def test_a_call_says_what_is_wrong_with_the_address():
    """Whoever decorates sees it at the first call."""

    @agentperf.cached(backend="sqlite:")
    def double(x: int) -> int:
        return 2 * x

    with fresh_host(), pytest.raises(ConfigurationError, match="a cache on disk needs a file"):
        double(1)


# Its owner


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_only_the_owner_can_read_it(tmp_path, make):
    """File, log, index of the log and a new directory belong to their owner alone."""
    backend = make(tmp_path / "new" / "cache.db")
    backend.set("key", b"value")
    assert mode(tmp_path / "new") == 0o700
    found = sorted((tmp_path / "new").iterdir())
    assert [path.name for path in found] == ["cache.db", "cache.db-shm", "cache.db-wal"]
    assert [mode(path) for path in found] == [0o600] * 3


def test_making_a_backend_touches_nothing(tmp_path, make):
    """The file comes with the first use."""
    make(tmp_path / "new" / "cache.db")
    assert list(tmp_path.iterdir()) == []


# Damage


def damage_in_the_middle(file):
    """Overwrite everything but the first page."""
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def damage_the_first_page(file):
    """Overwrite what follows the header."""
    data = file.read_bytes()
    file.write_bytes(data[:100] + b"\xff" * 3996 + data[4096:])


def cut_off(file):
    """Keep a part of the first page."""
    file.write_bytes(file.read_bytes()[:1000])


def zeroed(file):
    """Leave a file of the same length with nothing in it."""
    file.write_bytes(bytes(file.stat().st_size))


@pytest.mark.parametrize("damage", [damage_in_the_middle, damage_the_first_page, cut_off, zeroed])
def test_a_damaged_file_is_moved_aside(file, make, damage, caplog):
    """It is kept under another name, a new one is begun, and that is told once."""
    filled(make()).close()
    damage(file)
    damaged = file.read_bytes()
    with caplog.at_level(logging.WARNING, "agentperf"):
        backend = make()
        for n in range(200):
            with contextlib.suppress(sqlite3.DatabaseError):
                backend.get(f"key:{n}")
        backend.set("key", b"value")
    assert backend.get("key") == b"value"
    assert file.with_name("cache.db.corrupt-1").read_bytes() == damaged
    assert not file.with_name("cache.db.corrupt-2").exists()
    assert len([r for r in caplog.records if "moved_aside" in r.getMessage()]) == 1


def test_a_second_damaged_file_gets_another_name(file, make):
    """What was moved aside before is kept."""
    for _ in range(2):
        filled(make()).close()
        zeroed(file)
        begun = make()
        begun.set("key", b"value")
        begun.close()
    assert file.with_name("cache.db.corrupt-1").exists()
    assert file.with_name("cache.db.corrupt-2").exists()


@pytest.mark.parametrize("damage", [damage_in_the_middle, damage_the_first_page, cut_off, zeroed])
def test_calls_go_on_with_a_damaged_file(file, clock, make, damage):
    """Whoever calls gets an answer, and soon a cached one again."""
    filled(make()).close()
    damage(file)
    assert call_twice(clock, file)[0] == [8, 8]
    answers, _, stats = call_twice(clock, file)
    assert answers == [8, 8]
    assert stats.hits


def test_an_empty_file_is_begun(file, make):
    """Nothing is in it that could be anybody's."""
    file.touch()
    make().set("key", b"value")
    assert make().get("key") == b"value"


# Other people's files


def other_database(file):
    """Make somebody else's database."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB)")
        connection.execute("INSERT INTO entries VALUES ('key', 'theirs')")
        connection.commit()


def other_log(file):
    """Make somebody else's database that keeps a log."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    other_database(file)


def other_mark(file):
    """Make an empty database with somebody else's mark."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA application_id = 17")


def other_text(file):
    """Write something else."""
    file.write_text("my notes\n" * 1000)


@pytest.mark.parametrize("write", [other_database, other_log, other_mark, other_text])
def test_a_file_of_somebody_else_is_left_alone(file, make, clock, write):
    """Using it is a clear error, calls go past it, and not a byte of it changes."""
    write(file)
    before = file.read_bytes()
    backend = make()
    for use in (lambda: backend.get("key"), lambda: backend.set("key", b"x"), backend.clear):
        with pytest.raises(BackendError, match=r"no file of agentperf's.*such as"):
            use()
    answers, events, stats = call_twice(clock, file)
    assert (answers, events, stats.hits) == ([8, 8], [CacheBackendDown], 0)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_newer_file_is_left_alone(file, make, clock):
    """What a later version wrote is neither read nor changed."""
    filled(make()).close()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 2")
    before = file.read_bytes()
    with pytest.raises(BackendError, match=r"another version of agentperf .its format is 2"):
        make().get("key:1")
    answers, events, _ = call_twice(clock, file)
    assert (answers, events) == ([8, 8], [CacheBackendDown])
    assert file.read_bytes() == before


def test_the_handle_says_why(file, clock):
    """Whoever asks for an entry itself is told, with the cause."""
    other_text(file)

    @agentperf.cached(backend=f"sqlite:{file}", name="double")
    def double(x: int) -> int:
        return 2 * x

    with fresh_host(clock), pytest.raises(BackendError) as caught:
        agentperf.handle(double).cache.peek(1)
    assert "no file of agentperf's" in str(caught.value)


def test_what_can_not_be_opened_is_not_tried_at_every_call(file, make, clock):
    """For a second nobody goes to the disk; then the file may have become good."""
    other_text(file)
    backend = make()
    with pytest.raises(BackendError):
        backend.get("key")
    file.unlink()
    with pytest.raises(BackendError, match="no file of agentperf's"):
        backend.get("key")
    clock.advance(1)
    assert backend.get("key") is None


# Files that go


def test_a_file_deleted_while_open(file, make, clock):
    """What is in it is lost, the next use makes a new one."""
    backend = filled(make())
    for path in file.parent.iterdir():
        path.unlink()
    backend.set("key", b"value")
    clock.advance(1)
    assert backend.get("key:1") is None
    backend.set("key", b"value")
    assert make().get("key") == b"value"


def test_only_the_database_deleted_while_open(file, make, clock):
    """A log that is left over belongs to no other file."""
    backend = filled(make())
    file.unlink()
    clock.advance(1)
    assert backend.get("key:1") is None
    backend.set("key", b"value")
    other = make()
    assert other.get("key") == b"value"
    with other._pool.connection() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_directory_deleted_while_open(tmp_path, make, clock):
    """It is made again."""
    folder = tmp_path / "new"
    backend = filled(make(folder / "cache.db"))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    clock.advance(1)
    backend.set("key", b"value")
    assert make(folder / "cache.db").get("key") == b"value"


# Where nothing can be written

CALLS = """
import agentperf, os, sys, tempfile

def cached_double(file):
    @agentperf.cached(backend="sqlite:" + file, name=file)
    def double(x: int) -> str:
        return "x" * 10_000 + str(x)

    for turn in range(2):
        for n in range(60):
            assert double(n).endswith(str(n))
    return agentperf.handle(double).cache.stats().hits

assert cached_double(tempfile.mkdtemp() + "/cache.db") == 60
BEFORE
print(cached_double(sys.argv[1]))
"""


def hits_of_120(file, *, before=""):
    """Run a program that makes 120 calls, every one twice; return how many were hits."""
    program = CALLS.replace("BEFORE", before)
    command = [sys.executable, "-W", "error", "-c", program, str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX")
def test_a_full_disk(file):
    """Calls succeed when no file can grow beyond a bound; what was stored is still found."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    assert 0 < hits_of_120(file, before=limit) < 60
    assert hits_of_120(file) > 60


def test_where_a_directory_should_be(tmp_path):
    """Calls succeed where the directory can't be made."""
    (tmp_path / "file").touch()
    assert hits_of_120(tmp_path / "file" / "cache.db") == 0


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_a_directory_that_can_only_be_read():
    """Calls succeed where neither file nor directory can be written."""
    nobody = "os.setgid(65534); os.setuid(65534)" if os.geteuid() == 0 else ""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "cache.db")
        filled(SqliteBackend(file)).close()
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        try:
            assert hits_of_120(file, before=nobody) == 0
        finally:
            Path(folder).chmod(0o700)
