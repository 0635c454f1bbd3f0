"""Tokens belong to the model call; what stands around it shows them as inclusive."""

from __future__ import annotations

import openai

import agentperf
from agentperf import events
from agentperf.telemetry.stats import total_usage
from agentperf.testing import recorded
from tests.unit.instrumentation.wire import ASK, CHUNKS, COMPLETION, OPERATION, Body, Wire


def test_a_timed_function_around_a_call(instrumented, host):
    """The leaf has spent the tokens, the function includes them, the total counts them once."""
    client = Wire("httpx", COMPLETION).clients().sync

    @agentperf.timed("outer")
    @agentperf.rate_limited(tokens="1000000/min")
    def outer():
        return client.chat.completions.create(**ASK)

    with agentperf.measure("region"):
        outer()
    stats = host.stats()
    assert stats[OPERATION].own_usage.total_tokens == 25
    for name in ("outer", "region"):
        assert stats[name].own_usage.total_tokens == 0
        assert stats[name].usage.total_tokens == 25
    assert total_usage(stats.values()).total_tokens == 25
    assert host.tap.usage().cost_usd == stats[OPERATION].own_usage.cost_usd


def test_a_function_of_the_same_name(instrumented, host):
    """An operation that is called what the model call is called counts the tokens once too."""
    client = Wire("httpx", COMPLETION).clients().sync
    agentperf.timed(OPERATION)(lambda: client.chat.completions.create(**ASK))()
    assert host.operation_stats(OPERATION).usage.total_tokens == 25


def test_a_stream_that_outlives_its_function(instrumented, host):
    """The tokens of a stream are known at its end; they belong to the function that began it."""
    client = Wire("httpx", Body(CHUNKS)).clients().sync

    @agentperf.timed("outer")
    def outer():
        return client.chat.completions.create(**ASK, stream=True)

    list(outer())
    assert host.operation_stats("outer").usage.total_tokens == 25
    assert host.tap.usage().total_tokens == 25


def test_a_hit_spends_nothing(instrumented, host):
    """A call that is answered from the cache is no model call."""
    client = Wire("httpx", COMPLETION).clients().sync

    @agentperf.timed("outer")
    @agentperf.cached
    def outer():
        return client.chat.completions.create(**ASK).id

    with recorded(events.ModelCallEnded) as log:
        outer()
        outer()
    assert len(log) == 1
    assert host.operation_stats("outer").calls == 2
    assert host.tap.usage().total_tokens == 25


def test_a_client_inside_a_client(instrumented, host):
    """A model call that is made in order to answer another one is part of it."""
    inner = Wire("httpx", COMPLETION).clients().sync
    wire = Wire("httpx", COMPLETION)

    def gateway(request):
        inner.chat.completions.create(**ASK)
        return wire(request)

    http = wire.library.Client(transport=wire.library.MockTransport(gateway))
    openai.OpenAI(api_key="k", http_client=http).chat.completions.create(**ASK)
    assert host.operation_stats(OPERATION).calls == 1
    assert host.tap.usage().total_tokens == 25
