"""The server tells of every change, whoever made it, and a cut is told too."""

from __future__ import annotations

import queue
import threading
import time
import uuid

import pytest
import redis
from agentperf_redis import RedisBackend

from tests.services import babbling, running

PATIENCE = 20


class Notes:
    """Writes down what is told."""

    def __init__(self):
        self.told = queue.Queue()

    def began(self):
        """Note it."""
        self.told.put("began")

    def changed(self, keys):
        """Note it."""
        self.told.put(None if keys is None else sorted(keys))

    def ended(self, error):
        """Note it."""
        self.told.put(error)

    def next(self):
        """Wait for the next note."""
        return self.told.get(timeout=PATIENCE)

    def until(self, wanted):
        """Wait for a note like that."""
        while (told := self.next()) != wanted:
            pass
        return told


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(request):
    """Run each kind of server."""
    with running(request.param) as service:
        yield service


@pytest.fixture
def address(server):
    """Return an address with a prefix of the test's own."""
    return f"redis://127.0.0.1:{server.port}/0?prefix={uuid.uuid4().hex}:"


@pytest.fixture
def backend(address):
    """Return a backend that is watched by nobody."""
    backend = RedisBackend(address)
    yield backend
    backend.close()


@pytest.fixture
def notes(backend):
    """Return the notes of somebody who watches."""
    notes = Notes()
    end = backend.watch(notes)
    assert notes.next() == "began"
    yield notes
    end()


def test_every_change_is_told(backend, notes, server, address):
    """By us, by others, and by the server, which lets entries expire."""
    prefix = address.rpartition("=")[2]
    with redis.Redis(port=server.port) as other:
        backend.set("a", b"1")
        assert notes.next() == ["a"]
        other.set(f"{prefix}a", b"2")
        assert notes.next() == ["a"]
        backend.delete("a")
        assert notes.next() == ["a"]
        backend.add("b", b"1", 0.05)
        assert [notes.next(), notes.next()] == [["b"], ["b"]]
        backend.set_many({"c": b"1", "d": b"1"})
        seen = notes.next()
        while seen != ["c", "d"]:
            seen = sorted({*seen, *notes.next()})
        backend.clear("c")
        assert notes.next() == ["c"]
        other.set("somebody's", b"1")
        other.flushall()
        assert notes.next() is None


def test_nonsense_on_its_channel_does_no_harm(backend, notes, server):
    """Anybody may publish there."""
    with redis.Redis(port=server.port) as other:
        for nonsense in (b"", b"\xff\xfe", b"somebody's", b"*1"):
            other.publish("__redis__:invalidate", nonsense)
        backend.set("a", b"1")
        assert notes.next() == ["a"]


def test_it_ends(backend, server):
    """Nothing is told any more, and the thread is over."""
    notes = Notes()
    before = threading.active_count()
    end = backend.watch(notes)
    assert notes.next() == "began"
    end()
    backend.set("a", b"1")
    deadline = time.monotonic() + PATIENCE
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [note for note in list(notes.told.queue) if note != ["a"]] == []


def test_cut_off_and_back():
    """Killed, it is told at once; frozen, within seconds; then it begins again."""
    with running("valkey") as server:
        backend, notes = RedisBackend(f"redis://127.0.0.1:{server.port}"), Notes()
        end = backend.watch(notes)
        assert notes.next() == "began"
        server.kill()
        assert isinstance(notes.next(), redis.RedisError)
        server.start()
        notes.until("began")
        server.freeze()
        assert isinstance(notes.next(), redis.RedisError)
        server.thaw()
        notes.until("began")
        backend.set("a", b"1")
        assert notes.next() == ["a"]
        end()


@pytest.mark.parametrize("answers", [[b"-ERR unknown command\r\n"], [b"nonsense\r\n"], [b""]])
def test_a_server_that_can_not_tell(answers):
    """It is told so, and nothing else."""
    with babbling(*answers) as port:
        notes = Notes()
        end = RedisBackend(f"redis://127.0.0.1:{port}").watch(notes)
        assert isinstance(notes.next(), Exception)
        end()
