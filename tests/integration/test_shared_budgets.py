"""Budgets that real processes share: also when one is killed, or the server is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid

import anyio
import pytest

import agentperf
from agentperf import events
from agentperf.policies.budgeted.shared import account
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.services import running

PATIENT = "socket_timeout=10&socket_connect_timeout=10&timeout=10"

SPENDING = """
import asyncio, json, sys, threading, time
import agentperf

address, way, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
limits = json.loads(sys.argv[4])
done = []

@agentperf.timed("model")
def block(number):
    usd = (number * 37 + seed) % 30 / 1000
    agentperf.record(input_tokens=3, cost_usd=usd)
    done.append(usd)

@agentperf.timed("amodel")
async def await_(number):
    await asyncio.sleep(0)
    block.__wrapped__(number)

@agentperf.timed("agent")
async def agent(number):
    await await_(number)

def opened():
    return agentperf.budget(store=address, name="team", on_store_failure="closed", **limits)

def work():
    with opened():
        for number in range(100_000):
            try:
                block(number)
            except agentperf.BudgetExceeded:
                break
            except agentperf.StoreUnavailable:  # busy for once
                time.sleep(0.05)

async def awork():
    with opened():
        for number in range(100_000):
            try:
                await agent(number)
            except agentperf.BudgetExceeded:
                break
            except agentperf.StoreUnavailable:
                await asyncio.sleep(0.05)

async def main():
    await asyncio.gather(*(awork() for _ in range(4)))

sys.stdin.readline()
if way == "blocking":
    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
else:
    asyncio.run(main())
with opened() as team:
    while True:
        try:
            team.shared.spent()  # with this everything has been told
            break
        except Exception:
            time.sleep(0.05)
print(json.dumps(done))
"""

AT_ONCE = 12
DEAREST = 0.03


@pytest.fixture(params=["valkey", "sqlite"])
def address(request, tmp_path):
    """Give the address of a store that processes share."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path / 'budgets.db'}"
        return
    with running("valkey") as server:
        yield address_of(server)


def address_of(server, options=PATIENT):
    """Return an address with a prefix of the test's own."""
    return f"redis://127.0.0.1:{server.port}/0?prefix={uuid.uuid4().hex}:&{options}"


def spent_by_processes(address, **limits):
    """Have three processes spend a budget at once; return what each call spent, and what is known.

    Each makes four calls at once, in threads or tasks.
    """
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", SPENDING, address, way, str(seed), json.dumps(limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, way in enumerate(["blocking", "awaited", "awaited"])
    ]
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    done = [json.loads(worker.communicate(timeout=120)[0]) for worker in workers]
    with fresh_host(), agentperf.budget(store=address, name="team", **limits) as team:
        return done, team.shared.spent()


def test_processes_make_exactly_as_many_calls_as_are_allowed(address):
    """Pipelines around them count nothing, and nobody is counted twice."""
    done, spent = spent_by_processes(address, calls=150)
    assert sum(map(len, done)) == 150
    assert spent.calls == 150
    assert spent.tokens == 450


def test_processes_spend_hardly_more_money_than_is_allowed(address):
    """Beyond it goes what calls spend that were let in at the same time."""
    done, spent = spent_by_processes(address, usd=1.0)
    total = sum(map(sum, done))
    assert 1.0 <= total <= 1.0 + AT_ONCE * DEAREST
    assert spent.usd == pytest.approx(total, abs=1e-9)


HOLDING = """
import sys, time
import agentperf

@agentperf.timed("model")
def model(prompt):
    print("in", flush=True)
    time.sleep(600)

with agentperf.budget(tokens=1000, store=sys.argv[1], name="team"):
    model("word " * 600)
"""


def test_what_a_killed_process_kept_free_comes_back(address, monkeypatch):
    """After the lease, and not before; the call counts as made."""
    monkeypatch.setattr(account, "LEASE", 600.0)
    worker = subprocess.Popen(
        [sys.executable, "-c", HOLDING, address], stdout=subprocess.PIPE, text=True
    )
    try:
        assert worker.stdout.readline() == "in\n"
    finally:
        worker.kill()
        worker.communicate()

    @agentperf.timed("model")
    def model(prompt):
        return "in"

    with fresh_host(), agentperf.budget(tokens=1000, store=address, name="team") as team:
        assert team.shared.spent().held_tokens > 500
        with pytest.raises(agentperf.BudgetExceeded, match="the call needs about"):
            model("word " * 600)
        monkeypatch.setattr(account, "LEASE", 0.0)
        assert team.shared.spent().held_tokens == 0
        assert model("word " * 600) == "in"
        assert team.shared.spent().calls == 2


class Program:
    """A function of some colour in a shared budget, which can be called from a test."""

    def __init__(self, way, address, mode):
        self.loop = None if way == "blocking" else way
        policy = agentperf.budgeted(calls=6, store=address, name="team", on_store_failure=mode)
        self.f = policy(self.blocking if self.loop is None else self.awaited)
        self.shared = agentperf.handle(self.f).budget.shared

    def blocking(self):
        """Spend a token."""
        agentperf.record(input_tokens=1)

    async def awaited(self):
        """Spend a token."""
        agentperf.record(input_tokens=1)

    def calls(self, times):
        """Call it in turn; return what came of each call."""

        async def run():
            outcomes = []
            for _ in range(times):
                try:
                    going = self.f()
                    if self.loop is not None:
                        await going
                    outcomes.append("in")
                except agentperf.StoreUnavailable:
                    outcomes.append("unavailable")
                except agentperf.BudgetExceeded:
                    outcomes.append("refused")
            return outcomes

        if self.loop is not None:
            return anyio.run(run, backend=self.loop)
        try:
            run().send(None)
        except StopIteration as stop:
            return stop.value


MEANWHILE = {
    "open": ["in"] * 6,
    "closed": ["unavailable"] * 6,
    "local": ["in"] * 4 + ["refused"] * 2,
}


@pytest.mark.parametrize("way", ["blocking", "asyncio", "trio"])
@pytest.mark.parametrize("mode", MEANWHILE)
def test_a_server_that_freezes(way, mode):
    """What was spent meanwhile is told when it is back, once, whatever it did when it woke up."""
    clock = FakeClock()
    with (
        running("valkey") as server,
        fresh_host(clock),
        recorded(events.StoreDown, events.StoreUp) as log,
    ):
        program = Program(way, address_of(server, ""), mode)
        assert program.calls(2) == ["in", "in"]
        server.freeze()
        assert program.calls(6) == MEANWHILE[mode]
        made = 2 + MEANWHILE[mode].count("in")
        server.thaw()
        told = answer_of(program, clock)
        assert (told.calls, told.tokens) == (made, made)
        assert program.calls(5) == ["in"] * max(0, 6 - made) + ["refused"] * min(5, made - 1)
        assert log.names()[0] == "StoreDown"
        assert log.names()[-1] == "StoreUp"


def test_a_server_that_is_killed_comes_back_without_giving_money_back():
    """It has forgotten everything; those who know tell it."""
    clock = FakeClock()
    with running("valkey") as server, fresh_host(clock):
        program = Program("blocking", address_of(server, ""), "local")
        assert program.calls(3) == ["in"] * 3
        server.kill()
        assert program.calls(2) == ["in"] * 2
        server.start()
        told = answer_of(program, clock)
        assert (told.calls, told.tokens) == (5, 5)
        assert program.calls(2) == ["in", "refused"]


def answer_of(program, clock):
    """Ask the store what was spent, until it answers."""
    deadline = time.monotonic() + 20
    while True:
        clock.advance(11)
        try:
            return program.shared.spent()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
