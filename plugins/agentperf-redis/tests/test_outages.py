"""A server that is killed, frozen, full or mad: calls go on, and the cache comes back."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import anyio
import pytest
import redis
from agentperf_redis import AsyncRedisBackend, RedisBackend
from agentperf_redis.address import TIMEOUT
from agentperf_redis.commands import Commands

import agentperf
from agentperf import events, handle
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.services import babbling, running, told

LATE = 3.0
"""Seconds that a slow machine may add to a bound before it counts as broken."""


@pytest.fixture
def server():
    """Run a server that the test may maltreat."""
    with running("valkey") as service:
        yield service


@pytest.fixture
def clock():
    """Return the clock of a host of the test's own: pauses take no time."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


class Program:
    """A cached function of some colour, on some loop, that can be called from a test."""

    def __init__(self, way, address, **options):
        self.computed = 0
        self.loop = None if way == "blocking" else way
        policy = agentperf.cached(ttl="1h", backend=address, name="f", **options)
        self.f = policy(self.blocking if self.loop is None else self.awaited)

    def blocking(self, x):
        """Compute."""
        self.computed += 1
        return {"x": x}

    async def awaited(self, x):
        """Compute."""
        return self.blocking(x)

    def calls(self, *arguments):
        """Call it in turn; return how long each call took."""

        async def run():
            taken = []
            for x in arguments:
                began = time.monotonic()
                answer = self.f(x)
                assert (answer if self.loop is None else await answer) == {"x": x}
                taken.append(time.monotonic() - began)
            return taken

        if self.loop is not None:
            return anyio.run(run, backend=self.loop)
        try:
            run().send(None)
        except StopIteration as stop:
            return stop.value


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def way(request):
    """Return a way to call."""
    return request.param


@pytest.fixture
def asked(monkeypatch):
    """Write down what goes to the server, in both colours; seconds would tell of the machine."""
    sent = []
    for name in ("get", "set"):
        original = getattr(Commands, name)

        def spied(self, key, *rest, name=name, original=original):
            sent.append(name)
            return original(self, key, *rest)

        monkeypatch.setattr(Commands, name, spied)
    return sent


def address_of(server):
    """Return where it is."""
    return f"redis://127.0.0.1:{server.port}"


def test_killed_and_started_again(server, way, clock, caplog, asked):
    """Calls go on at once; when it is back, the cache is used again without anybody's doing."""
    program = Program(way, address_of(server))
    with recorded() as log:
        program.calls(1, 1)
        server.kill()
        asked.clear()
        program.calls(*[1] * 20)
        assert program.computed == 21
        assert asked == ["get"]
        server.start()
        clock.advance(1)
        program.calls(1, 1, 1)
        assert program.computed == 22
    assert told(log) == ["down", "up"]
    assert handle(program.f).cache.stats().stored == 2
    levels = [r.message for r in caplog.records if r.levelno >= logging.WARNING]
    assert [text.split()[0] for text in levels] == [
        "cache.backend_failed",
        "cache.backend_works_again",
    ]


def test_frozen(server, way, clock, asked):
    """One call waits, once, for as long as the limit says; each later try is one call again."""
    program = Program(way, address_of(server))
    with recorded() as log:
        program.calls(1)
        server.freeze()
        asked.clear()
        first, *_ = program.calls(*range(2, 30))
        assert TIMEOUT * 0.9 <= first < TIMEOUT + LATE
        assert asked == ["get"]
        clock.advance(1)
        first, *_ = program.calls(*range(2, 30))
        assert TIMEOUT * 0.9 <= first < TIMEOUT + LATE
        assert asked == ["get"] * 2
        assert told(log) == ["down"]
        server.thaw()
        clock.advance(10)
        computed = program.computed
        program.calls(1, 2, 2)
        assert program.computed == computed + 1
    assert told(log) == ["down", "up"]


def test_never_there(way, clock):
    """A server that isn't there at the start is found when it comes."""
    with running("valkey") as server:
        server.kill()
        program = Program(way, address_of(server))
        with recorded() as log:
            program.calls(1, 1, 1)
            assert program.computed == 3
            server.start()
            clock.advance(1)
            program.calls(1, 1)
            assert program.computed == 4
    assert told(log) == ["down", "up"]


def test_closed_refuses(server, clock):
    """With `closed` the first call waits and is refused, the others are refused at once."""
    program = Program("blocking", address_of(server), on_store_failure="closed")
    program.calls(1)
    server.freeze()
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(agentperf.StoreUnavailable):
            program.f(1)
    assert time.monotonic() - began < TIMEOUT + LATE
    assert program.computed == 1
    with pytest.raises(agentperf.BackendError, match="TimeoutError"):
        handle(program.f).cache.invalidate(1)


def test_full(way, clock):
    """What doesn't fit is not stored, and counted; what is there goes on being found."""
    options = ["--maxmemory-policy", "noeviction"]
    with running("valkey", *options) as server, redis.Redis(port=server.port) as looking:
        program = Program(way, address_of(server))
        program.calls(1)
        looking.config_set("maxmemory", 1)
        with recorded() as log:
            program.calls(1, 2, 2, 1)
        assert program.computed == 3
        assert told(log) == []
        reasons = [event.reason for event in log.of(events.CacheRefused)]
        assert reasons == ["its backend can't store it"] * 2
        looking.config_set("maxmemory", 0)
        program.calls(2, 2)
        assert program.computed == 4


@pytest.mark.parametrize(
    "answers",
    [
        [b"no such protocol\r\n"],
        [b"+OK\r\n", b"$-7\r\n"],
        [b"\x00\xff" * 500],
        [b"$1000000\r\nshort"],
        [b""],
    ],
)
def test_nonsense(answers, way, clock, asked):
    """Whatever it answers, the caller gets an answer, and no later than the limit says."""
    with babbling(*answers) as port:
        program = Program(way, f"redis://127.0.0.1:{port}")
        with recorded() as log:
            first, *_ = program.calls(*range(10))
        assert program.computed == 10
        assert first < 2 * TIMEOUT + LATE
        assert asked == ["get"]
        assert told(log) == ["down"]


def test_an_entry_that_is_none_of_ours(server, clock):
    """What can't be read is a miss, and is replaced."""
    program = Program("blocking", address_of(server))
    program.calls(1)
    with redis.Redis(port=server.port) as looking:
        (key,) = (key for key in looking.scan_iter() if not key.endswith(b":l"))
        looking.set(key, b"vgarbage")
        program.calls(1, 1)
        assert program.computed == 2


class Load:
    """Eight callers that go on calling a program, as threads or as tasks of one loop.

    Args:
        program: What they call.
        kind: `"threads"` or `"tasks"`.
        host: Where they call it.
    """

    def __init__(self, program, kind, host):
        self.program = program
        self.calls = [0] * 8
        self.errors = []
        self._stop = threading.Event()
        one_by_one = [lambda number=number: self._in_turn(number) for number in range(8)]
        works = one_by_one if kind == "threads" else [self._together]
        self._threads = [
            threading.Thread(target=self._guarded, args=(host, work)) for work in works
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, host, work):
        try:
            with agentperf.use(host):
                work()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.errors.append(error)

    def _in_turn(self, number):
        while not self._stop.is_set():
            x = (number, self.calls[number] % 5)
            assert self.program.f(x) == {"x": x}
            self.calls[number] += 1

    def _together(self):
        async def caller(number):
            while not self._stop.is_set():
                x = (number, self.calls[number] % 5)
                assert await self.program.f(x) == {"x": x}
                self.calls[number] += 1
                await asyncio.sleep(0)

        async def callers():
            await asyncio.gather(*(caller(number) for number in range(8)))

        asyncio.run(callers())


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_restarted_under_load(server, kind):
    """Every call gets its answer, whenever it is killed; in the end the cache is used again."""
    patient = f"{address_of(server)}?socket_timeout=5&socket_connect_timeout=5"
    program = Program("blocking" if kind == "threads" else "asyncio", patient)
    with fresh_host() as host, recorded() as log:
        with Load(program, kind, host) as load:
            for _ in range(2):
                passed(load.calls, 100)
                server.kill()
                passed(load.calls, 100)
                server.start()
                until(lambda: told(log)[-1:] == ["up"])
            passed(load.calls, 100)
        assert load.errors == []
        assert told(log) == ["down", "up"] * 2
        hits = handle(program.f).cache.stats().hits
        program.calls(*[(9, 9)] * 3)
        assert handle(program.f).cache.stats().hits >= hits + 2


def passed(calls, more):
    """Wait until each caller has made some more calls."""
    wanted = [count + more for count in calls]
    until(lambda: all(now >= then for now, then in zip(calls, wanted, strict=True)))


def until(condition):
    """Wait for something."""
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def gathered(program, arguments):
    """Make calls at once, on one loop; return how long that took."""

    async def run():
        began = time.monotonic()
        answers = await asyncio.gather(*(program.f(x) for x in arguments))
        assert answers == [{"x": x} for x in arguments]
        return time.monotonic() - began

    return asyncio.run(run())


def test_a_crowd(server, clock):
    """More calls at once than connections: they wait their turn, and nothing is computed again."""
    address = f"{address_of(server)}?max_connections=4&socket_timeout=10&socket_connect_timeout=10"
    program = Program("asyncio", address)
    with recorded() as log:
        gathered(program, range(1000))
        gathered(program, range(1000))
    assert program.computed == 1000
    assert told(log) == []


def test_a_crowd_in_front_of_a_frozen_server(server, clock):
    """Those who wait for a connection don't each wait for the server after that."""
    program = Program("asyncio", f"{address_of(server)}?max_connections=2")
    program.calls(0)
    server.freeze()
    with recorded() as log:
        taken = gathered(program, range(200))
    assert taken < 2 * TIMEOUT + LATE
    assert program.computed == 201
    assert told(log) == ["down"]


def test_errors_tell_nothing(server):
    """What a backend raises repeats neither keys nor values."""
    address = address_of(server)
    with redis.Redis(port=server.port) as looking:
        looking.config_set("maxmemory", 1)
        blocking, awaited = RedisBackend(address), AsyncRedisBackend(address)
        many = {"secret-key": b"secret-value", "other": b"secret-value"}
        attempts = [
            lambda: blocking.set_many(many),
            lambda: blocking.set("secret-key", b"secret-value"),
            lambda: asyncio.run(awaited.set_many(many)),
            lambda: asyncio.run(awaited.add("secret-key", b"secret-value")),
        ]
        for attempt in attempts:
            with pytest.raises(agentperf.UncacheableValueError) as caught:
                attempt()
            assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"
