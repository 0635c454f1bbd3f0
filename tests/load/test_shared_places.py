"""Four processes with two hundred tasks each on a few places: never too many, and a fair share."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time

import pytest
import redis

from tests.services import running

pytestmark = pytest.mark.load

PLACES = 8
PROCESSES, TASKS, SECONDS, WORK = 4, 200, 20, 0.02
SETTLED = 3.0
"""Seconds after which each has its share: the first to come takes all places for a moment."""

PROGRAM = """
import asyncio, json, sys, time
import agentperf

address, places = sys.argv[1], int(sys.argv[2])
began, seconds, tasks, work = map(float, sys.argv[3:])
calls = []

@agentperf.bulkhead(places, store=address, name="upstream")
async def call():
    start = time.time()
    await asyncio.sleep(work)
    calls.append((start, time.time()))

async def many(until):
    while time.time() < until:
        await call()

async def main():
    await agentperf.handle(call).bulkhead.ain_use()  # loads what is needed
    await asyncio.sleep(began - time.time())
    async with asyncio.timeout(seconds):
        await asyncio.gather(*(many(began + seconds) for _ in range(int(tasks))))

try:
    asyncio.run(main())
except TimeoutError:
    pass
print(json.dumps(calls))
"""


def most_at_once(calls):
    """Return how many ran at the same time at most."""
    moments = sorted([(start, 1) for start, _ in calls] + [(end, -1) for _, end in calls])
    now = most = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most


@pytest.mark.parametrize("kind", ["valkey", "sqlite"])
def test_processes_share_places_fairly(kind, tmp_path):
    """Together they never use more, and nobody gets much more than another."""

    def share(address):
        began = time.time() + 8
        arguments = [address, PLACES, began, SECONDS, TASKS, WORK]
        command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
        workers = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)
        ]
        shares = [json.loads(worker.communicate(timeout=SECONDS + 60)[0]) for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * PROCESSES
        return began, shares

    asked = None
    if kind == "sqlite":
        began, shares = share(f"sqlite:{tmp_path / 'places.db'}")
    else:
        with running(kind) as server:
            patient = "socket_timeout=10&socket_connect_timeout=10&timeout=10"
            began, shares = share(f"redis://127.0.0.1:{server.port}?{patient}")
            with redis.Redis(port=server.port) as client:
                asked = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    calls = [call for each in shares for call in each]
    counts = [sum(start > began + SETTLED for start, _ in each) for each in shares]
    logging.getLogger(__name__).info(
        "%s: %d calls, %s after %g s, %s questions", kind, len(calls), counts, SETTLED, asked
    )
    assert most_at_once(calls) <= PLACES
    assert max(counts) / min(counts) < 1.5
