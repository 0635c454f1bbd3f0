"""What a backend that was out of reach missed of invalidations."""

from __future__ import annotations

import logging

import pytest

import agentperf
from agentperf import cached, errors
from agentperf.abc import Backends
from agentperf.policies.cached.tags import owed as owing
from agentperf.policies.cached.tags.owed import Owed, owed_to
from agentperf.policies.cached.tags.versions import PREFIX
from agentperf.testing import fresh_host
from tests.unit.policies.cached.backed.test_layer import Awaited
from tests.unit.policies.cached.calls import COLOURS, Counted, outcome
from tests.unit.policies.cached.tags.test_tags import Counting

pytestmark = pytest.mark.anyio


class Deaf(Counting):
    """Answers, but doesn't take what invalidates while it is deaf."""

    deaf = False

    def set_many(self, values, ttl=None):
        """Store several."""
        if self.deaf:
            raise TimeoutError
        super().set_many(values, ttl)


@pytest.fixture
def host(fake_clock):
    """Give a world of its own."""
    with fresh_host(fake_clock) as host:
        yield host


@pytest.fixture
def backend():
    """Give a backend that can be made to fail."""
    return Deaf()


async def fails_to_invalidate(colour, *tags):
    """Invalidate where that fails."""
    if "async" in colour:
        with pytest.raises(errors.BackendError):
            await agentperf.ainvalidate(tags=tags)
        return
    with pytest.raises(errors.BackendError):
        agentperf.invalidate(tags=tags)


@pytest.mark.parametrize("colour", COLOURS)
async def test_made_up_for_by_the_next_call(host, fake_clock, backend, colour):
    """The first call that reaches it tells it first; for all processes."""
    source = Counted()
    pair = Backends(sync=backend, asynchronous=Awaited(backend))
    f = cached(tags="a", backend=pair, name="f")(source.function(colour))
    g = cached(tags="b", backend=pair, name="g")(source.function(colour))
    await outcome(f())
    await outcome(g())
    backend.broken = True
    await fails_to_invalidate(colour, "a")
    await outcome(f())
    assert source.calls == 3
    backend.broken = False
    fake_clock.advance("1m")
    await outcome(g())  # another function, with another tag
    assert source.calls == 3
    with fresh_host(fake_clock):  # another process
        await outcome(f())
    assert source.calls == 4
    await outcome(f())
    assert source.calls == 4


@pytest.mark.parametrize("colour", COLOURS)
async def test_until_then_nothing_is_taken_from_it(host, fake_clock, backend, colour):
    """Also where it answers: what it has may be void."""
    source = Counted()
    f = cached(tags="a", backend=backend, name="f")(source.function(colour))
    await outcome(f())
    backend.deaf = True
    await fails_to_invalidate(colour, "a")
    for _ in range(3):
        await outcome(f())
        fake_clock.advance("1m")
    assert source.calls == 4
    backend.deaf = False
    await outcome(f())
    await outcome(f())
    assert source.calls == 5


def test_made_up_for_by_the_next_invalidation(host, backend):
    """A process that only invalidates need not call anything."""
    source = Counted()
    f = cached(tags="{x}", backend=backend, name="f")(source.function("sync"))
    with fresh_host():
        f("a")
        f("b")
    backend.deaf = True
    with pytest.raises(errors.BackendError):
        agentperf.invalidate(tags="a")
    backend.deaf = False
    agentperf.invalidate(tags="b")
    assert not owed_to(host, Backends(sync=backend))
    with fresh_host():
        f("a")
        f("b")
    assert source.calls == 4


def test_told_once(host, fake_clock, backend, caplog):
    """That it fails, and that it was made up for."""
    f = cached(tags="a", backend=backend, name="f")(Counted().function("sync"))
    write = agentperf.invalidates("a")(lambda: None)
    f()
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        caplog.clear()
        backend.deaf = True
        for _ in range(3):
            write()
        with pytest.raises(errors.BackendError):
            agentperf.invalidate(tags="b")
        backend.deaf = False
        f()
        f()
        told = [record.message for record in caplog.records]
        assert told == ["cache.invalidation_failed", "cache.invalidations_made_up tags=2"]


def test_too_many(host, fake_clock, backend, caplog, monkeypatch):
    """Then all tags are invalidated: rather a miss than an old answer."""
    monkeypatch.setattr(owing, "MOST", 3)
    source = Counted()
    f = cached(tags="{x}", backend=backend, name="f")(source.function("sync"))
    plain = cached(backend=backend, name="g")(source.function("sync"))
    for x in "ab":
        f(x)
    plain(1)
    backend.deaf = True
    for number in range(9):
        with pytest.raises(errors.BackendError):
            agentperf.invalidate(tags=f"t{number}")
    backend.deaf = False
    with caplog.at_level(logging.WARNING):
        for x in "ab":
            f(x)
        plain(1)
    assert source.calls == 5
    assert caplog.text.count("cache.too_many_invalidations") == 1
    assert "tags=all" in caplog.text
    f("a")
    assert source.calls == 5
    assert not owed_to(host, Backends(sync=backend))


async def test_what_is_added_during_a_delivery_stays():
    """It may have changed after the delivery was sent."""
    owed, sent = Owed(lambda: 1.0), []

    class Backend:
        def set_many(self, versions, ttl):
            sent.append(len(versions))
            if len(sent) == 1:
                owed.add(("a",), ValueError())

        def clear(self, prefix):
            sent.append(prefix)
            if len(sent) == 3:
                owed.add(tuple(str(number) for number in range(owing.MOST + 1)), ValueError())

    async def ask(work):
        return work(Backend())

    owed.add(("a", "b"), ValueError())
    await owed.deliver(ask)
    assert owed
    await owed.deliver(ask)
    assert not owed
    assert sent == [2, 1]
    owed.add(tuple(str(number) for number in range(owing.MOST + 1)), ValueError())
    await owed.deliver(ask)
    assert owed
    await owed.deliver(ask)
    assert not owed
    assert sent == [2, 1, PREFIX, PREFIX]


async def test_a_long_list_goes_in_parts():
    """Each within the patience for one request; what was delivered is not sent again."""
    owed, sent = Owed(lambda: 1.0), []

    class Backend:
        def set_many(self, versions, ttl):
            if len(sent) == 1:
                sent.append(0)
                raise TimeoutError
            sent.append(len(versions))

    async def ask(work):
        return work(Backend())

    owed.add(tuple(str(number) for number in range(1200)), ValueError())
    with pytest.raises(TimeoutError):
        await owed.deliver(ask)
    await owed.deliver(ask)
    assert sent == [500, 0, 500, 200]
    assert not owed
