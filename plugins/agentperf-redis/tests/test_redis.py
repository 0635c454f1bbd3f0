"""The contract and the promises of the Redis backend, on real servers."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import uuid

import anyio
import pytest
import redis
from agentperf_redis import AsyncRedisBackend, RedisBackend, RedisStore

import agentperf
from agentperf.config import Settings
from agentperf.testing import fresh_host
from agentperf.testing.conformance import BackendConformance
from tests.services import installed, running

PATIENT = "socket_timeout=10&socket_connect_timeout=10&timeout=10"


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(request):
    """Run each kind of server."""
    with running(request.param) as service:
        yield service


@pytest.fixture
def address(server):
    """Return an address with a prefix of the test's own."""
    return f"redis://127.0.0.1:{server.port}/0?prefix={uuid.uuid4().hex}:&{PATIENT}"


@pytest.fixture
def looking(server):
    """Look into the server without us."""
    with redis.Redis(port=server.port) as client:
        yield client


class OfBoth(BackendConformance):
    """The suite for backends, in a corner of a server of its own."""

    ttl = 0.3
    kind = RedisBackend

    @pytest.fixture(autouse=True)
    def _address(self, address):
        self.address = address

    def make(self):
        """Make an empty one."""
        return self.kind(self.address)


class TestBlocking(OfBoth):
    """For calls that block."""


class TestAsynchronous(OfBoth):
    """For calls that are awaited."""

    kind = AsyncRedisBackend


class TestOnASocket(OfBoth):
    """The same over a Unix socket."""

    @pytest.fixture(autouse=True)
    def _address(self, server):
        self.address = f"unix://{server.folder / 'socket'}?prefix={uuid.uuid4().hex}:&{PATIENT}"


del OfBoth


def counted(looking, run):
    """Return what commands the server ran meanwhile."""
    looking.config_resetstat()
    run()
    stats = looking.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
    ours = ("get", "mget", "set", "unlink", "scan", "evalsha", "eval", "del", "script|load")
    return {name: calls[name] for name in ours if name in calls}


def test_a_hit_is_one_command(address, looking):
    """Nothing is asked before or after; a miss looks, takes a lease, and stores in one script."""
    miss = {"get": 2, "set": 3, "evalsha": 1}  # what the script does is counted too
    RedisBackend(address).set_if("k", b"", guard="g", token=b"", mark=b"", mark_ttl=1)  # known now

    @agentperf.cached(ttl="1h", backend=address, name="f")
    def f(x):
        return [x]

    @agentperf.cached(ttl="1h", backend=address, name="g")
    async def g(x):
        return [x]

    async def twice():
        return await g(1), await g(1)

    with fresh_host():
        assert counted(looking, lambda: f(1)) == miss
        assert counted(looking, lambda: f(1)) == {"get": 1}
        assert counted(looking, lambda: asyncio.run(twice())) == {**miss, "get": 3}


def test_what_is_one_round_trip(address, looking):
    """Several keys go together; a compare is one script, sent in full when the server forgot it."""
    backend = RedisBackend(address)
    values = {f"k{number}": b"v" for number in range(50)}
    assert counted(looking, lambda: backend.set_many(values, 60)) == {"set": 50}
    assert counted(looking, lambda: backend.get_many(values)) == {"mget": 1}
    assert counted(looking, lambda: backend.delete_many(values)) == {"unlink": 1}
    looking.script_flush()
    backend.set("key", b"old")
    first = counted(looking, lambda: backend.replace("key", b"old", b"new"))
    again = counted(looking, lambda: backend.replace("key", b"new", b"newer"))
    assert (first["evalsha"], first["eval"]) == (1, 1)
    assert (again["evalsha"], again.get("eval")) == (1, None)
    assert backend.get("key") == b"newer"
    backend.close()


def test_keys_and_times_on_the_server(server, looking):
    """Keys begin with the prefix, times are milliseconds; clearing touches nobody else's."""
    looking.flushall()
    looking.set("somebody's", b"value")
    backend = RedisBackend(f"redis://127.0.0.1:{server.port}?{PATIENT}")
    backend.set("ap1:f", b"value", 12.3456)
    assert sorted(looking.keys()) == [b"agentperf:ap1:f", b"somebody's"]
    assert 12_000 < looking.pttl("agentperf:ap1:f") <= 12_346
    other = RedisBackend(f"redis://127.0.0.1:{server.port}?prefix=agent*:&{PATIENT}")
    other.set("key", b"value")
    other.clear()
    assert sorted(looking.keys()) == [b"agentperf:ap1:f", b"somebody's"]
    backend.clear()
    assert looking.keys() == [b"somebody's"]
    backend.set_many({f"ap1:{number}": b"" for number in range(2500)})
    backend.clear("ap1:")
    assert looking.keys() == [b"somebody's"]


def test_threads_and_loops(address):
    """Threads, loops one after another and loops at once: everybody sees the same entries."""
    computed = []

    def compute(x):
        computed.append(x)
        return {"x": x}

    @agentperf.cached(ttl="1h", backend=address, name="shared")
    async def awaited(x):
        return compute(x)

    @agentperf.cached(ttl="1h", backend=address, name="shared")
    def blocking(x):
        return compute(x)

    async def several():
        return await asyncio.gather(*(awaited(x) for x in range(20)))

    wanted = [{"x": x} for x in range(20)]
    with fresh_host() as host:
        assert asyncio.run(several()) == wanted
        assert asyncio.run(several()) == wanted
        assert anyio.run(blocked_on, awaited, backend="trio") == {"x": 3}

        def work():
            with agentperf.use(host):
                answers.append(asyncio.run(several()))
                answers.append([blocking(x) for x in range(20)])

        answers = []
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [wanted] * 8
    assert sorted(computed) == list(range(20))


async def blocked_on(function):
    """Call it under whichever loop runs."""
    return await function(3)


def test_connections_close_with_their_loop(address, looking):
    """No connection outlives its loop, and nothing is left to warn about."""
    backend = AsyncRedisBackend(address)

    async def use():
        await asyncio.gather(*(backend.set(f"k{number}", b"v") for number in range(10)))

    before = len(looking.client_list())
    for _ in range(3):
        asyncio.run(use())
    gc.collect()
    assert len(looking.client_list()) <= before
    assert backend._lines._things == {}
    assert backend._lines._keepers == {}


def test_a_loop_that_was_never_shut_down(address):
    """Its connections are dropped when another loop comes."""
    backend = AsyncRedisBackend(address)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(backend.set("key", b"v"))
    loop.run_until_complete(backend.close())
    loop.run_until_complete(backend.close())
    backend._lines._things[loop] = backend._lines._keepers[loop] = None
    loop.close()
    assert asyncio.run(backend.get("key")) == b"v"
    assert backend._lines._keepers == {}


def test_a_cancelled_call_mixes_nothing_up(address):
    """Whoever comes next on the connection gets its own answer."""
    backend = AsyncRedisBackend(f"{address}&max_connections=1")

    async def main():
        for number in range(20):
            await backend.set(f"k{number}", b"%d" % number)
        for number in range(20):
            task = asyncio.create_task(backend.get(f"k{number}"))
            for _ in range(number % 5):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await backend.get(f"k{19 - number}") == b"%d" % (19 - number)

    asyncio.run(main())


CHILD = """
import sys, agentperf
@agentperf.cached(ttl="1h", backend=sys.argv[1], name="between processes")
def answer(question):
    print("computed")
    return {"answer": question}
print(answer("why?"))
"""


def test_processes_share(address):
    """What one process computed, the other finds."""
    command = [sys.executable, "-c", CHILD, address]
    first, second = (subprocess.check_output(command, text=True).split("\n") for _ in range(2))
    assert first == ["computed", "{'answer': 'why?'}", ""]
    assert second == ["{'answer': 'why?'}", ""]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_after_a_fork(address):
    """A child opens connections of its own; neither gets the other's answers."""
    blocking, awaited = RedisBackend(address), AsyncRedisBackend(address)
    values = {f"k{number}": b"%d" % number for number in range(50)}
    blocking.set_many(values)
    asyncio.run(awaited.get("k1"))

    def check():
        for _ in range(20):
            assert blocking.get_many(values) == values
            assert asyncio.run(awaited.get_many(values)) == values

    child = multiprocessing.get_context("fork").Process(target=check)
    child.start()
    check()
    child.join(30)
    assert child.exitcode == 0


def test_with_a_password(tmp_path):
    """It is used, and shows nowhere."""
    with running("valkey", "--requirepass", "hunter2") as service:
        address = f"valkey://:hunter2@127.0.0.1:{service.port}/0?{PATIENT}"
        backend, wrong = RedisBackend(address), RedisBackend(address.replace("r2@", "r3@"))
        backend.set("key", b"value")
        assert backend.get("key") == b"value"
        with pytest.raises(redis.AuthenticationError) as caught:
            wrong.get("key")
        for shown in (repr(backend), repr(AsyncRedisBackend(address)), repr(caught.value)):
            assert "hunter" not in shown
        assert repr(backend) == f"<RedisBackend valkey://127.0.0.1:{service.port}/0>"


def test_over_tls(tmp_path):
    """`rediss` speaks TLS and checks who answers."""
    openssl = installed("openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, *made, *files], check=True, capture_output=True)
    with running("redis") as service, redis.Redis(port=service.port) as client:
        client.config_set("tls-cert-file", str(certificate))
        client.config_set("tls-key-file", str(key))
        client.config_set("tls-auth-clients", "no")
        client.config_set("port", 0)
        client.config_set("tls-port", service.port)
        address = f"rediss://127.0.0.1:{service.port}?{PATIENT}"
        trusting = RedisBackend(f"{address}&ssl_ca_certs={certificate}")
        trusting.set("key", b"value")
        assert trusting.get("key") == b"value"
        awaited = AsyncRedisBackend(f"{address}&ssl_ca_certs={certificate}")
        assert asyncio.run(awaited.get("key")) == b"value"
        with pytest.raises(redis.ConnectionError, match="certificate"):
            RedisBackend(address).get("key")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("redis:localhost", "goes on with //"),
        ("redis://u:hunter2@localhost:port", "host or port"),
        ("redis://u:hunter2@localhost/first", "number of a database"),
        ("redis://u:hunter2@localhost?prefx=a", "no option 'prefx'"),
        (
            "redis://u:hunter2@localhost?socket_timeout=hunter2",
            "the option 'socket_timeout' has a value",
        ),
        ("unix://", "names no socket"),
    ],
)
def test_bad_addresses(address, reason):
    """The error says what is wrong; it shows a good address, and never a password."""

    @agentperf.cached(backend=address, name="f")
    def f():
        return 1

    with fresh_host(), pytest.raises(agentperf.ConfigurationError, match=reason) as caught:
        f()
    assert "redis://localhost:6379/0?prefix=myapp:" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis:localhost:6379", "redis:localhost:6379"),
        ("redis://localhost:63x9", "redis://localhost:***"),
        ("redis://hunter2:hunter2@localhost:port/0", "redis://***@localhost:***"),
        ("redis://:hunt/er2@localhost:6379/first", "redis://***@localhost:6379/first"),
        ("redis://:hunt?er2@localhost/first?pasword=hunter2", "redis://***@localhost/first?..."),
        ("redis://u:hunter2", "redis://u:***"),
    ],
)
def test_a_bad_address_of_a_store_shows_which(address, shown):
    """Of several stores one knows which is meant, and reads no password."""
    with pytest.raises(agentperf.ConfigurationError) as caught:
        RedisStore(address)
    assert f"store={shown!r}: " in str(caught.value)
    assert "er2" not in str(caught.value)


def test_agentperf_finds_it():
    """It is installed with this checkout."""
    listed = {plugin.origin.plugin: plugin for plugin in agentperf.Host().plugins.listed()}
    assert listed["redis"].state == "loaded"
    assert len(listed["redis"].offers) == 2  # caches and stores
    for names in listed["redis"].offers.values():
        assert sorted(names) == ["redis", "rediss", "unix", "valkey", "valkeys"]


def test_offering_loads_no_client():
    """Who uses another plugin doesn't wait for redis-py to be imported."""
    code = "import agentperf, sys; agentperf.Host().plugins.load(); print('redis' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


def test_the_bare_word():
    """`backend="redis"` is the server of this machine."""
    assert repr(RedisBackend("redis")) == "<RedisBackend redis://localhost:6379>"


@pytest.mark.anyio
async def test_items_of_a_batch_are_signed_and_take_two_round_trips(address, looking):
    """One to look, one to store, whatever the size of the batch; nobody else can write them."""
    secret = "a secret of many characters"
    asked = []

    def trips():
        stats = looking.info("commandstats")
        names = ("cmdstat_mget", "cmdstat_set", "cmdstat_setex", "cmdstat_get")
        return {name: int(stats[name]["calls"]) for name in names if name in stats}

    with agentperf.use(agentperf.Host(settings=Settings(cache_secret=secret))):

        @agentperf.cached("1h", per_item="texts", backend=address, name="embeddings")
        async def embed(texts):
            asked.append(texts)
            return [[float(len(text))] for text in texts]

        assert await embed(["a", "bb", "a"]) == [[1.0], [2.0], [1.0]]
        before = trips()
        assert await embed(["bb", "a"] * 50) == [[2.0], [1.0]] * 50
        after = trips()
        assert sum(after.values()) - sum(before.values()) == 1
        for key in looking.keys("*:ap1:embeddings:*"):
            looking.set(key, b"vap\x01\x00\x00\x01")
        assert await embed(["a", "ccc"]) == [[1.0], [3.0]]
    assert asked == [["a", "bb"], ["a", "ccc"]]
