"""Model calls in one piece: counted, priced, returned as they are."""

from __future__ import annotations

import asyncio
import threading

import openai
import pydantic
import pytest

import agentperf
from agentperf import events
from agentperf.instrumentation import faults
from agentperf.telemetry.stats import total_usage
from agentperf.testing import fresh_host, recorded
from tests.unit.instrumentation.wire import (
    ASK,
    COMPLETION,
    EMBEDDINGS,
    OPERATION,
    RESPONSE,
    TEXT,
    Body,
    Wire,
)

# gpt-4o-mini: 16 fresh and 4 cached tokens in, 5 out
COST = (16 * 0.15 + 4 * 0.075 + 5 * 0.60) / 1e6


def only(telemetry):
    """Return the one span."""
    (span,) = telemetry.spans()
    return span


@pytest.mark.parametrize("colour", ["sync", "asynchronous"])
@pytest.mark.anyio
async def test_a_chat_completion(instrumented, host, library, colour):
    """Duration, tokens and money are counted; the SDK's own object comes back."""
    client = getattr(Wire(library, COMPLETION).clients(), colour)
    with recorded(events.ModelCallEnded) as log:
        reply = client.chat.completions.create(**ASK, temperature=0.5, max_tokens=9)
        if colour == "asynchronous":
            reply = await reply
    assert type(reply) is openai.types.chat.ChatCompletion
    figures = host.operation_stats(OPERATION)
    assert (figures.calls, figures.completed) == (1, 1)
    assert figures.own_usage == figures.usage
    assert figures.own_usage.cost_usd == pytest.approx(COST)
    assert (figures.usage.input_tokens, figures.usage.output_tokens) == (20, 5)
    assert figures.usage.cached_tokens == 4
    (event,) = log
    assert (event.provider, event.model, event.server) == (
        "openai",
        "gpt-4o-mini",
        "api.openai.com",
    )
    assert event.usage == figures.usage
    assert (event.first_item, event.items, event.error) == (None, None, None)
    span = only(instrumented)
    assert span.name == OPERATION
    assert span.kind.name == "CLIENT"
    assert span.status.status_code.name == "UNSET"
    attributes = dict(span.attributes)
    assert attributes.pop("agentperf.cost_usd") == pytest.approx(COST)
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "openai.api.type": "chat_completions",
        "openai.response.service_tier": "default",
        "openai.response.system_fingerprint": "fp_1",
        "server.address": "api.openai.com",
        "server.port": 443,
    }


def test_its_metrics(instrumented, host):
    """Duration and tokens, with attributes that have few values."""
    Wire("httpx", COMPLETION).clients().sync.chat.completions.create(**ASK)
    points = instrumented.points()
    assert set(points) == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "server.address": "api.openai.com",
        "server.port": 443,
    }
    (duration,) = points["gen_ai.client.operation.duration"]
    assert dict(duration.attributes) == common
    assert duration.explicit_bounds[0] == 0.01
    tokens = {
        point.attributes["gen_ai.token.type"]: point.sum
        for point in points["gen_ai.client.token.usage"]
    }
    assert tokens == {"input": 20, "output": 5}


@pytest.mark.parametrize(
    ("call", "answer", "counted"),
    [
        (
            lambda c: c.embeddings.create(model="text-embedding-3-small", input="x"),
            EMBEDDINGS,
            ("embeddings text-embedding-3-small", (7, 0)),
        ),
        (
            lambda c: c.responses.create(model="gpt-4o-mini", input="x"),
            RESPONSE,
            (OPERATION, (20, 5)),
        ),
        (
            lambda c: c.completions.create(model="gpt-3.5-turbo-instruct", prompt="x"),
            TEXT,
            ("text_completion gpt-3.5-turbo-instruct", (3, 1)),
        ),
        (
            lambda c: c.with_options(timeout=9).chat.completions.create(**ASK),
            COMPLETION,
            (OPERATION, (20, 5)),
        ),
    ],
    ids=["embeddings", "responses", "completions", "with_options"],
)
def test_every_kind_of_call(instrumented, host, call, answer, counted):
    """Each endpoint is counted under its operation and model."""
    operation, tokens = counted
    call(Wire("httpx", answer).clients().sync)
    assert list(host.stats()) == [operation]
    used = host.operation_stats(operation).own_usage
    assert (used.input_tokens, used.output_tokens) == tokens
    assert only(instrumented).name == operation


def test_parsed_into_a_model(instrumented, host):
    """`parse` gives the user's own type, and is one call."""

    class X(pydantic.BaseModel):
        x: int

    client = Wire("httpx", COMPLETION).clients().sync
    chat = client.chat if hasattr(client.chat.completions, "parse") else client.beta.chat
    reply = chat.completions.parse(**ASK, response_format=X)
    assert reply.choices[0].message.parsed == X(x=1)
    assert host.operation_stats(OPERATION).calls == 1
    assert only(instrumented).attributes["gen_ai.output.type"] == "json"


def test_a_raw_response(instrumented, host):
    """The tokens of an answer that has arrived are known before anybody parses it."""
    raw = Wire("httpx", COMPLETION).clients().sync.chat.completions.with_raw_response.create(**ASK)
    assert host.operation_stats(OPERATION).own_usage.output_tokens == 5
    assert raw.parse().usage.completion_tokens == 5
    assert raw.http_response.extensions.keys() <= {"http_version"}
    assert host.operation_stats(OPERATION).calls == 1


@pytest.mark.anyio
async def test_an_async_raw_response(instrumented, host):
    """The same, awaited."""
    client = Wire("httpx", COMPLETION).clients().asynchronous
    raw = await client.chat.completions.with_raw_response.create(**ASK)
    assert host.operation_stats(OPERATION).own_usage.output_tokens == 5
    assert raw.parse().usage.completion_tokens == 5


def test_a_streaming_response_is_left_to_the_program(instrumented, host, library):
    """Nothing is read before the program reads; the end of the body is the end of the call."""
    client = Wire(library, COMPLETION).clients().sync
    with client.chat.completions.with_streaming_response.create(**ASK) as response:
        assert not response.http_response.is_closed
        assert host.operation_stats(OPERATION).calls == 0
        assert b"chatcmpl-1" in response.read()
        assert host.operation_stats(OPERATION).completed == 1
    assert host.operation_stats(OPERATION).calls == 1
    assert response.http_response.elapsed.total_seconds() >= 0
    assert only(instrumented).status.status_code.name == "UNSET"


def test_a_streaming_response_nobody_reads(instrumented, host, library):
    """Leaving its block closes the body: an early close, no error."""
    client = Wire(library, COMPLETION).clients().sync
    with client.chat.completions.with_streaming_response.create(**ASK):
        pass
    assert host.operation_stats(OPERATION).closed == 1
    assert only(instrumented).attributes["agentperf.ending"] == "closed"


@pytest.mark.anyio
async def test_an_async_streaming_response(instrumented, host, library):
    """Lines read by the program end the call with the body."""
    client = Wire(library, Body([b"data: 1\n", b"data: 2\n"])).clients().asynchronous
    create = client.chat.completions.with_streaming_response.create
    async with create(**ASK, stream=True) as response:
        lines = [line async for line in response.iter_lines()]
    assert lines == ["data: 1", "data: 2"]
    figures = host.operation_stats(OPERATION)
    assert (figures.completed, figures.calls, figures.first_item.count) == (1, 1, 1)
    assert response.http_response.elapsed.total_seconds() >= 0


def test_a_refusal(instrumented, host, library):
    """A 429 is a failure with the server's code; the SDK's own error reaches the caller."""
    refused = (429, {"error": {"message": "sk-secret is too fast", "code": "rate_limit_exceeded"}})
    client = Wire(library, refused).clients().sync
    with pytest.raises(openai.RateLimitError), recorded(events.ModelCallEnded) as log:
        client.chat.completions.create(**ASK)
    assert host.operation_stats(OPERATION).errors == {"RateLimitError": 1}
    assert (log[0].ending, log[0].error) == (agentperf.Ending.FAILED, "RateLimitError")
    span = only(instrumented)
    assert span.attributes["error.type"] == "rate_limit_exceeded"
    assert span.status.status_code.name == "ERROR"
    assert "sk-secret" not in span.to_json()
    (point,) = instrumented.points()["gen_ai.client.operation.duration"]
    assert point.attributes["error.type"] == "rate_limit_exceeded"


def test_no_connection(instrumented, host, library):
    """An error of the network is a failure, under the name of the SDK's error."""
    wire = Wire(library)
    wire.answers = [wire.library.ConnectError("refused")]
    with pytest.raises(openai.APIConnectionError):
        wire.clients().sync.chat.completions.create(**ASK)
    assert host.operation_stats(OPERATION).errors == {"APIConnectionError": 1}
    assert only(instrumented).attributes["error.type"] == "openai.APIConnectionError"


def test_retries_are_one_call(instrumented, host, monkeypatch):
    """What the SDK does again by itself is one call, which takes as long as all of it."""
    client = Wire("httpx", (500, {}), COMPLETION).clients(max_retries=1).sync
    monkeypatch.setattr(client, "_calculate_retry_timeout", lambda *_, **__: 0)
    client.chat.completions.create(**ASK)
    assert host.operation_stats(OPERATION).completed == 1
    assert len(instrumented.spans()) == 1


@pytest.mark.anyio
async def test_a_cancelled_call(instrumented, host):
    """A cancelled task is neither success nor failure."""
    client = Wire("httpx", COMPLETION).clients().asynchronous
    waiting = asyncio.Event()

    async def hang(request):
        waiting.set()
        await asyncio.Event().wait()

    library = Wire("httpx").library
    client = client.with_options(
        http_client=library.AsyncClient(transport=library.MockTransport(hang))
    )
    task = asyncio.create_task(client.chat.completions.create(**ASK))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert host.operation_stats(OPERATION).cancelled == 1
    assert only(instrumented).attributes["agentperf.ending"] == "cancelled"


def test_other_requests_are_no_model_calls(instrumented, host):
    """Listing models passes through; what it is to HTTP is counted there."""
    client = Wire("httpx", {"object": "list", "data": []}).clients().sync
    client.models.list()
    assert list(host.stats()) == ["GET api.openai.com"]


def test_providers_are_told_apart(instrumented, host):
    """The host's name or the kind of client says who runs the model."""
    wire = Wire("httpx", COMPLETION)
    http = wire.library.Client(transport=wire.transport)
    groq = openai.OpenAI(api_key="k", base_url="https://api.groq.com/openai/v1", http_client=http)
    azure = openai.AzureOpenAI(
        api_key="k", api_version="1", azure_endpoint="https://my.example.com", http_client=http
    )
    local = openai.OpenAI(api_key="k", base_url="http://localhost:8000/v1", http_client=http)
    with recorded(events.ModelCallEnded) as log:
        for client in (groq, azure, local):
            client.chat.completions.create(**ASK)
    assert [(e.provider, e.server) for e in log] == [
        ("groq", "api.groq.com"),
        ("azure.ai.openai", "my.example.com"),
        ("openai", "localhost"),
    ]
    assert [span.attributes["server.port"] for span in instrumented.spans()] == [443, 443, 8000]


def test_a_model_without_a_price_costs_what_nobody_knows(instrumented, host):
    """Unknown is None, not zero."""
    answer = {**COMPLETION, "model": "own-model"}
    Wire("httpx", answer).clients().sync.chat.completions.create(**{**ASK, "model": "own-model"})
    assert host.operation_stats("chat own-model").own_usage.cost_usd is None


def test_an_odd_answer_is_no_trouble(instrumented, host):
    """A server that leaves things out is counted without them."""
    reply = Wire("httpx", {"hello": "you"}).clients().sync.chat.completions.create(**ASK)
    assert reply.hello == "you"
    assert host.operation_stats(OPERATION).completed == 1
    assert host.operation_stats(OPERATION).own_usage == agentperf.Usage()


def test_a_fault_of_ours_is_not_the_programs(instrumented, host, monkeypatch):
    """What breaks in the observer is swallowed: the call works, uncounted."""
    monkeypatch.setattr(host.tap, "recorder", lambda _: 1 / 0)
    reply = Wire("httpx", COMPLETION).clients().sync.chat.completions.create(**ASK)
    assert reply.id == "chatcmpl-1"
    assert faults._noted == {"openai.request", "http.end"}
    faults._noted.clear()


def test_many_threads(instrumented, host):
    """Counts are exact from several threads."""
    client = Wire("httpx", COMPLETION).clients().sync

    def work():
        with agentperf.use(host):
            for _ in range(20):
                client.chat.completions.create(**ASK)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = host.operation_stats(OPERATION)
    assert (figures.completed, figures.own_usage.output_tokens) == (80, 400)
    assert len(instrumented.spans()) == 80


def test_two_hosts(instrumented, host):
    """The patches are the process's, the figures those of the host at the call."""
    client = Wire("httpx", COMPLETION).clients().sync
    with agentperf.use(agentperf.Host()) as other:
        client.chat.completions.create(**ASK)
    assert other.operation_stats(OPERATION).calls == 1
    assert host.operation_stats(OPERATION).calls == 0


def test_a_disabled_host_sees_nothing(instrumented):
    """With agentperf switched off the call is a plain one."""
    with fresh_host(enabled=False) as off:
        Wire("httpx", COMPLETION).clients().sync.chat.completions.create(**ASK)
        assert off.stats() == {}
    assert instrumented.spans() == ()


@pytest.mark.anyio
async def test_tokens_that_the_program_notes_too_count_once(instrumented, host, library):
    """A program with `record` in it can be run instrumented, and keeps its figures."""
    clients = Wire(library, COMPLETION).clients()

    @agentperf.timed("outer")
    def sync():
        agentperf.record(clients.sync.chat.completions.create(**ASK).usage)
        agentperf.record(input_tokens=3)  # something else

    @agentperf.timed("outer")
    async def asynchronous():
        reply = await clients.asynchronous.chat.completions.create(**ASK)
        agentperf.record(reply, cost_usd=1.0)

    sync()
    await asynchronous()
    figures = host.stats()
    assert figures["outer"].own_usage.input_tokens == 3
    assert figures["outer"].usage.input_tokens == 43
    total = total_usage(figures.values())
    assert (total.input_tokens, total.output_tokens) == (43, 10)
    assert total.cost_usd == pytest.approx(2 * COST)


def test_one_booking_answers_one_note(instrumented, host, library):
    """Noted twice, the second time is the program's own."""
    client = Wire(library, COMPLETION).clients().sync

    @agentperf.timed("outer")
    def call():
        reply = client.chat.completions.create(**ASK)
        agentperf.record(reply)
        agentperf.record(reply)

    call()
    assert host.operation_stats("outer").own_usage.input_tokens == 20
