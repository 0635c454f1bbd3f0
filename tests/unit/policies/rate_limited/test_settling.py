"""A limit of tokens is put right by what a call says it used, however it says so."""

from __future__ import annotations

import pytest

import agentperf
from agentperf import Usage, rate_limited, record, timed
from agentperf.events import CallEnded, LeaseSettled
from agentperf.testing import FakeClock, fresh_host, recorded


@pytest.fixture(autouse=True)
def host():
    """A fresh host."""
    with fresh_host(FakeClock()) as host:
        yield host


def left(function):
    """Return what is left of ten thousand tokens."""
    return agentperf.handle(function).limiter.remaining()["tokens"]


def limited(function):
    """Limit a function to ten thousand tokens a minute."""
    return rate_limited(tokens="10_000/min", cost=lambda *_: 500)(function)


def spend(tokens):
    """Note some tokens."""
    record(input_tokens=tokens)
    return "done"


def test_what_is_recorded_settles_it():
    """A function that returns only a text says what it used with `record`."""
    work = limited(lambda: spend(25))
    with recorded(LeaseSettled) as log:
        work()
    assert left(work) == 9_975
    assert [event.used_tokens for event in log] == [25]


@pytest.mark.parametrize("outside", [True, False])
def test_measured_or_not_everybody_sees_it(outside):
    """The figures of the operation and the event of its call have it too."""
    work = timed("op")(limited(lambda: spend(25))) if outside else limited(timed("op")(spend_25))
    with recorded(CallEnded) as log:
        work()
    assert left(work) == 9_975
    assert agentperf.stats()["op"].own_usage.input_tokens == 25
    assert log[0].usage == Usage(25)


def spend_25():
    """Note 25 tokens."""
    return spend(25)


def test_calls_inside_count_too():
    """What measured calls inside spend was spent by the limited one."""
    inner = timed("inner")(lambda: spend(10))
    work = limited(lambda: [inner(), inner(), spend(5)])
    work()
    assert left(work) == 9_975


def test_nothing_counts_twice():
    """An answer that shows the usage which was recorded too is charged once."""

    def call():
        record(input_tokens=20, output_tokens=5)
        return {"usage": {"input_tokens": 20, "output_tokens": 5}}

    work = limited(call)
    work()
    assert left(work) == 9_975


def test_what_failed_keeps_what_it_used():
    """Only the rest comes back."""

    def call():
        spend(25)
        raise ConnectionError

    work = limited(call)
    with pytest.raises(ConnectionError):
        work()
    assert left(work) == 9_975


def test_a_stream_that_records():
    """Its producer works long after the call, and is listened to all the same."""

    def call():
        yield "a"
        spend(25)
        yield "b"

    work = limited(call)
    assert list(work()) == ["a", "b"]
    assert left(work) == 9_975


@pytest.mark.anyio
async def test_asynchronous_calls_and_streams():
    """The same for both asynchronous shapes, on any loop."""

    async def call():
        return spend(25)

    async def stream():
        yield spend(25)

    with fresh_host(FakeClock()):
        work = limited(call)
        await work()
        assert left(work) == 9_975
        work = limited(stream)
        assert [item async for item in work()] == ["done"]
        assert left(work) == 9_975
