"""What is answered from the cache, for how long, and what is counted."""

from __future__ import annotations

import threading

import pytest

from agentperf import cached, configure, handle
from tests.unit.policies.cached.calls import COLOURS, PLAIN, Counted, figures, outcome

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_second_call_is_answered_from_the_cache(fresh_host, colour):
    """The same arguments in any spelling are computed once; others are not confused with them."""
    source = Counted(lambda x: [x, "", None])
    f = cached(source.function(colour))
    assert [await outcome(f(1)), await outcome(f(x=1))] == [[1, "", None]] * 2
    assert await outcome(f(2)) == [2, "", None]
    assert await outcome(f()) == await outcome(f(0))
    assert source.calls == 3
    assert figures(f) == (2, 3, 0)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("value", ["text", ["list"]])
async def test_an_answer_is_good_for_exactly_its_time(fresh_host, fake_clock, colour, value):
    """Just before the time is up it is a hit, at that very moment it is gone."""
    source = Counted(lambda _: value)
    f = cached("10s")(source.function(colour))
    await outcome(f())
    fake_clock.advance(9.75)
    await outcome(f())
    assert source.calls == 1
    fake_clock.advance(0.25)
    assert handle(f).cache.peek() is None
    await outcome(f())
    assert source.calls == 2
    stats = handle(f).cache.stats()
    assert (stats.hits, stats.misses, stats.expired, stats.stored, stats.size) == (1, 2, 1, 2, 1)


@pytest.mark.parametrize("colour", COLOURS)
async def test_time_counts_from_the_end_of_the_computation(fresh_host, fake_clock, colour):
    """An answer that took long to compute is as good for as long as any."""

    def slow(_):
        fake_clock.advance(100)
        return "x"

    source = Counted(slow)
    f = cached(10)(source.function(colour))
    await outcome(f())
    fake_clock.advance(9)
    await outcome(f())
    assert source.calls == 1


async def test_an_expired_answer_gives_its_room_back_when_it_is_found(fresh_host, fake_clock):
    """A read that finds it too old takes it out, also when computing anew fails."""
    source = Counted(lambda _: 1 / (fake_clock.now() < 1_000_001))
    f = cached(1)(source.function("sync"))
    f()
    fake_clock.advance(1)
    with pytest.raises(ZeroDivisionError):
        f()
    stats = handle(f).cache.stats()
    assert (stats.expired, stats.size) == (1, 0)


@pytest.mark.parametrize("colour", COLOURS)
async def test_without_ttl_an_answer_stays(fresh_host, fake_clock, colour):
    """It stays for as long as there is room."""
    source = Counted()
    f = cached(source.function(colour))
    await outcome(f())
    fake_clock.advance("3650d")
    await outcome(f())
    assert source.calls == 1


@pytest.mark.parametrize("colour", COLOURS)
async def test_the_bound_holds(fresh_host, colour):
    """There are never more than `max_entries`; what had to go is counted."""
    f = cached(max_entries=3)(Counted().function(colour))
    for n in range(10):
        await outcome(f(n))
        assert handle(f).cache.stats().size <= 3
    stats = handle(f).cache.stats()
    assert (stats.size, stats.max_entries, stats.evictions, stats.stored) == (3, 3, 7, 10)


async def test_what_is_asked_for_survives(fresh_host):
    """An entry in use is still there after many that are not."""
    source = Counted()
    f = cached(max_entries=3)(source.function("sync"))
    for n in range(1, 50):
        f(0)
        f(n)
    assert source.calls == 50
    assert handle(f).cache.peek(0) == [0]


@pytest.mark.parametrize("colour", PLAIN)
@pytest.mark.parametrize("value", [None, False, 0, "", (), [], {}])
async def test_nothing_is_an_answer_too(fresh_host, colour, value):
    """`None` and everything empty is kept like any other answer."""
    source = Counted(lambda _: value)
    f = cached(source.function(colour))
    assert [await outcome(f()) for _ in range(3)] == [value] * 3
    assert source.calls == 1


@pytest.mark.parametrize("colour", COLOURS)
async def test_failures_are_not_kept(fresh_host, colour):
    """The caller gets the very error; the next call computes anew, and its answer is kept."""
    error = ValueError("not yet")
    source = Counted()

    def compute(x):
        if source.calls == 1:
            raise error
        return [x]

    source._compute = compute
    f = cached(source.function(colour))
    with pytest.raises(ValueError, match="not yet") as raised:
        await outcome(f())
    assert raised.value is error
    assert handle(f).cache.stats().size == 0
    assert [await outcome(f()) for _ in range(2)] == [[0], [0]]
    assert source.calls == 2


@pytest.mark.parametrize("colour", COLOURS)
async def test_without_the_policy_a_call_is_a_plain_call(fresh_host, colour):
    """Switched off for the policy, at a call, or for the whole host: nothing is kept."""
    source = Counted()
    wanted = [True, False]
    never = cached(enabled=False)(source.function(colour))
    sometimes = cached(enabled=wanted.pop)(source.function(colour))
    for f in (never, never, sometimes, sometimes):
        await outcome(f())
    assert source.calls == 4
    f = cached(source.function(colour))
    configure(enabled=False)
    await outcome(f())
    await outcome(f())
    assert source.calls == 6


async def test_hits_are_the_same_object_when_nobody_can_change_it(fresh_host):
    """An immutable answer is handed out itself, not a copy."""
    answer = ("a long text " * 10, (1, frozenset({2})))

    @cached
    def f():
        return answer

    assert f() is f() is answer


def test_figures_are_exact_under_threads(fresh_host):
    """Every call is counted exactly once, as hit, miss or shared, whatever the threads do."""
    source = Counted()
    f = cached(max_entries=16)(source.function("sync"))
    barrier = threading.Barrier(8)
    host = fresh_host

    def work(seed):
        from agentperf import use

        with use(host):
            barrier.wait()
            for n in range(1500):
                assert f((n * 7 + seed) % 24) == [(n * 7 + seed) % 24]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = handle(f).cache.stats()
    assert stats.hits + stats.misses + stats.shared == 8 * 1500
    assert stats.misses == stats.stored == source.calls
    assert stats.size == 16
    assert stats.stored - stats.evictions == stats.size
    assert handle(f).cache.stats() == stats  # looking doesn't count


def test_the_hit_rate_counts_every_call_answered_without_computing(fresh_host):
    """Zero before any call; the text shows it."""
    f = cached(lambda: 1)
    assert handle(f).cache.stats().hit_rate == 0.0
    for _ in range(4):
        f()
    stats = handle(f).cache.stats()
    assert stats.hit_rate == 0.75
    assert str(stats).startswith("75.0% hits (3 hits, 0 shared, 1 misses), 1 of 1024 entries")


def test_an_async_function_behind_a_plain_one_is_cached_as_async(fresh_host):
    """A foreign wrapper hides the colour; the answer is kept, never the awaitable."""
    import asyncio

    source = Counted()
    hidden = source.function("async")

    @cached
    def f(x):
        return hidden(x)

    async def main():
        return [await f(1), await f(1), *await asyncio.gather(f(2), f(2))]

    assert asyncio.run(main()) == [[1], [1], [2], [2]]
    assert source.calls == 2
