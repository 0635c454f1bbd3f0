"""Processes with many threads on two tiers over one Redis: how old an answer is at most.

Each value carries its number. Writers count a key up in Redis and then remove the old answers by
tag; readers note how long ago the answer that they got was superseded. Clocks of processes on one
machine are the same clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.services import running

BOUND = 1.0
THREADS = 8
KEYS = 16

PROGRAM = """
import json, random, sys, threading, time
import redis
import agentperf

address, port, seconds, bound, threads, keys, seed = sys.argv[1], *map(float, sys.argv[2:])
truth = redis.Redis(port=int(port), socket_timeout=30)
worst, calls, removals, faults = [0.0], [0], [0], []

@agentperf.cached(ttl="1h", backend=address, name="read", tags="key:{key}")
def read(key):
    return int(truth.get(f"truth:{key}"))

def superseded(key, number):
    moment = truth.get(f"gone:{key}:{number}")
    return None if moment is None else float(moment)

def work(seed):
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            key = chance.randrange(int(keys))
            if chance.random() < 0.005:
                number = truth.incr(f"truth:{key}")
                agentperf.invalidate(tags=f"key:{key}")
                # From here on the old one is gone; who sees it after this moment is late.
                truth.set(f"gone:{key}:{number - 1}", time.monotonic(), nx=True)
                removals[0] += 1
                continue
            began = time.monotonic()
            number = read(key)
            calls[0] += 1
            if chance.random() < 0.2 and (gone := superseded(key, number)) is not None:
                worst[0] = max(worst[0], began - gone)
    except BaseException as error:
        faults.append(repr(error))

workers = [threading.Thread(target=work, args=(seed * 1000 + n,)) for n in range(int(threads))]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
cache = agentperf.handle(read).cache
near, stats = cache.near_stats(), cache.stats()
print(json.dumps({
    "worst": worst[0], "calls": calls[0], "removals": removals[0], "faults": faults,
    "near": near.hits, "asked": near.misses, "watched": near.watched, "hits": stats.hits,
}))
"""


def run(near_ttl, seconds, told):
    """Run two processes for a while; return what each saw."""
    options = [] if told else ["--rename-command", "CLIENT", ""]
    with running("redis", *options) as server:
        patient = "socket_timeout=30&socket_connect_timeout=30&timeout=30"
        address = f"memory?near_ttl={near_ttl}s+redis://127.0.0.1:{server.port}?{patient}"
        filling = "import redis, sys; r = redis.Redis(port=int(sys.argv[1]))\n"
        filling += f"r.mset({{f'truth:{{k}}': 0 for k in range({KEYS})}})"
        subprocess.run([sys.executable, "-c", filling, str(server.port)], check=True)
        numbers = [server.port, seconds, near_ttl, THREADS, KEYS]
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, address, *map(str, [*numbers, seed])],
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ,
            )
            for seed in (1, 2)
        ]
        seen = [json.loads(process.communicate(timeout=seconds + 60)[0]) for process in processes]
    print(f"near_ttl={near_ttl} told={told} seconds={seconds}: {seen}")  # noqa: T201 - with -s
    return seen


def check(seen, bound, told):
    """Nobody saw what was gone for longer than the bound, and there was something to see."""
    for process in seen:
        assert process["faults"] == []
        assert process["removals"] > 10
        assert process["near"] > process["calls"] / 2
        assert process["watched"] is told
        assert process["worst"] < bound


@pytest.mark.parametrize("told", [True, False])
def test_two_processes_for_a_moment(told):
    """The bound holds where the server tells, and where it can't."""
    check(run(BOUND, 2.5, told), BOUND, told)


@pytest.mark.load
@pytest.mark.parametrize("told", [True, False])
def test_two_processes_for_a_minute(told):
    """The same for longer."""
    check(run(BOUND, 60, told), BOUND, told)
