"""Figures of a cache: what it holds, what it saved, and what would serve it better."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import agentperf
from agentperf import Cache, CacheStats, ConfigurationError, UncacheableValueError, Usage
from agentperf._engine.current import current_host
from agentperf.events import CacheHit, CacheRefused
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import FakeClock, fresh_host
from agentperf.tokens import cost


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """The clock of a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


@dataclass
class Reported:
    """The usage of a reply."""

    prompt_tokens: int = 1_000
    completion_tokens: int = 100


@dataclass
class Reply:
    """What a client of a model gives."""

    usage: Reported
    model: str = "gpt-4o-mini"
    text: str = "hi"


PRICE = cost(Usage(1_000, 100), "gpt-4o-mini")


def stats_of(function) -> CacheStats:
    """The figures of a function's cache."""
    return agentperf.handle(function).cache.stats()


def test_hits_on_any_way_are_counted_once(clock):
    """As they are, as copies, and told to a subscriber."""
    heard = []
    for value in ("text", ["list"]):

        @agentperf.cached
        def read(value=value):
            return value

        read()
        assert [read(), read()] == [value, value]
        assert stats_of(read).hits == 2
        stop = current_host().subscribe(heard.append, CacheHit)
        assert read() == value
        stop()
        assert read() == value
        stats = stats_of(read)
        assert (stats.hits, stats.misses, stats.calls) == (4, 1, 5)
    assert len(heard) == 2


def test_a_reply_that_is_given_again_saves_what_it_used(clock):
    """Tokens as the reply reports them, money by the table, time by the clock."""

    @agentperf.cached
    def ask(question):
        clock.advance(2)
        return Reply(Reported())

    for _ in range(4):
        ask("a")
    stats = stats_of(ask)
    assert stats.saved.input_tokens == 3_000
    assert stats.saved.output_tokens == 300
    assert stats.saved.cost_usd == pytest.approx(3 * PRICE)
    assert (stats.load_seconds, stats.saved_seconds) == (2, 6)
    assert "saved 3,300 tokens ($" in str(stats)


@pytest.mark.parametrize("timed", [True, False])
def test_what_was_recorded_in_a_computation_is_saved_by_its_hits(clock, timed):
    """Also where the answer is only text, and nothing around the cache is timed."""

    @agentperf.timed
    def call():
        agentperf.record(input_tokens=70, output_tokens=7, cost_usd=0.5)

    @agentperf.cached
    def ask(question):
        call()
        agentperf.record(input_tokens=30)
        return "an answer"

    outer = agentperf.timed(ask) if timed else ask
    outer("a")
    outer("a")
    agentperf.record(input_tokens=999)
    outer("a")
    assert stats_of(ask).saved == Usage(200, 14, 0, 1.0)
    assert agentperf.handle(call).stats().own_usage == Usage(70, 7, 0, 0.5)


@pytest.mark.anyio
async def test_calls_that_share_a_computation_save_too(clock):
    """Whoever waits for another's computation spends nothing either."""
    import anyio

    go = anyio.Event()

    @agentperf.cached
    async def ask(question):
        await go.wait()
        return Reply(Reported())

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(ask, "a")
        await anyio.wait_all_tasks_blocked()
        go.set()
    assert stats_of(ask).shared == 2
    assert stats_of(ask).saved.input_tokens == 2_000


def test_a_replayed_stream_saves_what_its_last_chunk_reports(clock):
    """As openai writes the usage into the end of a stream."""

    @agentperf.cached
    def chunks():
        yield {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}
        yield {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}

    for _ in range(3):
        assert len(list(chunks())) == 2
    assert stats_of(chunks).saved == Usage(10, 4)


def test_bytes_save_what_the_reply_says(clock, tmp_path):
    """On a backend, the reply itself is asked at each hit."""

    @agentperf.cached(backend=f"sqlite:{tmp_path / 'a.db'}", name="ask")
    def ask(question):
        return {"model": "gpt-4o-mini", "usage": {"prompt_tokens": 1_000, "completion_tokens": 100}}

    for _ in range(3):
        ask("a")
    saved = stats_of(ask).saved
    assert (saved.input_tokens, saved.output_tokens) == (2_000, 200)
    assert saved.cost_usd == pytest.approx(2 * PRICE)


def test_a_reply_that_refuses_to_be_read_saves_nothing(clock):
    """A property of somebody else's class may raise anything."""

    class Broken:
        @property
        def usage(self):
            raise RuntimeError

    @agentperf.cached(copy="share")
    def ask():
        return Broken()

    ask()
    ask()
    assert stats_of(ask).saved == Usage()


def test_entries_that_went_unasked_are_counted(clock):
    """Evicted and expired ones; not those somebody removed."""

    @agentperf.cached(ttl=10, max_entries=2)
    def square(n):
        return n * n

    for n in (1, 1, 2, 3, 4):
        square(n)
    clock.advance(10)
    square(4)
    agentperf.handle(square).cache.invalidate(4)
    stats = stats_of(square)
    assert (stats.gone, stats.unasked, stats.evictions, stats.expired) == (3, 3, 2, 1)
    assert stats.one_hit_wonders == 1
    assert stats.churn == 2 / 5
    assert CacheStats().one_hit_wonders == CacheStats().churn == 0
    assert math.isnan(CacheStats().load_seconds)


# --- bytes


def test_a_cache_is_bounded_by_bytes(clock):
    """Whatever the number of entries."""

    @agentperf.cached(max_bytes="50kB")
    def text(n):
        return chr(97 + n) * 10_000

    for n in range(20):
        text(n)
    stats = stats_of(text)
    assert stats.max_bytes == 50_000
    assert 30_000 < stats.bytes <= 50_000
    assert stats.size == 4
    assert stats.evictions == 16
    assert f"{stats.bytes:,} of 50,000 bytes" in str(stats)
    agentperf.handle(text).cache.clear()
    assert stats_of(text).bytes == 0


def test_what_is_larger_than_the_whole_cache_is_not_kept(clock):
    """It is told, evicts nothing, and takes the place of nothing that is older."""
    heard = []
    current_host().subscribe(heard.append, CacheRefused)
    size = 100

    @agentperf.cached(max_bytes=20_000)
    def text(n):
        return "x" * size

    text(1)
    text(2)
    size = 50_000
    with agentperf.cache_mode("refresh"):
        assert len(text(1)) == 50_000
    assert [event.reason for event in heard] == ["it is larger than max_bytes"]
    assert agentperf.handle(text).cache.peek(1) is None
    assert len(agentperf.handle(text).cache.peek(2)) == 100
    stats = stats_of(text)
    assert (stats.refused, stats.evictions, stats.size) == (1, 0, 1)


def test_a_cache_of_ones_own_refuses_what_is_too_large(clock):
    """`set` has nobody to give it to instead."""
    pages = Cache(max_bytes="20kB")
    pages.set("a", "x" * 1_000)
    with pytest.raises(UncacheableValueError, match="more than max_bytes"):
        pages.set("b", "x" * 50_000)
    assert 1_000 < pages.stats().bytes < 3_000


@pytest.mark.parametrize("backend", ["memory:lru", "memory:lfu", "memory:ttl", "memory:sieve"])
def test_other_evictions_by_address(clock, backend):
    """They cache as the default one does, with all that belongs to it."""

    @agentperf.cached(ttl=60, backend=backend, max_entries=3, max_bytes="1MB", tags="{n}")
    def square(n):
        return [n * n]

    for n in (1, 2, 1, 3, 4, 1):
        assert square(n) == [n * n]
    stats = stats_of(square)
    assert stats.hits + stats.misses == 6
    assert stats.hits >= 1
    assert (stats.size, stats.max_entries) == (3, 3)
    agentperf.invalidate(tags="4")
    assert agentperf.handle(square).cache.peek(4) is None
    clock.advance(60)
    assert square(4) == [16]
    if backend == "memory:ttl":
        assert stats_of(square).size == 1


@pytest.mark.parametrize("backend", ["memory:", "memory:fifo", "memory:LRU"])
def test_an_eviction_that_does_not_exist_is_refused(backend):
    """The error shows those that do."""
    with pytest.raises(ConfigurationError, match='"memory:lru"'):
        agentperf.cached(backend=backend)


def test_bytes_are_bounded_in_memory_only(tmp_path):
    """The error says how a file is bounded."""
    with pytest.raises(ConfigurationError, match=r"sqlite:~/answers\.db\?max_bytes=1GB"):
        agentperf.cached(max_bytes="1MB", backend=f"sqlite:{tmp_path / 'a.db'}")


# --- recommendation


def of(**figures) -> CacheStats:
    """Figures where nothing stands out, but for these."""
    usual = {"hits": 700, "misses": 300, "stored": 300, "max_entries": 1024, "load_seconds": 1.0}
    return CacheStats(**usual | figures)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"returned": 60}, ["6% of the calls", "max_entries=2_048", '"auto"']),
        ({"returned": 60, "max_bytes": 1_000_000, "size": 10}, ["max_bytes=2_000_000"]),
        ({"expired": 200}, ["67% of the misses", "a longer ttl"]),
        ({"load_seconds": 2e-6}, ["2us", "need not be cached"]),
        ({"hits": 2, "misses": 998, "stored": 998}, ["ignore="]),
        ({"hits": 2, "misses": 998, "stored": 998, "evictions": 900}, ["max_entries=10_240"]),
        (
            {"returned": 60, "sizes_itself": True, "max_bytes": 1_000, "size": 2_000},
            ["max_bytes=2_000"],
        ),
        ({"refused": 300}, ["50% of the answers are not kept", "CacheRefused"]),
        ({"evictions": 200, "gone": 200, "unasked": 190}, ["95% of the entries", "fewer"]),
    ],
)
def test_what_stands_out_is_told_with_a_remedy(figures, words):
    """One sentence, also at the end of the line for people."""
    stats = of(**figures)
    assert stats.recommendation is not None
    for word in words:
        assert word in stats.recommendation
    assert str(stats).endswith(f"; {stats.recommendation}")


def test_a_good_cache_and_a_young_one_are_left_alone():
    """Where nothing stands out, and before there are enough calls to tell."""
    assert of().recommendation is None
    assert of(hits=1, misses=150, stored=150, returned=100).recommendation is None
    assert CacheStats().recommendation is None


def test_a_cache_that_grows_by_itself_is_left_to_it():
    """It is on its way already."""
    assert of(returned=60, sizes_itself=True).recommendation is None


def test_a_backend_that_is_out_of_order_is_told(clock):
    """A cache that never hits says why."""
    backend = MemoryBackend(clock)
    backend.get = lambda key: 1 / 0
    f = agentperf.cached(backend=backend, name="f")(lambda: 1)
    assert stats_of(f).trouble == ""
    f()
    assert stats_of(f).trouble == "ZeroDivisionError"
    assert str(stats_of(f)).endswith("out of order (ZeroDivisionError), the log says why")
    del backend.get
    clock.advance(1)
    f()
    assert stats_of(f).trouble == ""


def test_a_cache_that_is_too_small_says_so(clock):
    """From calls, not from figures made up."""

    @agentperf.cached(max_entries=100)
    def slow(n):
        clock.advance(1)
        return n

    for n in range(2_000):
        slow(n % 110)
    assert "max_entries=200" in str(stats_of(slow).recommendation)


def test_a_key_that_is_never_the_same_is_noticed(clock):
    """Such as one with the time in it."""

    @agentperf.cached
    def answer(question, at):
        clock.advance(0.1)
        return question

    for at in range(300):
        answer("why?", at)
    assert "ignore=" in str(stats_of(answer).recommendation)


def test_many_replies_from_bytes_are_added_up(clock):
    """Each counts as it was when it was given, whatever its reader does to it."""
    reply = {"usage": {"input_tokens": 3, "output_tokens": 2}, "content": ["hello"]}
    f = agentperf.cached(backend=MemoryBackend(clock), name="f", store_if="always")(lambda: reply)
    f()
    for _ in range(1_100):
        f()["usage"]["input_tokens"] = 1_000
    saved = stats_of(f).saved
    assert (saved.input_tokens, saved.output_tokens) == (3_300, 2_200)
