"""A cache under mixed use for a while, checked against a model all the time."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import agentperf
from agentperf.testing import FakeClock

pytestmark = pytest.mark.load

SECONDS = 40
THREADS = 4
KEYS = 300


def test_the_cache_agrees_with_a_model():
    """One caller: after any mix of calls, changes, invalidations and time, each answer is known."""
    clock = FakeClock()
    truth = dict.fromkeys(range(KEYS), 0)
    chance = random.Random(11)
    kept = {}  # key: (what the cache may still say, until when)

    with agentperf.use(agentperf.Host(clock=clock)):

        @agentperf.cached(ttl=60, max_entries=KEYS)
        def read(key):
            return truth[key]

        cache = agentperf.handle(read).cache
        end = time.monotonic() + SECONDS / 4
        calls = 0
        while time.monotonic() < end:
            key = chance.randrange(KEYS)
            action = chance.random()
            if action < 0.8:
                known = kept.get(key)
                if known is None or clock.now() >= known[1]:
                    kept[key] = known = (truth[key], clock.now() + 60)
                assert read(key) == known[0]
                calls += 1
            elif action < 0.9:
                truth[key] += 1
            elif action < 0.97:
                fresh = key in kept and clock.now() < kept[key][1]
                assert (cache.peek(key, default="none") != "none") == fresh
                cache.invalidate(key)
                kept.pop(key, None)
            elif action < 0.9999:
                clock.advance(chance.random())
            else:
                cache.clear()
                kept.clear()
        stats = cache.stats()
        assert stats.hits + stats.misses == calls
        assert stats.size <= KEYS
        assert stats.shared == stats.refused == 0


def test_nobody_reads_what_was_invalidated_before_they_asked():
    """Many callers: an answer is never older than the last change that was over before the call."""
    versions = [0] * KEYS
    settled = [0] * KEYS
    locks = [threading.Lock() for _ in range(KEYS)]
    end = time.monotonic() + SECONDS

    @agentperf.timed(name="load.soak")
    @agentperf.cached(max_entries=KEYS // 2)
    def read(key):
        return versions[key]

    cache = agentperf.handle(read).cache

    def work(seed):
        chance = random.Random(seed)
        reads = 0
        while time.monotonic() < end:
            key = min(int(chance.expovariate(0.02)), KEYS - 1)
            if chance.random() < 0.05:
                with locks[key]:
                    versions[key] += 1
                    cache.invalidate(key)
                    settled[key] = versions[key]
            else:
                at_least = settled[key]
                found = read(key)
                assert at_least <= found <= versions[key]
                reads += 1
        return reads

    with ThreadPoolExecutor(THREADS) as pool:
        reads = sum(pool.map(work, range(THREADS)))
    stats = cache.stats()
    assert stats.hits + stats.misses + stats.shared == reads
    assert agentperf.handle(read).stats().latency.count == reads
    assert stats.size <= KEYS // 2
    assert stats.hit_rate > 0.5
