"""Four processes with two hundred tasks each on one limit: none too many, and a fair share each."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time

import pytest

from tests.services import running

pytestmark = pytest.mark.load

RATE, BURST = 100, 20
PROCESSES, TASKS, SECONDS = 4, 200, 30

PROGRAM = """
import asyncio, json, sys, time
import agentperf

address, began, seconds, tasks = sys.argv[1], *map(float, sys.argv[2:])
taken = []

@agentperf.rate_limited("100/s", burst=20, store=address, name="upstream", max_wait=600)
async def call():
    taken.append(time.time())

async def work(until):
    while time.time() < until:
        await call()

async def main():
    await agentperf.handle(call).limiter.aremaining()  # loads what is needed
    await asyncio.sleep(began - time.time())
    async with asyncio.timeout(seconds):
        await asyncio.gather(*(work(began + seconds) for _ in range(int(tasks))))

try:
    asyncio.run(main())
except TimeoutError:
    pass
print(json.dumps(taken))
"""


@pytest.mark.parametrize("kind", ["redis", "sqlite"])
def test_processes_share_a_limit_fairly(kind, tmp_path):
    """Together they use the allowance and never exceed it; nobody gets much more than another."""

    def share(address):
        began = time.time() + 5
        command = [sys.executable, "-c", PROGRAM, address, str(began), str(SECONDS), str(TASKS)]
        workers = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)
        ]
        shares = [json.loads(worker.communicate(timeout=SECONDS + 60)[0]) for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * PROCESSES
        return shares

    if kind == "sqlite":
        shares = share(f"sqlite:{tmp_path / 'limits.db'}")
    else:
        with running("redis") as server:
            patient = "socket_timeout=10&socket_connect_timeout=10&timeout=10"
            shares = share(f"redis://127.0.0.1:{server.port}?{patient}")
    taken = sorted(at for each in shares for at in each)
    counts = [len(each) for each in shares]
    logging.getLogger(__name__).info("%s: %s, %d calls", kind, counts, len(taken))
    # Each looked at the clock a moment after it was let in.
    assert all(
        count <= BURST + 1 + RATE * (at - taken[0] + 0.25) for count, at in enumerate(taken, 1)
    )
    assert len(taken) > 0.9 * RATE * SECONDS
    assert max(counts) / min(counts) < 1.2
