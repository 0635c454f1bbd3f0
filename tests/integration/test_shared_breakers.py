"""One breaker for several processes, over a real server and over a file."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import uuid

import pytest

import agentperf
from agentperf import events
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.services import running

LATE = 3.0
"""Seconds that a slow machine may add to a bound before it counts as broken."""

PATIENT = "socket_timeout=10&socket_connect_timeout=10&timeout=10"

PROGRAM = """
import asyncio, dataclasses, json, sys, time
import agentperf

address, way, open_for = sys.argv[1:]
policy = agentperf.circuit_breaker(
    store=address, name="upstream", minimum_calls=6, probes=1, open_for=open_for
)
rules = dataclasses.replace(policy.rules, half_open_for=20.0)  # a minute is long for a test
policy = dataclasses.replace(policy, rules=rules)

def work(command):
    if command == "fail":
        raise ConnectionError
    if command == "hold":
        print(json.dumps("held"), flush=True)
        time.sleep(600)
    return "in"

@policy
def block(command):
    return work(command)

@policy
async def await_(command):
    return work(command)

async def once(command):
    answer = await await_(command)
    await asyncio.sleep(0.02)  # for what is told aside
    return answer

loop = asyncio.new_event_loop()

def call(command):
    try:
        return block(command) if way == "blocking" else loop.run_until_complete(once(command))
    except Exception as error:
        return type(error).__name__

def until(outcome, pause):
    deadline = time.time() + 60
    while call("work") != outcome:
        if time.time() > deadline:
            sys.exit(f"never {outcome}")
        time.sleep(pause)
    return time.time()

for line in sys.stdin:
    command = line.strip()
    if command == "until refused":
        print(json.dumps("watching"), flush=True)
        answer = until("CircuitOpen", 0.005)
    elif command == "until let in":
        answer = until("in", 0.05)
    elif command == "open":
        for _ in range(12):
            if call("fail") == "CircuitOpen":
                break
        answer = time.time()
    elif command == "state":
        answer = agentperf.handle(block).breaker.state()
    elif command in ("trip", "reset"):
        answer = getattr(agentperf.handle(block).breaker, command)()
    else:
        answer = call(command)
    print(json.dumps(answer), flush=True)
"""


class Worker:
    """A process that does what it is told."""

    def __init__(self, address, way, open_for):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, address, way, open_for],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, command):
        """Tell it what to do."""
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def answer(self):
        """Wait for its next answer."""
        return json.loads(self.process.stdout.readline())

    def do(self, command):
        """Tell it what to do, and wait until it has."""
        self.begin(command)
        return self.answer()


@pytest.fixture(params=["sqlite", "valkey"])
def address(request, tmp_path):
    """Return where the processes keep their breaker."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path / 'circuits.db'}"
        return
    with running("valkey") as server:
        yield f"redis://127.0.0.1:{server.port}/0?{PATIENT}"


@pytest.fixture
def start(address):
    """Start processes that end with the test."""
    with contextlib.ExitStack() as stack:

        def start(way="blocking", open_for="1h"):
            worker = Worker(address, way, open_for)
            stack.callback(worker.process.communicate)
            stack.callback(worker.process.kill)
            return worker

        yield start


def eventually(condition, seconds=60):
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def test_all_see_that_one_of_them_opened_it(start):
    """Each way of calling; within a second where the machine is quick."""
    one, others = start(), [start("blocking"), start("awaited")]
    for worker in (one, *others):
        assert worker.do("work") == "in"
    for other in others:
        other.begin("until refused")
        assert other.answer() == "watching"
    opened = one.do("open")
    seen = [other.answer() for other in others]
    later = [round(at - opened, 3) for at in seen]
    sys.stdout.write(f"seconds until others saw it: {later}\n")  # pytest -rP shows it
    assert max(later) < 10


def test_few_calls_of_each_open_it_together(start):
    """Two failures of each of three processes."""
    workers = [start() for _ in range(3)]
    for worker in workers:
        assert worker.do("work") == "in"
    outcomes = set()
    for _ in range(4):
        outcomes |= {worker.do("fail") for worker in workers}
        time.sleep(0.6)
    assert "CircuitOpen" in outcomes
    assert {worker.do("state") for worker in workers} == {"open"}


def test_a_probe_whose_holder_was_killed_is_made_again(start):
    """By another process, after a while; nobody else may probe meanwhile."""
    one, other = (start(open_for="500ms") for _ in range(2))
    assert other.do("work") == "in"
    one.do("open")
    eventually(lambda: one.do("hold") == "held")
    assert other.do("work") == "CircuitOpen"
    one.process.kill()
    assert other.do("until let in") > 0
    assert other.do("state") == "closed"


def test_by_hand_from_another_process(start):
    """An operator's program closes it for all."""
    one, operator = start("awaited"), start()
    assert one.do("work") == "in"
    operator.do("trip")
    one.begin("until refused")
    assert [one.answer(), isinstance(one.answer(), float)] == ["watching", True]
    operator.do("reset")
    assert operator.do("state") == "closed"
    assert one.do("until let in") > 0


# -- a server that is out of order


class Program:
    """A function behind a breaker on a server, and what came of its calls."""

    def __init__(self, server, **options):
        address = f"redis://127.0.0.1:{server.port}/0?prefix={uuid.uuid4().hex}:"

        @agentperf.circuit_breaker(
            store=address, name="upstream", minimum_calls=4, probes=1, **options
        )
        def f(error=None):
            if error is not None:
                raise error
            return "in"

        self.f = f

    def calls(self, times, error=None):
        """Call it; return what came of each call, and the longest time that one took."""
        outcomes, longest = [], 0.0
        for _ in range(times):
            began = time.monotonic()
            try:
                outcomes.append(self.f(error))
            except Exception as caught:  # noqa: BLE001 - it is the outcome
                outcomes.append(type(caught).__name__)
            longest = max(longest, time.monotonic() - began)
        return outcomes, longest


@pytest.fixture
def server():
    """Run a server that the test may maltreat."""
    with running("valkey") as service:
        yield service


MEANWHILE = {
    "local": ["ConnectionError"] * 2 + ["CircuitOpen"] * 4,
    "open": ["ConnectionError"] * 6,
    "closed": ["StoreUnavailable"] * 6,
}


@pytest.mark.parametrize("mode", MEANWHILE)
def test_a_server_that_freezes(server, mode):
    """One call waits for it; when it is back it is told, and rules again."""
    clock = FakeClock()
    with fresh_host(clock), recorded(events.StoreDown, events.StoreUp) as log:
        program = Program(server, on_store_failure=mode)
        assert program.calls(2)[0] == ["in", "in"]
        server.freeze()
        clock.advance(0.6)
        outcomes, longest = program.calls(6, ConnectionError())
        assert outcomes == MEANWHILE[mode]
        assert longest < 0.4 + LATE
        began = time.monotonic()
        program.calls(50)
        assert time.monotonic() - began < LATE  # 50 * 0.2 s, if each paid
        server.thaw()
        clock.advance(20)
        program.calls(1)
        assert agentperf.handle(program.f).breaker.state() in ("open", "closed")
        assert log.names() == ["StoreDown", "StoreUp"]


def test_a_server_that_is_killed_and_started_again(server):
    """It comes back empty, and is told how the circuit stands."""
    clock = FakeClock()
    with fresh_host(clock), recorded(events.StoreDown, events.StoreUp) as log:
        program = Program(server)
        program.calls(6, ConnectionError())
        server.kill()
        clock.advance(0.6)
        assert program.calls(3)[0] == ["CircuitOpen"] * 3
        server.start()
        clock.advance(0.6)
        assert program.calls(3)[0] == ["CircuitOpen"] * 3
        assert agentperf.handle(program.f).breaker.state() == "open"
        assert log.names() == ["StoreDown", "StoreUp"]
