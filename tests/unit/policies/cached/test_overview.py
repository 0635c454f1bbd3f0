"""The figures of all caches of a host, by backend."""

from __future__ import annotations

import math

import pytest

import agentperf
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.policies.cached.overview import _place


class Frail(MemoryBackend):
    """Fails."""

    def get(self, key):
        """Fail."""
        raise ConnectionError


def test_caches_are_added_up_by_backend(fresh_host, tmp_path):
    """Functions, and objects too; another host has figures of its own."""
    one = agentperf.cached(max_bytes=1000)(lambda x: x)
    two = agentperf.cached(max_bytes=500)(lambda x: x)
    kept = agentperf.cached(backend=f"sqlite:{tmp_path}/a.db?max_bytes=10MB", name="kept")(
        lambda x: x
    )
    frail = agentperf.cached(backend=Frail(), name="frail")(lambda x: x)
    pages = agentperf.Cache(max_bytes=10)
    one(1), one(1), two(1), kept(1), kept(1), frail(1)
    pages.get("a")
    figures = agentperf.cache_stats()
    assert set(figures) == {"memory", f"sqlite:{tmp_path}/a.db", "Frail"}
    memory = figures["memory"]
    assert (memory.hits, memory.misses, memory.stored, memory.size) == (1, 3, 2, 2)
    assert memory.max_bytes == 1510
    assert memory.load_seconds < 1
    assert figures[f"sqlite:{tmp_path}/a.db"].hits == 1
    assert figures["Frail"].trouble == "ConnectionError"
    assert not memory.trouble
    with agentperf.testing.fresh_host():
        assert agentperf.cache_stats() == {}


def test_a_function_that_is_gone_has_no_figures(fresh_host):
    """Its entries are gone too."""
    f = agentperf.cached(lambda: 1)
    f()
    assert agentperf.cache_stats()["memory"].misses == 1
    del f
    assert agentperf.cache_stats() == {}


def test_caches_that_computed_nothing_know_no_time(fresh_host):
    """And those that did, do."""
    pages, other = agentperf.Cache(), agentperf.Cache()
    pages.get("a")
    other.get("a")
    assert math.isnan(agentperf.cache_stats()["memory"].load_seconds)
    pages.get_or_compute("a", lambda: 1)
    assert agentperf.cache_stats()["memory"].load_seconds >= 0


@pytest.mark.parametrize(
    ("backend", "place"),
    [
        ("memory:lru", "memory:lru"),
        ("redis://me:secret@host:1/0?password=secret", "redis://host:1/0"),
        ("memory?near_ttl=2s+redis://:s@e@host", "memory+redis://host"),
        (MemoryBackend(), "MemoryBackend"),
    ],
    ids=["memory", "redis", "two tiers", "an object"],
)
def test_no_secret_is_shown(backend, place):
    """Whatever stands in the address."""
    assert _place(backend) == place
