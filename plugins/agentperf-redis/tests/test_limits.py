"""Limits that processes share on a real server, also one that is killed or frozen meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid

import anyio
import pytest
import redis

import agentperf
from agentperf import events
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.services import running

LATE = 3.0
"""Seconds that a slow machine may add to a bound before it counts as broken."""

PATIENT = "socket_timeout=10&socket_connect_timeout=10&timeout=10"

RATE, BURST = 50, 10

PROGRAM = """
import asyncio, json, sys, time
import agentperf

address, seconds, way = sys.argv[1], float(sys.argv[2]), sys.argv[3]
limit = agentperf.rate_limited("50/s", burst=10, store=address, name="upstream", max_wait=60)
taken = []

@limit
def block():
    taken.append(time.time())

@limit
async def await_():
    taken.append(time.time())

async def work(until):
    while time.time() < until:
        await await_()

async def main(until):
    await asyncio.gather(*(work(until) for _ in range(20)))

agentperf.handle(block).limiter.remaining()  # loads what is needed
until = time.time() + seconds
if way == "blocking":
    while time.time() < until:
        block()
else:
    asyncio.run(main(until))
print(json.dumps(taken))
"""


@pytest.fixture(params=["valkey", "redis"])
def server(request):
    """Run a server that the test may maltreat."""
    with running(request.param) as service:
        yield service


def address_of(server, options=PATIENT):
    """Return an address with a prefix of the test's own."""
    return f"redis://127.0.0.1:{server.port}/0?prefix={uuid.uuid4().hex}:&{options}"


def within_the_limit(taken):
    """Tell whether over no stretch of time more were let in than rate * time + burst.

    A call looks at the clock a moment after it was let in, and a busy machine makes moments long:
    how long, the first calls of a stretch may have been held up. So each stretch begins at the
    first of all calls.
    """
    return all(
        count <= BURST + 1 + RATE * (at - taken[0] + 0.25) for count, at in enumerate(taken, 1)
    )


def test_two_processes_never_exceed_one_limit(server):
    """One of them blocks, one awaits with twenty tasks; and what there is gets used."""
    address = address_of(server)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, address, "2", way], stdout=subprocess.PIPE, text=True
        )
        for way in ("blocking", "awaited")
    ]
    answers = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert all(answers)
    taken = sorted(answers[0] + answers[1])
    assert within_the_limit(taken)
    assert len(taken) >= RATE * 1.2


HOLDER = """
import sys, time
import agentperf

@agentperf.rate_limited(tokens="100/hour", cost=lambda: 100, store=sys.argv[1], name="tokens")
def hold():
    print("in", flush=True)
    time.sleep(600)

hold()
"""


def test_what_a_killed_process_took_comes_back_with_time(server):
    """It never said what it used, so it counts as used; time brings it back as it always does."""
    address = address_of(server)
    command = [sys.executable, "-c", HOLDER, address]
    with fresh_host(), subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "in\n"
        holder.kill()
        began = time.monotonic()
        work = agentperf.rate_limited(
            tokens="100/hour", cost=lambda: 50, store=address, name="tokens", max_wait=0
        )(lambda: "fine")
        with pytest.raises(agentperf.RateLimitExceeded) as refused:
            work()
        assert 1800 - (time.monotonic() - began) - LATE < refused.value.retry_after <= 1800


class Program:
    """A limited function of some colour, which can be called from a test."""

    def __init__(self, way, address, **options):
        self.loop = None if way == "blocking" else way
        policy = agentperf.rate_limited(
            "3/hour", store=address, name="upstream", on_limit="raise", **options
        )
        self.f = policy(self.blocking if self.loop is None else self.awaited)

    def blocking(self):
        """Answer."""
        return "in"

    async def awaited(self):
        """Answer."""
        return "in"

    def calls(self, times):
        """Call it in turn; return what came of each call, and the longest time that one took."""

        async def run():
            outcomes, longest = [], 0.0
            for _ in range(times):
                began = time.monotonic()
                try:
                    answer = self.f()
                    outcomes.append(answer if self.loop is None else await answer)
                except agentperf.StoreUnavailable:
                    outcomes.append("unavailable")
                except agentperf.RateLimitExceeded:
                    outcomes.append("refused")
                longest = max(longest, time.monotonic() - began)
            return outcomes, longest

        if self.loop is not None:
            return anyio.run(run, backend=self.loop)
        try:
            run().send(None)
        except StopIteration as stop:
            return stop.value


MEANWHILE = {
    "open": ["in"] * 6,
    "closed": ["unavailable"] * 6,
    "local": ["in"] * 3 + ["refused"] * 3,
}


@pytest.mark.parametrize("way", ["blocking", "asyncio", "trio"])
@pytest.mark.parametrize("mode", MEANWHILE)
@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_a_server_that_freezes(server, way, mode):
    """One call waits for it, for 0.2 s; when it is back, it rules again."""
    clock = FakeClock()
    with fresh_host(clock), recorded(events.StoreDown, events.StoreUp) as log:
        program = Program(way, address_of(server, ""), on_store_failure=mode)
        assert program.calls(2)[0] == ["in", "in"]
        server.freeze()
        outcomes, longest = program.calls(6)
        assert outcomes == MEANWHILE[mode]
        assert longest < 0.2 + LATE
        began = time.monotonic()
        program.calls(50)
        assert time.monotonic() - began < LATE  # 50 * 0.2 s, if each paid
        server.thaw()
        clock.advance(0.6)
        # What the frozen server was asked, it may have done when it woke up.
        assert program.calls(3)[0] in (["in", "refused", "refused"], ["refused"] * 3)
        assert log.names() == ["StoreDown", "StoreUp"]


@pytest.mark.parametrize("server", ["valkey"], indirect=True)
def test_a_server_that_is_killed_and_started_again(server):
    """It comes back empty, and the limit begins anew there."""
    clock = FakeClock()
    with fresh_host(clock), recorded(events.StoreDown, events.StoreUp) as log:
        program = Program("blocking", address_of(server, ""))
        assert program.calls(4)[0] == ["in"] * 3 + ["refused"]
        server.kill()
        assert program.calls(4)[0] == ["in"] * 3 + ["refused"]
        server.start()
        clock.advance(0.6)
        assert program.calls(4)[0] == ["in"] * 3 + ["refused"]
        assert log.names() == ["StoreDown", "StoreUp"]


def test_tokens_are_put_right_on_the_server(server):
    """By both colours."""
    with fresh_host():
        limit = agentperf.rate_limited(tokens="1000/day", store=address_of(server), name="tokens")

        @limit
        def block(prompt, max_tokens=400):
            return {"usage": {"prompt_tokens": 10, "completion_tokens": 90}}

        @limit
        async def await_(prompt, max_tokens=400):
            return {"usage": {"prompt_tokens": 10, "completion_tokens": 90}}

        async def both():
            await await_("hello")
            limiter = agentperf.handle(await_).limiter
            with anyio.fail_after(20):
                # Another task puts it right, at some moment.
                while (await limiter.aremaining())["tokens"] != 800:  # noqa: ASYNC110
                    await anyio.sleep(0.01)

        block("hello")
        assert agentperf.handle(block).limiter.remaining() == {"tokens": 900}
        anyio.run(both)


def test_a_pause_is_known_to_all_processes_for_as_long_as_it_lasts(server):
    """The record outlives the minute that records usually do."""
    address = address_of(server)
    limits = {"store": address, "name": "upstream", "on_limit": "raise"}

    def limited():
        return agentperf.rate_limited("60/min", **limits)(lambda: "in")

    with fresh_host(), recorded(events.LimitChanged) as log:
        agentperf.handle(limited()).limiter.learn({"retry-after": "3600"})
    assert [(event.new, round(event.pause, -2)) for event in log] == [(0.75, 3600.0)]
    for _ in range(2):
        with fresh_host():
            work = limited()
            outlook = agentperf.handle(work).limiter.peek()
            assert 3600 - 100 < outlook.wait <= 3600
            with pytest.raises(agentperf.RateLimitExceeded, match="a pause that the upstream"):
                work()
    with redis.Redis(port=server.port) as client:
        (key,) = client.keys(f"{address.partition('prefix=')[2].partition(':')[0]}:*")
        assert client.ttl(key) > 3600 - 100
