"""A memory in front of a real server: the contract, two processes, and outages."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid

import pytest
from agentperf_redis import RedisBackend

import agentperf
from agentperf import handle
from agentperf.policies.cached.tiered.near import Near
from agentperf.testing import fresh_host
from agentperf.testing.conformance import BackendConformance
from tests.services import running

PATIENT = "socket_timeout=10&socket_connect_timeout=10&timeout=10"
PATIENCE = 20


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(request):
    """Run each kind of server."""
    with running(request.param) as service:
        yield service


@pytest.fixture
def address(server):
    """Return an address with a prefix of the test's own."""
    prefix = uuid.uuid4().hex
    return f"memory?near_ttl=60s+redis://127.0.0.1:{server.port}/0?prefix={prefix}:&{PATIENT}"


class OfBoth(BackendConformance):
    """The suite for backends, in a corner of a server of its own."""

    ttl = 0.3
    colour = "sync"

    @pytest.fixture(autouse=True)
    def _address(self, address):
        with fresh_host() as host:
            self.host = host
            self.address = address
            yield

    def make(self):
        """Make an empty one."""
        return getattr(self.host.backend(self.address), self.colour)


class TestBlocking(OfBoth):
    """For calls that block."""


class TestAsynchronous(OfBoth):
    """For calls that are awaited."""

    colour = "asynchronous"


del OfBoth

PROGRAM = """
import json, sys
import agentperf

@agentperf.cached(ttl="1h", backend=sys.argv[1], name="f", tags="t:{x}")
def f(x):
    global computed
    computed += 1
    return x

computed = 0
cache = agentperf.handle(f).cache
for line in sys.stdin:
    before = computed
    result = eval(line)
    print(json.dumps([result, computed - before]), flush=True)
"""


class Process:
    """Another process with the same cached function, which does what it is told."""

    def __init__(self, address):
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, expression):
        """Return the value of an expression there, and how often `f` was computed for it."""
        self._process.stdin.write(f"{expression}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        """End it."""
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()


@pytest.fixture
def processes(address):
    """Two processes that are told of each other's changes."""
    both = Process(address), Process(address)
    for process in both:
        process("f(0)")
        eventually(lambda process=process: process("cache.near_stats().watched")[0])
    yield both
    for process in both:
        process.close()


def eventually(condition):
    """Wait for something; return how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < PATIENCE, "it never happened"
    return time.monotonic() - began


def settled(process):
    """Call until it is near: what the process stores itself is told to it too."""
    hits = "(lambda n: (f(1), cache.near_stats().hits > n)[1])(cache.near_stats().hits)"
    eventually(lambda: process(hits) == [True, 0])


@pytest.mark.parametrize(
    "removal", ["cache.invalidate(1)", "agentperf.invalidate(tags='t:1')", "cache.clear()"]
)
def test_what_one_removes_the_other_gives_no_more(processes, removal):
    """Long before its time near is over: it is told."""
    one, other = processes
    assert one("f(1)") == [1, 1]
    assert other("f(1)") == [1, 0]
    settled(other)
    one(removal)
    assert eventually(lambda: other("f(1)") == [1, 1]) < 5


def test_what_somebody_without_memory_removes(processes, address):
    """The server tells, not the one who removes: he need not know."""
    one, _ = processes
    one("f(1)")
    settled(one)
    RedisBackend(address.partition("+")[2]).clear()
    assert eventually(lambda: one("f(1)") == [1, 1]) < 5


@pytest.fixture
def heard(monkeypatch):
    """Return whether everything has been heard that was changed before: messages keep their order.

    A marker is changed by somebody who doesn't listen; who listens has heard of it, then.
    """
    keys = set()

    def forget(self, names, original=Near.forget):
        names = list(names)
        original(self, names)
        keys.update(names)

    monkeypatch.setattr(Near, "forget", forget)

    def everything(backend):
        marker = uuid.uuid4().hex
        backend.set(marker, b"1")
        eventually(lambda: marker in keys)

    return everything


def test_killed_frozen_and_back(heard):
    """What is near is given meanwhile, in the end only what the server has."""
    with running("valkey") as server, fresh_host():
        far = f"redis://127.0.0.1:{server.port}?socket_timeout=2&socket_connect_timeout=2&timeout=2"
        computed = []

        @agentperf.cached(ttl="1h", backend=f"memory?near_ttl=1h+{far}", name="f")
        def f(x):
            computed.append(x)
            return x

        def near():
            return handle(f).cache.near_stats()

        def frozen():
            """Freeze the server with `f(1)` near, and call it; tell whether that was in time."""
            heard(RedisBackend(far))
            eventually(lambda: (f(1), near().entries)[1] == 1)
            server.freeze()
            before = near().misses, len(computed)
            f(1)
            return before == (near().misses, len(computed))

        f(1)
        eventually(lambda: near().watched)
        for _ in range(5):
            if frozen():
                break
            # It took so long that its silence was noticed.
            eventually(lambda: not near().watched)
            server.thaw()
            eventually(lambda: near().watched)
        else:
            pytest.fail("what was near was not given while the server was frozen")
        eventually(lambda: not near().watched)
        eventually(lambda: near().entries == 0)
        before = len(computed)
        f(1)
        assert len(computed) == before + 1
        server.thaw()
        eventually(lambda: near().watched)
        server.kill()
        eventually(lambda: not near().watched)
        server.start()
        eventually(lambda: near().watched)
        eventually(lambda: (f(1), near().entries)[1] == 1)
