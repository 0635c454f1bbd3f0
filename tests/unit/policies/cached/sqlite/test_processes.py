"""Several threads and processes on one file, some of them killed, some of them forked."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter

import pytest

import agentperf
from agentperf import BackendError
from agentperf.policies.cached.sqlite import SqliteBackend
from agentperf.testing import fresh_host
from agentperf.testing.conformance.expecting import at_once
from tests.callers import check_killed, check_one_computes, check_suspended

SMALL = 1_000_000

WHOLE = '''
import hashlib, random, sys
from agentperf.policies.cached.sqlite import SqliteBackend

def whole(key, number):
    """Make a value that tells whether it is complete, and whose it is."""
    body = key.encode() + b":" + bytes([number % 256]) * (number * 977 % 20_000)
    return hashlib.sha256(body).digest() + body

def is_whole(key, value):
    digest, body = value[:32], value[32:]
    return digest == hashlib.sha256(body).digest() and body.startswith(key.encode() + b":")

backend = SqliteBackend(sys.argv[1], int(sys.argv[2]))
chance = random.Random(sys.argv[3])
'''
WRITE_FOR_EVER = (
    WHOLE
    + """
print("ready", flush=True)
number = 0
while True:
    number += 1
    key = f"key:{chance.randrange(100)}"
    match chance.randrange(6):
        case 0: backend.delete(key)
        case 1: backend.set_many({f"{key}:{n}": whole(f"{key}:{n}", number + n) for n in range(5)})
        case 2 if number % 50 == 0: backend.clear("key:1")
        case 3: backend.add(key, whole(key, number), 0.01)
        case _: backend.set(key, whole(key, number), chance.choice([None, 0.01, 60]))
"""
)
WORK_A_WHILE = (
    WHOLE
    + """
sys.stdin.readline()
found = failed = 0
for turn in range(int(sys.argv[4])):
    key = f"key:{chance.randrange(200)}"
    try:
        if (value := backend.get(key)) is not None:
            assert is_whole(key, value), key
            found += 1
        if chance.random() < 0.3:
            backend.set(key, whole(key, turn), 60)
        if backend.add(f"race:{turn}", sys.argv[3].encode()):
            print("won", turn)
    except Exception as error:
        assert "busy" in str(error) or "locked" in str(error), error
        failed += 1
print("found", found)
print("failed", failed)
"""
)

scope: dict = {}
exec(WHOLE.partition("backend =")[0], scope)  # noqa: S102 - the same functions as the programs
is_whole = scope["is_whole"]


def started(program, *arguments, **options):
    """Start a Python program in a process of its own."""
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, **options)


def integrity(file):
    """Have SQLite check every page, as a fresh process would find the file."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall()


def content(file):
    """Return everything in the file, past the backend."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT key, value FROM entries").fetchall()


def stored(backend, key, value):
    """Store a value, as soon as no other writer is in the way."""
    for _ in range(50):
        with contextlib.suppress(BackendError, sqlite3.OperationalError):
            return backend.set(key, value)
    raise AssertionError("busy for ten seconds")


def test_processes_at_once(tmp_path):
    """Every value is complete, one alone wins each race, nobody fails but for a while."""
    file, turns, count = tmp_path / "cache.db", 400, 4
    workers = [
        started(WORK_A_WHILE, file, 64_000_000, n, turns, stdin=subprocess.PIPE)
        for n in range(count)
    ]
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = [worker.communicate(timeout=50)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * count
    told = [list(zip(words[::2], map(int, words[1::2]), strict=True)) for words in said]
    won = Counter(turn for words in told for name, turn in words if name == "won")
    failed = sum(n for words in told for name, n in words if name == "failed")
    assert max(won.values()) == 1
    assert len(won) >= turns - failed
    assert failed < turns * count / 10
    assert all(n > 0 for words in told for name, n in words if name == "found")
    assert integrity(file) == [("ok",)]


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_killed_at_any_moment(tmp_path):
    """However often writers are killed, the file is sound and every value in it complete."""
    file, chance = tmp_path / "cache.db", random.Random(5)
    for turn in range(6):
        writers = [started(WRITE_FOR_EVER, file, SMALL, (turn, n)) for n in range(2)]
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        with contextlib.suppress(subprocess.TimeoutExpired):  # a random moment, not a wait
            writers[0].wait(chance.random() * 0.2)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
        for writer in writers:
            writer.communicate()
            assert writer.returncode == -signal.SIGKILL
        survivor = SqliteBackend(file, SMALL)
        survivor.set("alive", b"yes")
        assert survivor.get("alive") == b"yes"
        survivor.close()
        assert integrity(file) == [("ok",)]
        entries = content(file)
        assert len(entries) > 1
        assert [key for key, value in entries if key != "alive" and not is_whole(key, value)] == []
        assert file.stat().st_size <= SMALL
    assert list(tmp_path.glob("*.corrupt-*")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_killed_while_the_file_is_made(tmp_path):
    """Whatever a process leaves of a file it was about to make, the next one can use it."""
    chance = random.Random(6)
    program = WHOLE.replace("backend =", 'print("ready", flush=True)\nbackend =')
    program += 'backend.set("key", whole("key", 1))\n'
    for turn in range(6):
        file = tmp_path / f"{turn}.db"
        maker = started(program, file, SMALL, turn)
        maker.stdout.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            maker.wait(chance.random() * 0.01)
        maker.kill()
        maker.communicate()
        backend = SqliteBackend(file, SMALL)
        backend.set("alive", b"yes")
        assert backend.get("alive") == b"yes"
        backend.close()
        assert integrity(file) == [("ok",)]


def test_threads_at_once(tmp_path):
    """Threads read, write and race without failing, and leave no connection behind."""
    backend, won = SqliteBackend(tmp_path / "cache.db", SMALL), []

    def work(number):
        for turn in range(100):
            backend.set(f"{number}:{turn % 10}", b"%d" % turn * 100, 60)
            found = backend.get(f"{(number + 1) % 8}:{turn % 10}")
            assert found is None or len(set(found)) <= 2
            if backend.add(f"race:{turn}", b"x"):
                won.append(turn)

    at_once(8, work)
    assert sorted(won) == list(range(100))
    assert len(backend._pool._idle) <= 8
    assert backend._pool._lent == 0
    backend.close()
    assert backend._pool._idle == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forks_between_writes_of_other_threads(tmp_path):
    """A child opens the file anew, whatever the threads of its parent were doing."""
    backend, ended = SqliteBackend(tmp_path / "cache.db", 64_000_000), threading.Event()

    def write():
        number = 0
        while not ended.is_set():
            number += 1
            with contextlib.suppress(BackendError, sqlite3.OperationalError):  # it may be busy
                backend.set(f"parent:{number}", b"x" * 1000)
            backend.get(f"parent:{number}")

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for child in range(10):
            pid = os.fork()
            if pid == 0:
                status = 1
                with contextlib.suppress(BaseException):
                    assert backend._pool._idle == []
                    for n in range(20):
                        stored(backend, f"child:{child}:{n}", b"x" * 1000)
                    backend.close()
                    status = 0
                os._exit(status)
            assert os.waitpid(pid, 0)[1] == 0
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert len(backend.get_many(f"child:{c}:{n}" for c in range(10) for n in range(20))) == 200
    backend.close()
    assert integrity(tmp_path / "cache.db") == [("ok",)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_cached_function_goes_on_in_a_child(tmp_path):
    """Parent and child see each other's answers."""

    @agentperf.cached(backend=f"sqlite:{tmp_path / 'cache.db'}", name="double")
    def double(x: int) -> tuple[int, int]:
        return 2 * x, os.getpid()

    with fresh_host():
        first = double(1)
        pid = os.fork()
        if pid == 0:
            os._exit(0 if double(1) == first and double(2)[1] == os.getpid() else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert double(2) == (4, pid)


@pytest.mark.anyio
async def test_on_an_event_loop(tmp_path):
    """A function that is awaited and one that blocks see each other's answers."""
    profiles = agentperf.cached(backend=f"sqlite:{tmp_path / 'cache.db'}", name="profiles")

    @profiles
    async def profile(user: str) -> str:
        return f"profile of {user}"

    @profiles
    def blocking(user: str) -> str:
        raise AssertionError(user)

    with fresh_host():
        assert await profile("anna") == "profile of anna"
        assert blocking("anna") == "profile of anna"
        assert await agentperf.handle(profile).cache.ainvalidate("anna")
        with pytest.raises(AssertionError):
            blocking("anna")


@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
def test_one_process_computes(tmp_path, colour):
    """Several processes make the same call."""
    check_one_computes(f"sqlite:{tmp_path}/cache.db", colour)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_the_process_that_computes_is_killed_or_suspended(tmp_path):
    """The next one takes over within the lease; a late answer is kept out."""
    check_killed(f"sqlite:{tmp_path}/killed.db", 3.0)
    check_suspended(f"sqlite:{tmp_path}/suspended.db")


FORKING = """
import os, sys, threading, time
import agentperf
from agentperf.policies.cached.backed import lease

lease.LASTS = 2.0
computes = threading.Event()

@agentperf.cached(ttl="1h", backend=f"sqlite:{sys.argv[1]}")
def f(x):
    computes.set()
    time.sleep(4)
    return x

busy = threading.Thread(target=f, args=(1,))
busy.start()
computes.wait()  # its lease is being renewed by now
child = os.fork()
if not child:
    f(2)
    os._exit(0 if agentperf.handle(f).cache.stats().stored == 1 else 1)
busy.join()
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), agentperf.handle(f).cache.stats().stored)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are POSIX")
def test_leases_are_renewed_in_a_forked_process(tmp_path):
    """The child has no thread of the parent's, and makes one of its own."""
    run = subprocess.run(
        [sys.executable, "-c", FORKING, str(tmp_path / "cache.db")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.split() == ["0", "1"]
