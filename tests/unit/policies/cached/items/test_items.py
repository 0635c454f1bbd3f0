"""`per_item`: what is there of a batch is given, and one call computes the rest."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import hypothesis.strategies as st
import pytest
from hypothesis import given

import agentperf
from agentperf import cached, errors, events, handle
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.unit.policies.cached.calls import PLAIN, aboard, auntil, figures, outcome, until

pytestmark = pytest.mark.anyio


class Trips(MemoryBackend):
    """Tells what it was asked, and fails on demand."""

    shared = True

    def __init__(self, clock=None):
        super().__init__(clock)
        self.trips = []
        self.broken = False

    def _note(self, what):
        self.trips.append(what)
        if self.broken:
            raise ConnectionError("no route")

    def get_many(self, keys):
        """Look for several."""
        self._note("get_many")
        found = {key: MemoryBackend.get(self, key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def set_many(self, values, ttl=None):
        """Store several."""
        self._note("set_many")
        for key, value in values.items():
            MemoryBackend.set(self, key, value, ttl)


class Embedder:
    """Embeds texts; tells what it was asked for."""

    def __init__(self, compute=lambda text: [float(len(text))]):
        self.batches = []
        self._compute = compute

    def results(self, texts):
        """Note, and compute."""
        self.batches.append(list(texts))
        return [self._compute(text) for text in texts]

    def function(self, colour):
        """Make a function of this colour."""

        def embed(texts, model="small"):
            return self.results(texts)

        async def aembed(texts, model="small"):
            return self.results(texts)

        return embed if colour == "sync" else aembed


@pytest.fixture(params=["memory", "bytes"])
def place(request):
    """Options that say where the entries are."""
    return {} if request.param == "memory" else {"backend": Trips(), "name": "embeddings"}


@pytest.mark.parametrize("colour", PLAIN)
async def test_only_what_is_missing_is_computed(fresh_host, colour, place):
    """In one call, with the function's other arguments; order and duplicates are kept."""
    source = Embedder()
    f = cached(per_item="texts", **place)(source.function(colour))
    assert await outcome(f(["a", "bb", "a"])) == [[1.0], [2.0], [1.0]]
    assert await outcome(f(["ccc", "bb", "dddd", "ccc"])) == [[3.0], [2.0], [4.0], [3.0]]
    assert await outcome(f(["bb"], model="large")) == [[2.0]]
    assert await outcome(f(texts=["a", "bb"])) == [[1.0], [2.0]]
    assert source.batches == [["a", "bb"], ["ccc", "dddd"], ["bb"]]
    # Each item counts: a second one of a batch was made together with the first.
    assert figures(f) == (3, 5, 2)


@pytest.mark.parametrize("colour", PLAIN)
async def test_nothing_is_asked_for_nothing(fresh_host, colour, place):
    """An empty list needs no call."""
    source = Embedder()
    f = cached(per_item="texts", **place)(source.function(colour))
    assert await outcome(f([])) == []
    assert source.batches == []
    assert figures(f) == (0, 0, 0)


@given(st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=6))
def test_it_gives_what_the_function_gives(batches):
    """Whatever was asked before, and every item is computed once."""
    seen = []

    @cached(per_item="numbers")
    def double(numbers):
        seen.extend(numbers)
        return [[2 * number] for number in numbers]

    with fresh_host():
        for batch in batches:
            assert double(batch) == [[2 * number] for number in batch]
    assert sorted(seen) == sorted({number for batch in batches for number in batch})


def test_tuples_are_taken_and_given(fresh_host):
    """The function gets what the caller passed; the annotation says what the caller gets."""
    kinds = []

    @cached(per_item="texts")
    def embed(texts: tuple[str, ...]) -> tuple[int, ...]:
        kinds.append(type(texts))
        return tuple(map(len, texts))

    assert embed(("a", "bb")) == embed(["a", "bb"]) == (1, 2)
    assert embed(["ccc"]) == (3,)
    assert kinds == [tuple, list]


def test_a_backend_is_asked_twice_for_a_batch(fresh_host):
    """One round trip to look, one to store; tags come along with the first."""
    backend = Trips()
    f = cached(per_item="texts", backend=backend, name="e")(Embedder().function("sync"))
    f(["a", "b", "c"])
    assert backend.trips == ["get_many", "set_many"]
    f(["a", "b", "c"])
    assert backend.trips == ["get_many", "set_many", "get_many"]


@pytest.mark.parametrize("how", ["open", "closed"])
def test_a_backend_out_of_order(fresh_host, how):
    """Is passed over, or told of."""
    backend, source = Trips(), Embedder()
    f = cached(per_item="texts", backend=backend, name="e", on_store_failure=how)(
        source.function("sync")
    )
    backend.broken = True
    if how == "closed":
        with pytest.raises(errors.StoreUnavailable):
            f(["a"])
        return
    assert f(["a"]) == f(["a"]) == [[1.0]]
    assert backend.trips == ["get_many"]  # the second call doesn't wait for it


@pytest.mark.parametrize("colour", PLAIN)
async def test_items_expire_each_for_itself(colour):
    """The time to live of an item counts from when it was computed."""
    clock, source = FakeClock(), Embedder()
    with fresh_host(clock):
        f = cached("10s", per_item="texts")(source.function(colour))
        await outcome(f(["a"]))
        clock.advance("6s")
        await outcome(f(["a", "b"]))
        clock.advance("5s")
        await outcome(f(["a", "b"]))
    assert source.batches == [["a"], ["b"], ["a"]]


async def test_nobody_changes_what_others_get(fresh_host, place):
    """Not the leader, not who had a hit, not through a duplicate."""
    f = cached(per_item="texts", **place)(Embedder().function("sync"))
    for _ in range(2):
        first, second = f(["a", "a"])
        first.append("spoilt")
        assert second == [1.0]
        second.append("spoilt")


def test_key_tags_and_store_if_see_one_item(fresh_host, place):
    """To them each item is a call of its own."""
    source = Embedder()
    f = cached(
        per_item="texts",
        key=lambda texts, model="small": texts.lower(),
        tags="text:{texts}",
        store_if=lambda result: result != [2.0],
        **place,
    )(source.function("sync"))
    assert f(["A", "a", "bb"]) == [[1.0], [1.0], [2.0]]
    assert f(["a", "bb", "c"]) == [[1.0], [2.0], [1.0]]
    agentperf.invalidate(tags="text:A")
    f(["A", "c"])
    assert source.batches == [["A", "bb"], ["bb", "c"], ["A"]]


def test_tenants_are_kept_apart(fresh_host, place):
    """As for any cache."""
    source = Embedder()
    f = cached(per_item="texts", ignore="model", **place)(source.function("sync"))
    for tenant in ["acme", "globex", "acme"]:
        with agentperf.scope(tenant=tenant):
            f(["a"], model=tenant)
    assert source.batches == [["a"], ["a"]]


async def test_a_shared_item_is_computed_once(fresh_host, place):
    """Of two batches at the same time, the second waits for what the first is at."""
    batches, gate = [], anyio.Event()

    @cached(per_item="texts", **place)
    async def embed(texts):
        batches.append(texts)
        await gate.wait()
        return [[text] for text in texts]

    results = {}

    async def call(name, texts):
        results[name] = await embed(texts)

    async with anyio.create_task_group() as group:
        group.start_soon(call, "first", ["a", "b"])
        await auntil(lambda: len(batches) == 1)
        group.start_soon(call, "second", ["b", "c"])
        await auntil(lambda: len(batches) == 2)
        gate.set()
    assert batches == [["a", "b"], ["c"]]
    assert results == {"first": [["a"], ["b"]], "second": [["b"], ["c"]]}
    assert figures(embed) == (0, 3, 1)


def test_threads_share_items_both_ways(fresh_host):
    """Each computes a part of what the other needs; neither waits for ever."""
    both = threading.Barrier(2, timeout=20)
    batches = []

    @cached(per_item="texts")
    def embed(texts):
        batches.append(texts)
        if len(texts) == 1:
            until(lambda: aboard(embed) >= 3)
        both.wait()
        return [[text] for text in texts]

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(embed, ["a"])
        until(lambda: len(batches) == 1)
        second = pool.submit(embed, ["b", "a"])
        assert first.result(20) == [["a"]]
        assert second.result(20) == [["b"], ["a"]]
    assert sorted(batches) == [["a"], ["b"]]


async def test_anothers_failure_is_not_shared(fresh_host):
    """Another item of its batch may have been at fault: what was waited for is asked for anew."""
    batches, gate = [], anyio.Event()

    @cached(per_item="texts")
    async def embed(texts):
        batches.append(texts)
        await gate.wait()
        if "bad" in texts:
            raise LookupError("bad")
        return [[text] for text in texts]

    outcomes = []

    async def call(texts):
        try:
            outcomes.append(await embed(texts))
        except LookupError as error:
            outcomes.append(str(error))

    async with anyio.create_task_group() as group:
        group.start_soon(call, ["bad", "a"])
        await auntil(lambda: len(batches) == 1)
        group.start_soon(call, ["a"])
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert sorted(map(str, outcomes)) == ["[['a']]", "bad"]
    assert batches == [["bad", "a"], ["a"]]
    assert aboard(embed) == 0


async def test_whoever_is_cancelled_leaves_alone(fresh_host):
    """The computation goes on, for who waits and for the cache."""
    batches, gate, given = [], anyio.Event(), []

    @cached(per_item="texts")
    async def embed(texts):
        batches.append(texts)
        await gate.wait()
        return [[text] for text in texts]

    async def follow():
        given.append(await embed(["b"]))

    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()

        async def lead():
            with scope:
                await embed(["a", "b"])

        group.start_soon(lead)
        await auntil(lambda: len(batches) == 1)
        group.start_soon(follow)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert given == [[["b"]]]
    assert await embed(["a", "b"]) == [["a"], ["b"]]
    assert batches == [["a", "b"]]


def test_a_function_may_call_itself(fresh_host):
    """What waits for the batch can't wait for an item of it."""
    batches = []

    @cached(per_item="texts")
    def embed(texts):
        batches.append(texts)
        if len(texts) > 1:
            return [embed([text])[0] for text in texts]
        return [[text] for text in texts]

    assert embed(["a", "b"]) == [["a"], ["b"]]
    assert batches == [["a", "b"], ["a"], ["b"]]


@pytest.mark.parametrize("colour", PLAIN)
@pytest.mark.parametrize(
    ("result", "told"),
    [([[1.0]], "has 1"), ([[1.0]] * 3, "has 3"), ({"a": 1}, "is dict"), (None, "is NoneType")],
)
async def test_a_result_of_another_shape_is_an_error(fresh_host, colour, result, told, place):
    """It names the parameter and says what is needed; nothing is kept."""

    class Wrong(Embedder):
        def results(self, texts):
            return result

    f = cached(per_item="texts", **place)(Wrong().function(colour))
    for _ in range(2):
        with pytest.raises(errors.UncacheableValueError) as raised:
            await outcome(f(["a", "b"]))
        assert "per_item='texts': 2 items were asked for, and the result " + told in str(
            raised.value
        )
    assert handle(f).cache.stats().stored == 0


@pytest.mark.parametrize("given", ["text", {"a"}, iter(["a"]), None])
def test_what_is_no_list_is_refused(fresh_host, given):
    """Text is a sequence too, of what nobody means."""
    f = cached(per_item="texts")(Embedder().function("sync"))
    with pytest.raises(errors.UncacheableArgumentError, match=r"takes a list or a tuple") as raised:
        f(given)
    assert raised.value.parameter == "texts"


def test_a_wrong_call_is_the_functions_own_error(fresh_host):
    """As Python says it."""
    f = cached(per_item="texts")(Embedder().function("sync"))
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'texts'"):
        f()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_item": "text"}, "no parameter 'text' \\(did you mean 'texts'\\?\\)"),
        ({"per_item": "rest"}, "no single list"),
        ({"per_item": "texts", "ignore": "texts"}, "doesn't count"),
        ({"per_item": "texts", "key": "model"}, "doesn't count"),
        ({"per_item": "texts", "key": "{model}"}, "doesn't count"),
        ({"per_item": "texts", "ttl": 5, "stale": 5}, "stale= doesn't go with per_item="),
        ({"per_item": "texts", "negative_ttl": 5}, "negative_ttl= doesn't go with per_item="),
        ({"per_item": "texts", "on_abandon": "cancel"}, "doesn't go with per_item="),
    ],
)
def test_what_makes_no_sense_is_refused_at_decoration(options, message):
    """With the reason."""

    def embed(texts, model="small", *rest):
        raise AssertionError("it must not run")

    with pytest.raises(errors.ConfigurationError, match=message):
        cached(**options)(embed)


def test_a_stream_is_refused_at_decoration():
    """It has no result for each item."""
    with pytest.raises(errors.ConfigurationError, match="gives a stream"):

        @cached(per_item="texts")
        def embed(texts):
            yield from texts


def test_methods_and_defaults(fresh_host):
    """`self` counts as ever; a default is a batch like any other."""

    class Model:
        @cached(per_item="texts")
        def embed(self, texts=("a",), /):
            return [[text, id(self)] for text in texts]

    one, other = Model(), Model()
    assert one.embed()[0] == one.embed(["a"])[0] != other.embed(["a"])[0]
    assert handle(one.embed).cache.peek(["a", "b"]) == [["a", id(one)], None]


async def test_the_handle_takes_batches(fresh_host, place):
    """What is there for each, and away with all of them."""
    f = cached(per_item="texts", **place)(Embedder().function("async"))
    await handle(f).cache.awarm({"texts": ["a", "bb"]})
    cache = handle(f).cache
    assert await cache.apeek(["a", "zzz"], default="none") == [[1.0], "none"]
    with recorded(events.CacheInvalidated) as log:
        assert await cache.ainvalidate(["a", "bb", "c"])
    assert len(log) == 2
    assert await cache.apeek(["a", "bb"]) == [None, None]
    assert "texts: str by value" in str(cache.explain(["a"]))
    with pytest.raises(errors.ConfigurationError, match="ask for one"):
        cache.explain(["a", "b"])


def test_cache_modes(fresh_host, place):
    """Bypass, refresh and only what is there, by item."""
    source = Embedder()
    f = cached(per_item="texts", tags="all", **place)(source.function("sync"))
    f(["a"])
    with agentperf.cache_mode("refresh"):
        f(["a", "b", "b"])
        assert f([]) == []
    with agentperf.cache_mode("bypass"):
        f(["a"])
    with agentperf.cache_mode("only_if_cached"):
        assert f(["b", "a"]) == [[1.0], [1.0]]
        with pytest.raises(errors.CacheMissError, match="1 of 2 items"):
            f(["a", "c"])
    assert source.batches == [["a"], ["a", "b"], ["a"]]


def test_a_computation_says_how_its_items_are_kept(fresh_host, place):
    """For the whole of the batch it computes."""
    source = Embedder()

    @cached(per_item="texts", **place)
    def embed(texts):
        agentperf.cache_control(store="b" not in texts)
        return source.results(texts)

    embed(["a"])
    embed(["a", "b"])
    embed(["a", "b"])
    assert source.batches == [["a"], ["b"], ["b"]]


async def test_what_is_invalidated_meanwhile_is_not_kept(fresh_host, place):
    """It still serves who waits."""
    source = Embedder()

    @cached(per_item="texts", **place)
    async def embed(texts):
        if not source.batches:
            await handle(embed).cache.ainvalidate(["a"])
        return source.results(texts)

    assert await embed(["a", "b"]) == [[1.0], [1.0]]
    await embed(["a", "b"])
    assert source.batches == [["a", "b"], ["a"]]
    assert handle(embed).cache.stats().refused == 1


def test_one_result_that_cannot_be_kept_spoils_no_other(fresh_host, place):
    """It is computed again, the others are not."""
    source = Embedder(lambda text: threading.Lock() if text == "lock" else text)
    f = cached(per_item="texts", **place)(source.function("sync"))
    f(["lock", "a", "lock"])
    f(["lock", "a"])
    assert source.batches == [["lock", "a"], ["lock"]]


def test_a_closed_loop_leaves_nothing_behind(fresh_host):
    """A batch whose loop was closed under it is computed by who asks next."""
    source = Embedder()

    @cached(per_item="texts")
    async def embed(texts):
        if not source.batches:
            source.batches.append(texts)
            await asyncio.sleep(3600)
        return source.results(texts)

    async def begin():
        task = asyncio.ensure_future(embed(["a"]))
        await auntil(lambda: bool(source.batches))
        task.cancel()

    asyncio.run(begin())
    assert asyncio.run(embed(["a"])) == [[1.0]]
    assert aboard(embed) == 0
