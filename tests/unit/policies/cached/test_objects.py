"""`Cache`: the same cache without a decorator."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import anyio
import pytest

import agentperf
from agentperf import Cache, errors, events
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.unit.policies.cached.backed.test_layer import Awaited
from tests.unit.policies.cached.calls import until
from tests.unit.policies.cached.tags.test_tags import PLACES, Counting


@pytest.fixture(autouse=True)
def host():
    """Give a world of its own."""
    with fresh_host(FakeClock()) as host:
        yield host


def made(where, host, **options):
    """Make a cache in that place."""
    if where == "bytes":
        options |= {"backend": MemoryBackend(host.clock), "name": "pages"}
    return Cache(**options)


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("key", ["a", ("a", 1), {"a": [1]}, frozenset({1}), None, 1.5])
def test_keys_of_any_kind(host, where, key):
    """Whatever has a key by value is one; types count."""
    cache = made(where, host)
    assert cache.get(key, default="no") == "no"
    cache.set(key, [1])
    assert cache.get(key) == [1]
    assert cache.get(str(key) + "?") is None
    assert cache.delete(key) is True
    assert cache.delete(key) is False
    assert cache.get(key) is None


@pytest.mark.parametrize("where", PLACES)
def test_none_is_a_value(host, where):
    """It is told from nothing by the default."""
    cache = made(where, host)
    cache.set("a", None)
    assert cache.get("a", default="no") is None


@pytest.mark.parametrize("where", PLACES)
def test_times_to_live(host, where):
    """Each value may have its own."""
    cache = made(where, host, ttl="10m")
    cache.set("own", 1, ttl="1m")
    cache.set("longer", 2, ttl="1h")
    cache.set("as all", 3)
    cache.get_or_compute("computed", lambda: 4)
    host.clock.advance("1m")
    assert [cache.get(key) for key in ("own", "longer", "as all", "computed")] == [None, 2, 3, 4]
    host.clock.advance("9m")
    assert [cache.get(key) for key in ("own", "longer", "as all", "computed")] == [None, 2] + [
        None
    ] * 2


@pytest.mark.parametrize("where", PLACES)
def test_nobody_changes_what_is_kept(host, where):
    """Values come as copies, as with `cached`."""
    cache, value = made(where, host), [1]
    cache.set("a", value)
    value.append(2)
    cache.get("a").append(3)
    assert cache.get("a") == [1]


@pytest.mark.parametrize("where", PLACES)
def test_get_or_compute(host, where):
    """It computes once, errors are not kept, and the figures tell."""
    cache, calls = made(where, host), []

    def compute():
        calls.append(1)
        if len(calls) == 1:
            raise LookupError
        return {"n": len(calls)}

    with pytest.raises(LookupError):
        cache.get_or_compute("a", compute)
    for _ in range(3):
        assert cache.get_or_compute("a", compute) == {"n": 2}
    assert cache.get("a") == {"n": 2}
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.stored) == (3, 2, 1)


@pytest.mark.anyio
@pytest.mark.parametrize("where", PLACES)
async def test_both_colours_share(host, where):
    """Async methods see what the others keep, and the other way round."""
    cache = made(where, host)

    async def compute():
        await anyio.lowlevel.checkpoint()
        return 7

    assert await cache.aget_or_compute("a", compute) == 7
    assert cache.get_or_compute("a", lambda: 8) == 7
    await cache.aset("b", 1, tags="t")
    assert cache.get("b") == await cache.aget("b") == 1
    await agentperf.ainvalidate(tags="t")
    assert await cache.aget("b", default="no") == "no"
    assert await cache.adelete("a") is True
    cache.set("a", 1)
    await cache.aclear()
    assert cache.get("a") is None


def test_threads_compute_once(host):
    """All who ask meanwhile wait for the one computation."""
    cache, calls, go_on = Cache(), [], threading.Event()

    def compute():
        calls.append(1)
        go_on.wait(20)
        return "v"

    with ThreadPoolExecutor(4) as pool:
        futures = [
            pool.submit(copy_context().run, cache.get_or_compute, "a", compute) for _ in range(4)
        ]
        flights = cache._policy.state(host, None).flights._shared
        until(lambda: sum(flight.aboard for flight in list(flights.values())) == 4)
        go_on.set()
        assert [future.result(20) for future in futures] == ["v"] * 4
    assert len(calls) == 1
    assert cache.stats().shared == 3


@pytest.mark.anyio
@pytest.mark.parametrize("where", PLACES)
async def test_tasks_compute_once(host, where):
    """The same for tasks."""
    cache, calls = made(where, host), []

    async def compute():
        calls.append(1)
        await anyio.lowlevel.checkpoint()
        return "v"

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(cache.aget_or_compute, "a", compute)
    assert len(calls) == 1


@pytest.mark.parametrize("where", PLACES)
def test_tags(host, where):
    """What has the tag goes; what was computed under it too."""
    cache = made(where, host)
    cache.set("a", 1, tags=("t", "u"))
    cache.set("b", 2)
    cache.get_or_compute("c", lambda: 3, tags="t")
    assert [cache.get(key) for key in "abc"] == [1, 2, 3]
    agentperf.invalidate(tags="t")
    assert [cache.get(key) for key in "abc"] == [None, 2, None]
    cache.set("a", 1, tags=("t", "u"))
    assert cache.get("a") == 1
    agentperf.invalidate(tags="u")
    assert cache.get("a") is None
    with pytest.raises(errors.ConfigurationError, match="tags"):
        cache.set("a", 1, tags=("",))


@pytest.mark.parametrize("where", PLACES)
def test_setting_while_it_is_computed(host, where):
    """What was set later is not replaced by what was begun earlier."""
    cache = made(where, host)

    def compute():
        cache.set("a", "new")
        return "old"

    assert cache.get_or_compute("a", compute) == "old"
    assert cache.get("a") == "new"


def test_caches_are_apart(host):
    """Two caches share nothing, unless they have a name in common; on a backend too."""
    one, other = Cache(), Cache()
    one.set("a", 1)
    assert other.get("a") is None
    named, same = Cache(name="x"), Cache(name="x")
    named.set("a", 1)
    assert same.get("a") == 1
    backend = MemoryBackend()
    there, elsewhere = Cache(backend=backend, name="x1"), Cache(backend=backend, name="x2")
    there.set("a", 1)
    assert elsewhere.get("a") is None
    there.clear()
    assert there.get("a") is None


def test_hosts_and_tenants_are_apart(host):
    """As with `cached`."""
    cache = Cache()
    cache.set("a", 1)
    with fresh_host():
        assert cache.get("a") is None
    with agentperf.scope(tenant="t"):
        assert cache.get("a") is None
        cache.set("a", 2)
    assert cache.get("a") == 1


def test_it_is_bounded(host):
    """No more than `max_entries` stay; the figures tell."""
    cache = Cache(max_entries=2)
    with recorded() as seen:
        for key in range(5):
            cache.set(key, key)
    assert cache.stats().size == 2
    assert cache.stats().evictions == len(seen.of(events.CacheEviction)) == 3
    assert cache.clear() == 2


def test_events_carry_the_name(host):
    """The operation is the cache; no key, no value."""
    cache = Cache(name="pages")
    with recorded() as seen:
        cache.get("secret")
        cache.set("secret", "secret")
        cache.get("secret")
        cache.get_or_compute("secret", str)
    assert seen.names() == ["CacheMiss", "CacheStored", "CacheHit", "CacheHit"]
    assert {event.operation for event in seen} == {"agentperf.Cache.pages"}
    assert "secret" not in repr(list(seen))


def test_bad_options():
    """What `cached` refuses is refused; a backend needs a name."""
    with pytest.raises(errors.ConfigurationError, match="give this one a name"):
        Cache(backend=MemoryBackend())
    with pytest.raises(errors.ConfigurationError, match="ttl"):
        Cache(ttl="soon")
    with pytest.raises(errors.ConfigurationError, match="ttl"):
        Cache().set("a", 1, ttl="soon")
    with pytest.raises(errors.UncacheableArgumentError):
        Cache().get(object())


@pytest.mark.parametrize("where", PLACES)
def test_a_value_that_can_not_be_kept(host, where):
    """To set it is an error; to compute it is not."""
    cache, lock = made(where, host), threading.Lock()
    with pytest.raises(errors.UncacheableValueError):
        cache.set("a", lock)
    assert cache.get_or_compute("a", lambda: lock) is lock
    assert cache.get("a") is None


def test_a_backend_that_fails(host):
    """Open: nothing is there, nothing is kept. Closed: it raises. Removing always does."""
    backend = Counting()
    cache = Cache(backend=backend, name="open")
    closed = Cache(backend=backend, name="closed", on_store_failure="closed")
    cache.set("a", 1)
    backend.broken = True
    assert cache.get("a", default="no") == "no"
    cache.set("a", 2)
    assert cache.get_or_compute("a", lambda: 3) == 3
    for call in (
        lambda: closed.get("a"),
        lambda: closed.set("a", 1),
        lambda: closed.get_or_compute("a", lambda: 1),
    ):
        with pytest.raises(errors.StoreUnavailable):
            call()
    for call in (lambda: cache.delete("a"), cache.clear):
        with pytest.raises(errors.BackendError):
            call()
    backend.broken = False
    host.clock.advance("1m")  # it is left alone for a moment
    assert cache.get("a") == 1


@pytest.mark.anyio
async def test_a_backend_to_be_awaited(host):
    """The methods that begin with `a` serve it; the others say so."""
    cache = Cache(backend=Awaited(MemoryBackend()), name="x")
    await cache.aset("a", 1)
    assert await cache.aget("a") == 1
    assert cache.stats().hits == 1
    with pytest.raises(errors.ConfigurationError, match="has to be awaited"):
        cache.get("a")


def test_what_is_got_by_key_is_in_use():
    """The eviction spares it, and the figures know that it was asked for."""
    pages = Cache(max_entries=3)
    for name in "abc":
        pages.set(name, name)
    assert pages.get("a") == "a"
    pages.set("d", "d")
    assert pages.get("a") == "a"
    assert pages.get("b") is None
    assert (pages.stats().gone, pages.stats().unasked) == (1, 1)


def test_a_function_of_the_other_colour_is_refused():
    """Each time, and the cache is as good as before."""
    pages = Cache("1m")

    async def made():
        return 1

    for _ in range(2):
        with pytest.raises(errors.ConfigurationError, match=r"await cache\.aget_or_compute"):
            pages.get_or_compute("a", made)
    assert pages.get_or_compute("b", lambda: 3) == 3

    async def compute():
        with pytest.raises(errors.ConfigurationError, match=r"cache\.get_or_compute"):
            await pages.aget_or_compute("c", lambda: 3)
        assert await pages.aget_or_compute("a", made) == 1

    anyio.run(compute)
