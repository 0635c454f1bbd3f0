"""A process forks while its threads are in the midst of guarded calls: the child can call too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import running

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

PROGRAM = """
import asyncio, contextvars, faulthandler, os, sys, threading, time, warnings
import agentperf
from agentperf import handle

warnings.simplefilter("ignore")
address, forks = sys.argv[1], int(sys.argv[2])
REFUSALS = agentperf.CallRejected, agentperf.CallTimeout

def work():
    return "fine"

async def awork():
    return "fine"

def failing():
    raise ConnectionError

def spender():
    agentperf.record(input_tokens=1)
    return "fine"

GUARDS = {
    "rate_limited": agentperf.rate_limited("2000/s", concurrency=2, max_wait=0)(work),
    "rate_limited, waiting": agentperf.rate_limited(concurrency=1, max_wait=5)(work),
    "rate_limited, keys": agentperf.rate_limited(
        "100/s", by=lambda: time.time_ns() % 2000, max_wait=0)(work),
    "rate_limited, shared": agentperf.rate_limited(
        "1_000_000/s", store=address, name="shared", max_wait=0)(work),
    "circuit_breaker, shared": agentperf.circuit_breaker(store=address, name="circuit")(work),
    "budgeted, shared": agentperf.timed(
        agentperf.budgeted(tokens=10**9, store=address, name="purse")(spender)),
    "circuit_breaker": agentperf.circuit_breaker(window=5, minimum_calls=5)(work),
    "circuit_breaker, open": agentperf.fallback("fine")(
        agentperf.circuit_breaker(window=5, minimum_calls=5, open_for=0.001)(failing)),
    "bulkhead": agentperf.bulkhead(2)(work),
    "bulkhead, adaptive": agentperf.bulkhead(2, adaptive=True)(work),
    "timeout": agentperf.timeout(5)(work),
    "retry": agentperf.fallback("fine")(agentperf.retry(attempts=2, backoff=0.0001)(failing)),
    "budgeted": agentperf.stack(agentperf.timed(), agentperf.budgeted(tokens=10**9))(spender),
    "budget around": agentperf.timed(spender),
}
AWAITED = {
    "hedged": agentperf.hedged(0.0001)(awork),
    "rate_limited": agentperf.rate_limited(concurrency=2)(awork),
    "rate_limited, shared": agentperf.rate_limited(
        "1_000_000/s", store=address, name="shared", max_wait=0)(awork),
    "bulkhead": agentperf.bulkhead(2)(awork),
    "circuit_breaker, shared": agentperf.circuit_breaker(store=address, name="circuit")(awork),
    "budget around": agentperf.timed(awork),
}
ended = threading.Event()

def once(call):
    try:
        assert call() == "fine"
    except REFUSALS:
        pass

calls = {}

def hammer(name, call):
    while not ended.is_set():
        once(call)
        calls[name] = calls.get(name, 0) + 1

async def ahammer(name, call):
    while not ended.is_set():
        try:
            assert await call() == "fine"
        except REFUSALS:
            pass
        calls[name] = calls.get(name, 0) + 1
        await asyncio.sleep(0)

def child():
    for name, call in GUARDS.items():
        print(f"    {name}", file=sys.stderr, flush=True)
        for _ in range(3):
            once(call)
    handle(GUARDS["rate_limited"]).limiter.remaining()
    assert handle(GUARDS["bulkhead"]).bulkhead.stats().in_use == 0
    assert handle(GUARDS["circuit_breaker"]).breaker.state() == "closed"
    async def main():
        for name, call in AWAITED.items():
            print(f"    {name}, awaited", file=sys.stderr, flush=True)
            for _ in range(3):
                assert await call() == "fine"
    asyncio.run(main())

with agentperf.budget(tokens=10**9, name="around"):
    for call in GUARDS.values():
        once(call)
    works = [(hammer, name, call) for name, call in GUARDS.items()]
    works += [(asyncio.run, ahammer(f"{name}, awaited", call)) for name, call in AWAITED.items()]
    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=work, daemon=True)
        for work in works
    ]
    for thread in threads:
        thread.start()
    # What is imported late has to be there: Python's own locks are not made anew in a child.
    while len(calls) < len(works) or min(calls.values()) < 10:
        time.sleep(0.01)
    sys.setswitchinterval(1e-5)
    for number in range(forks):
        pid = os.fork()
        if pid == 0:
            faulthandler.dump_traceback_later(20, exit=True)
            sys.setswitchinterval(0.005)
            try:
                child()
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(2)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            sys.exit(f"child {number} ended with {status}")
        time.sleep(0.003)
    ended.set()
    for name, call in GUARDS.items():
        once(call)
print("done", flush=True)
os._exit(0)
"""


def forked(address: str, forks: int) -> None:
    """Run the program in a process of its own."""
    # Untraced: coverage has a lock of its own, which a thread may hold at the moment of a fork.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, address, str(forks)],
        env=env,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert ended.stdout == "done\n", ended.stderr[-4000:]


def test_children_of_a_busy_process_with_a_file(tmp_path: Path) -> None:
    """Whatever its threads held at that moment; the limit is one in a file."""
    forked(f"sqlite:{tmp_path / 'limits.db'}", 20)


def test_children_of_a_busy_process_with_a_server() -> None:
    """The same with a limit on a server."""
    with running("valkey") as server:
        forked(f"redis://127.0.0.1:{server.port}", 20)
