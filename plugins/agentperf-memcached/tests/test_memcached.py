"""The contract and the promises of the memcached backend, on real servers."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import uuid

import anyio
import pytest
from agentperf_memcached import MemcachedBackend
from agentperf_memcached.backend import _expiry
from pymemcache import Client

import agentperf
from agentperf import events, handle
from agentperf.testing import FakeClock, fresh_host, recorded
from agentperf.testing.conformance import BackendConformance
from tests.callers import check_one_computes, check_suspended
from tests.services import babbling, running, told

PATIENT = "timeout=10"
LATE = 3.0
"""Seconds that a slow machine may add to a bound before it counts as broken."""


@pytest.fixture(scope="module")
def server():
    """Run a server that takes values of 1 MB and a little."""
    with running("memcached", "-I", "2m") as service:
        yield service


@pytest.fixture(scope="module")
def other():
    """Run a second one."""
    with running("memcached", "-I", "2m") as service:
        yield service


@pytest.fixture
def prefix():
    """Return a prefix of the test's own."""
    return f"{uuid.uuid4().hex}:"


@pytest.fixture
def address(server, prefix):
    """Return an address with it."""
    return f"memcached://127.0.0.1:{server.port}?prefix={prefix}&{PATIENT}"


class TestOneServer(BackendConformance):
    """The suite for backends, in a corner of a server of its own."""

    ttl = 2  # whole seconds, and up to one of them off

    @pytest.fixture(autouse=True)
    def _address(self, address):
        self.address = address

    def make(self):
        """Make an empty one."""
        return MemcachedBackend(self.address)


class TestBehindAMemory(TestOneServer):
    """The same with a memory in front of it."""

    def make(self):
        """Make an empty one."""
        return agentperf.Tiered(MemcachedBackend(self.address)).sync


class TestTwoServers(TestOneServer):
    """The same with keys that are spread."""

    @pytest.fixture(autouse=True)
    def _address(self, server, other, prefix):
        hosts = f"127.0.0.1:{server.port},127.0.0.1:{other.port}"
        self.address = f"memcached://{hosts}?prefix={prefix}&{PATIENT}"


def test_keys_are_spread_the_same_way_everywhere(server, other, prefix):
    """Every process looks for a key on the server that another put it on, about half on each."""
    both = f"memcached://127.0.0.1:{server.port},127.0.0.1:{other.port}?prefix={prefix}&{PATIENT}"
    values = {f"k{number}": b"%d" % number for number in range(100)}
    MemcachedBackend(both).set_many(values)
    assert MemcachedBackend(both).get_many(values) == values
    with contextlib.closing(Client(("127.0.0.1", server.port))) as looking:
        here = looking.get_many([prefix + key for key in values])
    assert 25 < len(here) < 75


def test_a_hit_is_one_round_trip(address, server):
    """The entry and the list of what was cleared come together."""

    @agentperf.cached(ttl="1h", backend=address, name="f")
    def f(x):
        return [x]

    with fresh_host(), contextlib.closing(Client(("127.0.0.1", server.port))) as looking:
        f(1)
        before = looking.stats()
        f(1)
        after = looking.stats()
    assert after[b"cmd_get"] - before[b"cmd_get"] == 2
    assert after[b"total_connections"] == before[b"total_connections"]
    assert after[b"cmd_set"] == before[b"cmd_set"]


def test_what_another_cleared(address):
    """A clear holds for all processes, for what was stored before it and for nothing else."""
    one, two = MemcachedBackend(address), MemcachedBackend(address)
    one.set_many({"a:1": b"old", "b:1": b"old"})
    two.clear("a:")
    assert one.get_many(["a:1", "b:1"]) == {"b:1": b"old"}
    assert one.add("a:1", b"new") is True
    assert two.get("a:1") == b"new"
    assert two.delete("a:1") is True
    one.set("a:1", b"old")
    two.clear()
    assert one.delete("a:1") is False
    assert one.replace("b:1", b"old", b"new") is False
    assert one.delete_if("b:1", b"old") is False


def test_a_lost_list_brings_nothing_back(address, server, prefix):
    """Where the server lost what was cleared, everything older is a miss."""
    backend = MemcachedBackend(address)
    backend.set("a", b"old")
    backend.clear()
    with contextlib.closing(Client(("127.0.0.1", server.port))) as looking:
        looking.delete(prefix, noreply=False)
        assert backend.get("a") is None
        backend.set("b", b"new")
        assert backend.get_many(["a", "b"]) == {"b": b"new"}
        looking.set(prefix, b"garbage", noreply=False)
        assert backend.get("b") is None
        backend.clear()
        backend.set("b", b"new")
        assert backend.get("b") == b"new"


def test_clearing_at_once(address):
    """No clear gets lost when several clear at once."""
    backend = MemcachedBackend(address)
    backend.set_many({f"{number}:key": b"old" for number in range(40)})

    def clear(first):
        for number in range(first, 40, 4):
            backend.clear(f"{number}:")

    threads = [threading.Thread(target=clear, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert backend.get_many(f"{number}:key" for number in range(40)) == {}


@pytest.mark.parametrize("size", [1024 * 1024, 10_000_000])
def test_too_large(size):
    """It is given to the caller, not stored, and told; the server counts as working."""
    with running("memcached") as server:
        calls = []

        @agentperf.cached(backend=f"memcached://127.0.0.1:{server.port}?{PATIENT}", name="f")
        def f(length):
            calls.append(length)
            return os.urandom(length)

        with fresh_host(), recorded() as log:
            assert len(f(size)) == len(f(size)) == size
            assert f(10) == f(10)
            stats = handle(f).cache.stats()
    assert calls == [size, size, 10]
    assert (stats.refused, stats.stored, stats.hits) == (2, 1, 1)
    assert log.of(events.CacheBackendDown) == []
    refused = {event.reason for event in log.of(events.CacheRefused)}
    assert refused == {"its backend can't store it"}


def test_no_room():
    """A server that throws nothing out refuses; calls go on."""
    with running("memcached", "-M", "-m", "4") as server:
        address = f"memcached://127.0.0.1:{server.port}?{PATIENT}"

        @agentperf.cached(backend=address, name="f")
        def f(number):
            return os.urandom(500_000)

        with fresh_host(), recorded(events.CacheBackendDown) as log:
            f(0)
            for number in range(300):
                f(number)
                if handle(f).cache.stats().refused:
                    break
            assert handle(f).cache.stats().refused
        assert log == []


def test_expiry():
    """Whole seconds, and a date where memcached would take them for one."""
    assert [_expiry(ttl) for ttl in (None, 0.1, 1, 1.5, 60 * 60 * 24 * 30)] == [
        0,
        1,
        1,
        2,
        2_592_000,
    ]
    assert abs(_expiry(60 * 60 * 24 * 31) - time.time() - 2_678_400) < 10


def test_more_than_a_month(address):
    """A long time to live is no date of long ago."""
    backend = MemcachedBackend(address)
    backend.set("key", b"value", 60 * 60 * 24 * 365)
    assert backend.get("key") == b"value"


CHILD = """
import sys, agentperf
@agentperf.cached(ttl="1h", backend=sys.argv[1], name="between processes")
def answer(question):
    print("computed")
    return {"answer": question}
print(answer("why?"))
"""


def test_processes_share(address):
    """What one process computed, the other finds."""
    command = [sys.executable, "-c", CHILD, address]
    first, second = (subprocess.check_output(command, text=True).split("\n") for _ in range(2))
    assert first == ["computed", "{'answer': 'why?'}", ""]
    assert second == ["{'answer': 'why?'}", ""]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_after_a_fork(address):
    """A child opens connections of its own; neither gets the other's answers."""
    backend = MemcachedBackend(address)
    values = {f"k{number}": b"%d" % number for number in range(50)}
    backend.set_many(values)

    def check():
        for _ in range(50):
            assert backend.get_many(values) == values

    child = multiprocessing.get_context("fork").Process(target=check)
    child.start()
    check()
    child.join(30)
    assert child.exitcode == 0


def test_more_threads_than_connections(address):
    """They wait for each other; no more connections are opened than allowed."""
    backend = MemcachedBackend(f"{address}&max_connections=2")
    errors = []

    def work(number):
        try:
            for turn in range(20):
                backend.set(f"k{number}", b"%d" % turn)
                assert backend.get(f"k{number}") == b"%d" % turn
        except BaseException as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(backend._pools[0]._idle) <= 2


class Program:
    """A cached function of some colour, on some loop, that can be called from a test."""

    def __init__(self, way, address):
        self.computed = 0
        self.loop = None if way == "blocking" else way
        policy = agentperf.cached(ttl="1h", backend=address, name="f")
        self.f = policy(self.blocking if self.loop is None else self.awaited)

    def blocking(self, x):
        """Compute."""
        self.computed += 1
        return {"x": x}

    async def awaited(self, x):
        """Compute."""
        return self.blocking(x)

    def calls(self, *arguments):
        """Call it in turn; return how long the first call took."""

        async def run():
            began = time.monotonic()
            first = None
            for x in arguments:
                answer = self.f(x)
                assert (answer if self.loop is None else await answer) == {"x": x}
                first = first or time.monotonic() - began
            return first

        if self.loop is not None:
            return anyio.run(run, backend=self.loop)
        try:
            run().send(None)
        except StopIteration as stop:
            return stop.value


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def way(request):
    """Return a way to call."""
    return request.param


@pytest.fixture
def clock():
    """Return the clock of a host of the test's own: pauses take no time."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


@pytest.fixture
def asked(monkeypatch):
    """Write down when the server is asked."""
    sent = []
    original = MemcachedBackend.get_many

    def spied(self, keys):
        sent.append("get")
        return original(self, keys)

    monkeypatch.setattr(MemcachedBackend, "get_many", spied)
    return sent


def test_outages(way, clock, asked):
    """Killed, started again, frozen, thawed: one call pays each time, and one event tells."""
    with running("memcached") as server, recorded() as log:
        program = Program(way, f"memcached://127.0.0.1:{server.port}")
        program.calls(1, 1)
        server.kill()
        asked.clear()
        program.calls(*[1] * 20)
        assert (program.computed, asked) == (21, ["get"])
        server.start()
        clock.advance(1)
        program.calls(1, 1)
        assert program.computed == 22
        assert told(log) == ["down", "up"]
        server.freeze()
        asked.clear()
        first = program.calls(*[1] * 20)
        assert 0.18 <= first < 0.2 + LATE
        assert (program.computed, asked) == (42, ["get"])
        server.thaw()
        clock.advance(10)
        program.calls(1, 1)
        assert program.computed == 42
    assert told(log) == ["down", "up"] * 2


@pytest.mark.parametrize(
    "answers",
    [
        [b"no such protocol\r\n"],
        [b"VALUE k 0 -7\r\n"],
        [b"\x00\xff" * 500],
        [b"VALUE k 0 1000000\r\nshort"],
        [b"ERROR\r\n"],
        [b""],
    ],
)
def test_nonsense(answers, clock, asked):
    """Whatever it answers, the caller gets an answer, and no later than the limit says."""
    with babbling(*answers) as port, recorded() as log:
        program = Program("blocking", f"memcached://127.0.0.1:{port}")
        first = program.calls(*range(10))
        assert (program.computed, asked) == (10, ["get"])
        assert first < 0.4 + LATE
    assert told(log) == ["down"]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("memcached:localhost", "goes on with //"),
        ("memcached://user:hunter2@localhost", "one:11211,two:11211"),
        ("memcached://one:11211,", "one:11211,two:11211"),
        ("memcached://localhost:port", "one:11211,two:11211"),
        ("memcached://localhost?prefx=a", "no option 'prefx'"),
        ("memcached://localhost?prefix=", "prefix="),
        ("memcached://localhost?prefix=a%20b", "prefix="),
        ("memcached://localhost?timeout=soon", "timeout takes a number"),
        ("memcached://localhost?max_connections=0", "max_connections takes a number"),
    ],
)
def test_bad_addresses(address, reason):
    """The error says what is wrong and shows a good one."""

    @agentperf.cached(backend=address, name="f")
    def f():
        return 1

    with fresh_host(), pytest.raises(agentperf.ConfigurationError, match=reason) as caught:
        f()
    assert "memcached://localhost:11211?prefix=myapp:" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_good_addresses():
    """A port may be left out, and so may everything but the word."""
    assert repr(MemcachedBackend("memcached")) == "<MemcachedBackend memcached://localhost:11211>"
    several = MemcachedBackend("memcached://one,[::1]:7?timeout=1&max_connections=3")
    assert repr(several) == "<MemcachedBackend memcached://one:11211,::1:7>"


def test_agentperf_finds_it():
    """It is installed with this checkout, and loads no client before it is used."""
    listed = {plugin.origin.plugin: plugin for plugin in agentperf.Host().plugins.listed()}
    assert listed["memcached"].state == "loaded"
    assert list(listed["memcached"].offers.values()) == [["memcached"]]
    code = "import agentperf as a, sys; a.Host().plugins.load(); print('pymemcache' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


def test_one_process_computes(address):
    """Several processes make the same call; the answer of one that was suspended is kept out."""
    check_one_computes(address, "blocking")
    check_suspended(address.replace("prefix=", "prefix=other"))


def test_a_late_answer_replaces_nothing(address, monkeypatch):
    """Whoever loses its guard after it looked stores nothing over what the next one stored."""
    backend, other = MemcachedBackend(address), MemcachedBackend(address)
    looked_up = backend._entries

    def overtaken(connection, keys, get):
        found = looked_up(connection, keys, get)
        other.set("guard", b"theirs")
        other.set("key", b"newer")
        return found

    fence = {"guard": "guard", "token": b"mine", "mark": b"done", "mark_ttl": 60}
    for before in (None, b"older"):
        if before is not None:
            backend.set("key", before)
        backend.set("guard", b"mine")
        with monkeypatch.context() as patched:
            patched.setattr(backend, "_entries", overtaken)
            assert backend.set_if("key", b"late", **fence) is False
        assert backend.get_many(["key", "guard"]) == {"key": b"newer", "guard": b"theirs"}
        backend.delete("key")
    backend.close()
    other.close()
