"""Shared limits and breakers on real servers, where each call has an event loop of its own."""

from __future__ import annotations

import asyncio
import uuid

import pytest
import trio

import agentperf
from agentperf.testing import fresh_host
from tests.services import running


@pytest.fixture(scope="module")
def server():
    """Run a server."""
    with running("valkey") as service:
        yield service


@pytest.fixture
def address(server):
    """Return an address with a prefix of the test's own, on a host of its own."""
    with fresh_host():
        yield f"redis://127.0.0.1:{server.port}/0?prefix={uuid.uuid4().hex}:"


def runs(kind, function, *arguments):
    """Run a call on a loop of its own."""
    if kind == "trio":
        return trio.run(function, *arguments)
    return asyncio.run(function(*arguments))


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
def test_a_breaker_opens(address, kind):
    """What the calls saw is told as their loops end; no call is told twice."""

    @agentperf.circuit_breaker(minimum_calls=6, window=6, store=address, name="upstream")
    async def f():
        raise ConnectionError

    outcomes = []
    for _ in range(30):
        with pytest.raises((ConnectionError, agentperf.CircuitOpen)) as caught:
            runs(kind, f)
        outcomes.append(caught.type)
    assert outcomes[:6] == [ConnectionError] * 6
    assert set(outcomes[8:]) == {agentperf.CircuitOpen}


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
def test_a_limit_gets_back_what_was_not_used(address, kind):
    """Also from the last call."""
    options = {"tokens": "10000/day", "store": address, "name": "upstream"}

    @agentperf.rate_limited(**options)
    async def f(prompt, max_tokens=1000):
        agentperf.record(input_tokens=1, output_tokens=1)

    for _ in range(5):
        runs(kind, f, "text")
    with fresh_host():
        other = agentperf.rate_limited(**options)(lambda prompt: None)
        assert 9990 <= agentperf.handle(other).limiter.remaining("text")["tokens"] <= 9992
