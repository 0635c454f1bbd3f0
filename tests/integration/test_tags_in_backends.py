"""Tags in every backend that others share: a file, and real servers."""

from __future__ import annotations

import contextvars
import itertools
import logging
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import anyio
import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

import agentperf
from agentperf import cache_control, cached, errors, events, handle
from agentperf.policies.cached.decorator import TAGGED
from agentperf.policies.cached.tags import owed
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.services import running
from tests.unit.policies.cached.calls import COLOURS, PLAIN, Counted, outcome

pytestmark = pytest.mark.anyio

SERVERS = ["valkey", "redis", "memcached"]
PATIENT = {"memcached": "timeout=10"} | dict.fromkeys(
    ["valkey", "redis"], "socket_timeout=10&socket_connect_timeout=10&timeout=10"
)


def address_of(kind, port, patience=""):
    """Give an address with a prefix of the test's own."""
    scheme = "memcached" if kind == "memcached" else "redis"
    return f"{scheme}://127.0.0.1:{port}?prefix={uuid.uuid4().hex}:&{patience}".rstrip("&")


@pytest.fixture(scope="module", params=["sqlite", *SERVERS])
def fresh_address(request, tmp_path_factory):
    """Run a server, or find a folder; return what gives an empty place there."""
    if request.param == "sqlite":
        folder, numbers = tmp_path_factory.mktemp("tags"), itertools.count()
        yield lambda: f"sqlite:{folder / str(next(numbers))}.db"
        return
    with running(request.param) as server:
        yield lambda: address_of(request.param, server.port, PATIENT[request.param])


@pytest.fixture
def address(fresh_address):
    """Give an empty place."""
    return fresh_address()


@pytest.fixture(autouse=True)
def clock():
    """Give a world of its own, whose time stands still."""
    TAGGED.clear()  # what other tests decorated would be reached too, on servers that are gone
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


async def invalidate(colour, *tags):
    """Invalidate in a colour."""
    if "async" in colour:
        await agentperf.ainvalidate(tags=tags)
    else:
        agentperf.invalidate(tags=tags)


@pytest.mark.parametrize("colour", COLOURS)
async def test_every_colour(address, colour):
    """What has one of the tags is computed anew, what doesn't is still there."""
    sources = [Counted(), Counted()]
    functions = [
        cached(ttl="1h", tags=("all", "item:{x}"), backend=address, name=f"f{number}")(
            source.function(colour)
        )
        for number, source in enumerate(sources)
    ]

    async def calls():
        for f, x in itertools.product(functions, (1, 2)):
            assert await outcome(f(x)) == [x]
        return [source.calls for source in sources]

    assert await calls() == await calls() == [2, 2]
    await invalidate(colour, "item:3", "ALL")
    assert await calls() == [2, 2]
    await invalidate(colour, "item:1")
    assert await calls() == await calls() == [3, 3]
    await invalidate(colour, "all", "item:1")
    assert await calls() == await calls() == [5, 5]
    assert [handle(f).cache.stats().invalidated for f in functions] == [3, 3]


@pytest.mark.parametrize("colour", COLOURS)
async def test_another_process_invalidates(address, colour, clock):
    """One that never called the function, too."""
    source = Counted()
    f = cached(ttl="1h", tags="item:{x}", backend=address, name="f")(source.function(colour))
    await outcome(f(1))
    with fresh_host(clock):
        await invalidate(colour, "item:1")
    await outcome(f(1))
    assert source.calls == 2
    with fresh_host(clock):
        await outcome(f(1))
    assert source.calls == 2


@pytest.mark.parametrize("colour", PLAIN)
async def test_old_and_invalidated(address, colour, clock):
    """What is old is given while a new one is made, what is invalidated is gone."""
    source = Counted()
    f = cached(ttl="1h", stale="1h", tags="a", backend=address, name="f")(source.function(colour))
    await outcome(f())
    clock.advance("61m")
    with recorded(events.CacheHit) as log:
        await outcome(f())
        for _ in range(2000):
            if handle(f).cache.stats().stored == 2:
                break
            await anyio.sleep(0.005)
        await outcome(f())
    assert [event.stale for event in log] == [True, False]
    assert source.calls == 2
    clock.advance("61m")
    await invalidate(colour, "a")
    await outcome(f())
    assert source.calls == 3


@pytest.mark.parametrize("colour", PLAIN)
async def test_a_computation_under_way(address, colour):
    """It serves those who wait, is not kept, and is joined by nobody any more."""
    begun, go_on, state = threading.Event(), threading.Event(), ["old"]

    def compute():
        value = state[0]
        if value == "old":
            begun.set()
            go_on.wait(20)
        return value

    f = cached(ttl="1h", tags="a", backend=address, name="f")(compute)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(contextvars.copy_context().run, f)
        begun.wait(20)
        state[0] = "new"
        await invalidate(colour, "a")
        assert f() == "new"
        go_on.set()
        assert first.result(20) == "old"
    assert f() == "new"
    assert handle(f).cache.stats().misses == 2


@pytest.mark.parametrize("colour", PLAIN)
async def test_tags_that_the_function_names(address, colour, clock):
    """They hold for all processes, and for what was named after it changed."""
    found, calls, meanwhile = [[1, 2]], [], []

    async def compute():
        calls.append(1)
        answer = list(found[0])
        if meanwhile:
            with fresh_host(clock):  # as another process does
                await agentperf.ainvalidate(tags=meanwhile.pop())
        cache_control(tags=[f"doc:{one}" for one in answer])
        return answer

    f = cached(ttl="1h", tags=(), backend=address, name="f")(compute)
    await f()
    await f()
    with fresh_host(clock):
        await invalidate(colour, "doc:2")
    found[0] = [3]
    assert await f() == await f() == [3]
    assert len(calls) == 2
    await invalidate(colour, "doc:2")
    await f()
    assert len(calls) == 2
    await invalidate(colour, "doc:3")
    found[0], meanwhile[:] = [4], ["doc:4"]
    await f()
    clock.advance("1m")
    await f()
    await f()
    assert len(calls) == 4


async def test_so_many_that_all_are_invalidated(address, monkeypatch, caplog):
    """Without the versions nothing with tags is good; what has none stays."""
    monkeypatch.setattr(owed, "MOST", 2)
    source = Counted()
    tagged = cached(ttl="1h", tags="a", backend=address, name="f")(source.function("sync"))
    plain = cached(ttl="1h", backend=address, name="g")(source.function("sync"))
    tagged()
    plain()
    debt = owed.owed_to(*_place_of(tagged))
    debt.add(("x", "y", "z"), ConnectionError())
    with caplog.at_level(logging.WARNING):
        tagged()
        plain()
        tagged()
    assert source.calls == 3
    assert not debt


def _place_of(function):
    """Give the host and the backend of a cached function."""
    cache = handle(function).cache
    return cache._host, cache._host.backend(cache._policy.options.backend)


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("colour", PLAIN)
async def test_a_server_that_was_out_of_reach(kind, colour, clock, caplog):
    """What it missed is made up for; until then its entries are not given here."""
    with running(kind) as server:
        address, source = address_of(kind, server.port), Counted()
        f = cached(ttl="1h", tags="a", backend=address, name="f")(source.function(colour))
        await outcome(f())
        await outcome(f())
        assert source.calls == 1
        server.freeze()
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                with pytest.raises(errors.BackendError):
                    await agentperf.ainvalidate(tags="a")
            await outcome(f())
            server.thaw()
            clock.advance("1m")
            await outcome(f())
            assert source.calls == 3
            with fresh_host(clock):
                await outcome(f())
            assert source.calls == 3
        told = [record.message for record in caplog.records]
    assert told.count("cache.invalidation_failed") == 1
    assert told.count("cache.invalidations_made_up tags=1") == 1


def test_threads(address):
    """No read that begins after an invalidation gives what was there before."""
    state, announced, wrong = [0], [0], []
    f = cached(ttl="1h", tags="a", backend=address, name="f")(lambda: state[0])
    stop = threading.Event()

    def read():
        while not stop.is_set():
            least = announced[0]
            value = f()
            if value < least:
                wrong.append((value, least))

    threads = [threading.Thread(target=contextvars.copy_context().run, args=(read,)) for _ in "ab"]
    for thread in threads:
        thread.start()
    for number in range(1, 30):
        state[0] = number
        agentperf.invalidate(tags="a")
        announced[0] = number
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


class TwoProcesses(RuleBasedStateMachine):
    """Two hosts read, change and invalidate what is in one place; the truth is the model."""

    place = None

    def __init__(self):
        super().__init__()
        self.truth = dict.fromkeys(range(3), 0)
        self.hosts = [agentperf.Host(clock=FakeClock()) for _ in "ab"]
        self.held = set()
        self.computed = 0
        self.f = cached(
            ttl="1h",
            tags=lambda x: (f"item:{x}", f"parity:{x % 2}"),
            backend=type(self).place(),
            name="f",
        )(self.compute)

    def compute(self, x):
        """Read the truth."""
        self.computed += 1
        return self.truth[x]

    @rule(who=st.integers(0, 1), x=st.integers(0, 2))
    def read(self, who, x):
        """A read gives the truth; it computes only what isn't there."""
        before = self.computed
        with agentperf.use(self.hosts[who]):
            assert self.f(x) == self.truth[x]
        assert self.computed - before == (x not in self.held)
        self.held.add(x)

    @rule(who=st.integers(0, 1), x=st.integers(0, 2))
    def change(self, who, x):
        """Change one thing, and say so."""
        self.truth[x] += 1
        with agentperf.use(self.hosts[who]):
            agentperf.invalidate(tags=f"item:{x}")
        self.held.discard(x)

    @rule(who=st.integers(0, 1), parity=st.integers(0, 1))
    def change_several(self, who, parity):
        """Change all of one kind, and say so."""
        for x in self.truth:
            if x % 2 == parity:
                self.truth[x] += 1
                self.held.discard(x)
        with agentperf.use(self.hosts[who]):
            agentperf.invalidate(tags=f"parity:{parity}")

    @rule(who=st.integers(0, 1), x=st.integers(0, 2))
    def remove(self, who, x):
        """The handle removes a key."""
        with agentperf.use(self.hosts[who]):
            assert handle(self.f).cache.invalidate(x) is (x in self.held) or x not in self.held
        self.held.discard(x)

    @rule(who=st.integers(0, 1))
    def clear(self, who):
        """The handle clears."""
        with agentperf.use(self.hosts[who]):
            handle(self.f).cache.clear()
        self.held.clear()


def test_two_processes_against_the_model(fresh_address):
    """No order of reads, changes and invalidations gives a stale answer or computes in vain."""
    machine = type("Machine", (TwoProcesses,), {"place": staticmethod(fresh_address)})
    run_state_machine_as_test(machine, settings=settings(max_examples=15, deadline=None))
