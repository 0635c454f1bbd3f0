"""`invalidates`: functions that change what others have cached."""

from __future__ import annotations

import asyncio
import logging

import anyio
import pytest

import agentperf
from agentperf import errors
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import fresh_host
from tests.unit.policies.cached.backed.test_layer import Awaited
from tests.unit.policies.cached.calls import COLOURS, Counted, outcome
from tests.unit.policies.cached.tags.test_tags import PLACES, Counting, place


@pytest.fixture(autouse=True)
def host():
    """Give a world of its own."""
    with fresh_host() as host:
        yield host


def reader(where, tags="item:{x}"):
    """Give a cached function that counts its calls."""
    source = Counted()
    f = agentperf.cached(tags=tags, name="reader", **place(where))(source.function("sync"))
    return source, f


@pytest.mark.anyio
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("colour", COLOURS)
async def test_every_colour(colour, where):
    """After a call, what has the tag is computed anew; the call's answer is its own."""
    source, f = reader(where)
    write = agentperf.invalidates("item:{x}")(Counted(lambda x: [x]).function(colour))
    f(1)
    f(2)
    assert await outcome(write(1)) == [1]
    f(1)
    f(2)
    assert source.calls == 3


@pytest.mark.anyio
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("colour", COLOURS)
async def test_a_call_that_fails(colour, where):
    """It invalidates nothing, and its error passes."""

    def fail(x):
        raise LookupError(x)

    source, f = reader(where)
    write = agentperf.invalidates("item:{x}")(Counted(fail).function(colour))
    f(1)
    with pytest.raises(LookupError):
        await outcome(write(1))
    f(1)
    assert source.calls == 1


@pytest.mark.anyio
@pytest.mark.parametrize("where", PLACES)
async def test_a_stream_that_is_left(where):
    """Only one that was read to its end has done its work."""
    source, f = reader(where)
    write = agentperf.invalidates("item:{x}")(Counted(lambda x: [x, x]).function("generator"))
    f(1)
    stream = write(1)
    next(stream)
    stream.close()
    f(1)
    assert source.calls == 1
    list(write(1))
    f(1)
    assert source.calls == 2


@pytest.mark.parametrize("where", PLACES)
def test_several_and_a_callable(where):
    """Tags come in the forms that `cached` takes."""
    source, f = reader(where, tags=lambda x: f"item:{x}")
    several = agentperf.invalidates("item:{a}", "item:{b}")(lambda a, b: None)
    by_callable = agentperf.invalidates(tags=lambda a, b: [f"item:{a}", f"item:{b}"])(
        lambda a, b: None
    )
    for number, write in enumerate((several, by_callable), 1):
        f(1)
        f(2)
        write(1, b=2)
        f(1)
        f(2)
        assert source.calls == 2 * (number + 1)


def test_it_stacks():
    """It is a policy like any other: one wrapper, in the place where it was written."""
    source, f = reader("memory")
    attempts = []

    @agentperf.timed
    @agentperf.invalidates("item:{x}")
    @agentperf.retry(attempts=2, backoff=0)
    def write(x):
        f(x)
        attempts.append(x)
        if len(attempts) == 1:
            raise ConnectionError

    f(1)
    write(1)
    assert len(attempts) == 2
    f(1)
    assert source.calls == 2
    assert [policy.kind for policy in agentperf.handle(write).pipeline] == [
        "timed",
        "invalidates",
        "retry",
    ]


@pytest.mark.parametrize(
    "make",
    [
        agentperf.invalidates,
        lambda: agentperf.invalidates(lambda x: x),
        lambda: agentperf.invalidates("a", tags="b"),
        lambda: agentperf.invalidates(tags=()),
        lambda: agentperf.invalidates(7),
    ],
)
def test_without_tags(make):
    """Used bare, or with nothing that gives tags, it says how to write it."""
    with pytest.raises(errors.ConfigurationError, match="invalidates: the tags are needed"):
        make()


def test_bad_tags():
    """They are checked when the function is decorated."""
    with pytest.raises(errors.ConfigurationError, match=r"no parameter 'profil'.*did you mean"):
        agentperf.invalidates("item:{profil}")(lambda profile: None)
    with pytest.raises(errors.ConfigurationError, match="gives no tags"):
        agentperf.invalidates("")


def test_what_can_not_be_done_shows_before():
    """An argument without a text, or a backend that must be awaited: nothing was written yet."""
    source = Counted()
    write = agentperf.invalidates("item:{x}")(source.function("sync"))
    with pytest.raises(errors.UncacheableArgumentError):
        write(object())
    reads = agentperf.cached(tags="a", backend=Awaited(MemoryBackend()))(
        Counted().function("async")
    )
    asyncio.run(reads(1))
    with pytest.raises(errors.ConfigurationError, match="has to be awaited"):
        write(1)
    assert source.calls == 0


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.anyio
async def test_a_backend_that_fails(colour, caplog):
    """The call's work is done: its answer comes, and the log tells."""
    backend = Counting()
    agentperf_cache = agentperf.cached(tags="a", backend=backend, name="f")(lambda x: x)
    agentperf_cache(1)
    write = agentperf.invalidates("a")(Counted().function(colour))
    backend.broken = True
    with caplog.at_level(logging.WARNING):
        assert await outcome(write(1)) == [1]
    backend.broken = False
    assert "cache.invalidation_failed" in caplog.text
    assert caplog.text.count("no route") >= 1


def test_cancelled_while_it_invalidates():
    """The write was done: the invalidation comes to its end without the caller."""

    class Slow(Awaited):
        async def set_many(self, values, ttl=None):
            await gate.wait()
            await super().set_many(values, ttl)

    async def go():
        nonlocal gate
        gate = asyncio.Event()
        await f(1)
        task = asyncio.ensure_future(write(1))
        await anyio.wait_all_tasks_blocked()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        await anyio.wait_all_tasks_blocked()
        await f(1)

    gate = None
    source = Counted()
    f = agentperf.cached(tags="a", backend=Slow(MemoryBackend()), name="f")(
        source.function("async")
    )
    write = agentperf.invalidates("a")(Counted().function("async"))
    asyncio.run(go())
    assert source.calls == 2


def test_switched_off():
    """With `enabled=False` it is a plain call."""
    source, f = reader("memory")
    write = agentperf.invalidates("item:{x}", enabled=False)(lambda x: None)
    f(1)
    write(1)
    f(1)
    assert source.calls == 1


def test_a_template_that_names_no_parameter_says_what_to_write():
    """The names stand in the decorator itself."""
    with pytest.raises(
        errors.ConfigurationError, match=r"no parameter 'q'.*@invalidates\(\""
    ) as got:
        agentperf.invalidates("a:{q}")(lambda x: x)
    assert 'write tags="' not in str(got.value)
