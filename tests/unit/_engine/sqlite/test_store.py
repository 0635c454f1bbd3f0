"""The store of limits in a file."""

from __future__ import annotations

import multiprocessing
import sqlite3

import pytest

from agentperf._engine.sqlite.store import SqliteStore
from agentperf.errors import BackendError, ConfigurationError
from agentperf.testing import FakeClock
from agentperf.testing.conformance import StoreConformance
from agentperf.testing.conformance.stores import COUNT, REMEMBER


class TestConformance(StoreConformance):
    """The suite for stores, on a clock that is moved by hand."""

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path):
        self.file, self.clock = tmp_path / "limits.db", FakeClock()

    def make(self):
        """Make an empty one."""
        return SqliteStore(self.file, self.clock)

    def pass_time(self, seconds):
        """Move the clock."""
        self.clock.advance(seconds)


def _count(path, rounds):
    store = SqliteStore(path)
    done = 0
    while done < rounds:
        try:
            store.decide(COUNT, "key", (1.0,), 60.0)
        except (BackendError, sqlite3.OperationalError):
            continue  # the machine was too busy for a second
        done += 1


def test_processes_decide_one_after_another(tmp_path):
    """Of what several processes count, nothing is lost."""
    path, context = tmp_path / "limits.db", multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count, args=(path, 200)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert SqliteStore(path).decide(COUNT, "key", (0.0,), 60.0) == (600, 600)


def test_others_are_waited_for_longer_than_by_a_cache(tmp_path):
    """A file that is locked for a moment isn't out of order, and nobody decides without it."""
    store = SqliteStore(tmp_path / "limits.db")
    with store._pool.connection() as connection:
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (1000,)


def test_records_that_expired_are_removed(tmp_path):
    """A file doesn't grow with keys that nobody asks for any more."""
    clock, path = FakeClock(), tmp_path / "limits.db"
    store = SqliteStore(path, clock)
    for number in range(50):
        store.decide(REMEMBER, f"key {number}", (1.0,), 10.0)
    clock.advance(11)
    for number in range(4):
        store.decide(REMEMBER, f"new {number}", (1.0,), 10.0)
    store.close()
    with sqlite3.connect(path) as looking:
        assert looking.execute("SELECT COUNT(*) FROM entries").fetchone() == (4,)


def test_it_needs_a_file():
    """An address without a path is refused."""
    with pytest.raises(ConfigurationError, match="needs a file"):
        SqliteStore("")
