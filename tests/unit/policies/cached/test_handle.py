"""What can be done to a cache from outside."""

from __future__ import annotations

import pytest

from agentperf import ConfigurationError, Host, cached, handle, timed, use
from tests.unit.policies.cached.calls import COLOURS, PLAIN, STREAMS, Counted, figures, outcome

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("colour", COLOURS)
async def test_invalidate_removes_one_answer(fresh_host, colour):
    """That of these arguments in any spelling; it tells whether there was one."""
    source = Counted()
    f = cached(source.function(colour))
    cache = handle(f).cache
    assert not cache.invalidate(1)
    await outcome(f(1))
    await outcome(f(2))
    assert cache.invalidate(x=1)
    assert cache.stats().size == 1
    await outcome(f(1))
    await outcome(f(2))
    assert source.calls == 3


@pytest.mark.parametrize("colour", COLOURS)
async def test_clear_removes_all(fresh_host, colour):
    """It tells how many there were, and the cache works on."""
    source = Counted()
    f = cached(source.function(colour))
    for n in range(3):
        await outcome(f(n))
    assert handle(f).cache.clear() == 3
    assert handle(f).cache.clear() == 0
    await outcome(f(0))
    await outcome(f(0))
    assert source.calls == 4


@pytest.mark.parametrize("colour", COLOURS)
async def test_peek_neither_computes_nor_counts(fresh_host, fake_clock, colour):
    """A default where there is nothing fresh; a stream as the tuple of its items."""
    source = Counted()
    f = cached(5)(source.function(colour))
    cache = handle(f).cache
    assert cache.peek(1, default="none") == "none"
    await outcome(f(1))
    before = cache.stats()
    assert list(cache.peek(1)) == [1]
    assert type(cache.peek(1)) is (tuple if colour in STREAMS else list)
    assert cache.stats() == before
    fake_clock.advance(5)
    assert cache.peek(1) is None
    assert source.calls == 1


@pytest.mark.parametrize("colour", ["sync", "generator"])
async def test_warm_computes_ahead(fresh_host, colour):
    """One entry a call: arguments, keywords or the one argument; what is fresh stays."""
    source = Counted()
    f = cached(source.function(colour))
    assert handle(f).cache.warm(1, (2,), {"x": 3}, 1) == 4
    assert source.calls == 3
    await outcome(f(3))
    assert source.calls == 3


@pytest.mark.parametrize("colour", ["async", "async generator"])
async def test_awarm_computes_ahead(fresh_host, colour):
    """The same for asynchronous functions; `warm` says so."""
    source = Counted()
    f = cached(source.function(colour))
    assert await handle(f).cache.awarm(1, (2,), {"x": 3}, 1) == 4
    await outcome(f(3))
    assert source.calls == 3
    with pytest.raises(ConfigurationError, match="awarm"):
        handle(f).cache.warm(1)


async def test_a_handle_keeps_to_its_host(fresh_host):
    """It warms the host it was made on, whichever is current then."""
    source = Counted()
    f = cached(source.function("sync"))
    cache = handle(f).cache
    with use(Host(clock=fresh_host.clock)):
        cache.warm(1)
        assert handle(f).cache.stats().size == 0
    assert cache.peek(1) == [1]


async def test_hosts_share_nothing(fresh_host):
    """A fresh host is a fresh cache."""
    source = Counted()
    f = cached(name="shared")(source.function("sync"))
    f()
    with use(Host(clock=fresh_host.clock)):
        f()
        assert figures(f) == (0, 1, 0)
    assert source.calls == 2
    assert figures(f) == (0, 1, 0)


class Agent:
    """Has cached methods."""

    @cached
    def run(self, x):
        """Answer."""
        return [x]

    @cached
    async def arun(self, x):
        """Answer."""
        return [x]


@pytest.mark.parametrize("name", ["run", "arun"])
async def test_on_a_bound_method_it_speaks_of_that_instance(fresh_host, name):
    """Everything takes the arguments without `self`."""
    one, two = Agent(), Agent()
    cache = handle(getattr(one, name)).cache
    if name == "run":
        cache.warm(1)
    else:
        await cache.awarm(1)
    await outcome(getattr(two, name)(1))
    assert cache.peek(1) == [1]
    assert cache.invalidate(1)
    assert cache.peek(1) is None
    assert handle(getattr(two, name)).cache.peek(1) == [1]
    assert handle(getattr(Agent, name)).cache.peek(two, 1) == [1]


async def test_two_functions_share_a_cache_by_name(fresh_host):
    """One set of entries and figures for all who name it: such as a function and its async twin."""
    source = Counted()
    one = cached(60, name="profiles")(source.function("sync"))
    two = cached(60, name="profiles")(source.function("async"))
    assert one(1) == await two(1) == [1]
    assert source.calls == 1
    assert figures(one) == figures(two) == (1, 1, 0)
    assert handle(two).cache.invalidate(1)
    assert handle(one).cache.peek(1) is None


async def test_one_name_has_one_set_of_options(fresh_host):
    """The second function is refused as soon as it would be served."""
    cached(60, name="profiles")(one := Counted().function("sync"))
    first = cached(60, name="profiles")(one)
    first()
    second = cached(90, name="profiles")(Counted().function("sync"))
    with pytest.raises(ConfigurationError, match="name='profiles' is in use with other options"):
        second()


async def test_without_a_name_nothing_is_shared(fresh_host):
    """One policy object on two functions is two caches; two on one function, too."""
    policy = cached()
    source = Counted()
    one, two = policy(source.function("sync")), policy(source.function("sync"))
    one(1)
    two(1)
    assert source.calls == 2


@pytest.mark.parametrize("colour", PLAIN)
async def test_under_other_policies_it_is_found(fresh_host, colour):
    """The handle of a stacked function leads to its cache, and a hit is a call."""
    f = timed(cached(Counted().function(colour)))
    await outcome(f(1))
    await outcome(f(1))
    assert handle(f).cache.stats().hits == 1
    assert handle(f).stats().calls == 2
    assert "1 hits" in repr(handle(f).cache)


def test_a_function_without_a_cache_has_none(fresh_host):
    """The error says what to put on it."""
    with pytest.raises(ConfigurationError, match=r"not cached; decorate it with @cached\(ttl=60\)"):
        handle(timed(lambda: 1)).cache  # noqa: B018 - looking raises
