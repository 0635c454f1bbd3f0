"""Limiters learn from replies that only the clients inside of a function see."""

from __future__ import annotations

import httpx
import openai
import pytest

import agentperf
from agentperf import handle, rate_limited
from agentperf.events import LimitChanged
from agentperf.testing import FakeClock, FakeLLM, fresh_host, recorded
from agentperf.testing.conformance.stores import MemoryStore
from agentperf.testing.fake_llm import Fault, Faults, Pace
from tests.unit.instrumentation.wire import ASK, CHUNKS, COMPLETION, Body, Wire

LEFT = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "7",
    "x-ratelimit-remaining-tokens": "300",
}
ANSWER = (200, COMPLETION, LEFT)
REFUSAL = (429, {"error": {"message": "slow down"}}, {"retry-after": "30"})


@pytest.fixture
def clock(instrumented):
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


def asking(client, policy):
    """Decorate a function that returns only the text of an answer."""

    @policy
    def ask(messages, max_tokens=200):
        reply = client.chat.completions.create(
            model="gpt-4o-mini", messages=messages, max_tokens=max_tokens
        )
        return reply.choices[0].message.content

    return ask


def left(function):
    """Return what its limiter has left."""
    return handle(function).limiter.remaining()


def test_what_the_client_of_a_model_sees(clock, library):
    """The function returns no response; nothing else has to be done."""
    client = Wire(library, ANSWER).clients().sync
    limit = rate_limited("500/min", tokens="90_000/min", learn="replies")
    ask = asking(client, limit)
    assert ask(ASK["messages"]) == '{"x": 1}'
    # What the call gave back at its end is not there, as the upstream counts.
    assert left(ask) == {"requests": 7, "tokens": 300}


@pytest.mark.anyio
async def test_what_an_awaited_client_sees(clock, library):
    """The same."""
    client = Wire(library, ANSWER).clients().asynchronous

    @rate_limited("500/min", learn="replies")
    async def ask():
        await client.chat.completions.create(**ASK)

    await ask()
    assert left(ask) == {"requests": 7}


def test_a_stream_is_heard_of_when_it_begins(clock):
    """Its reader may take his time."""
    body = Body(CHUNKS)
    wire = Wire("httpx", body)
    respond = wire.__call__

    def with_headers(request):
        response = respond(request)
        response.headers.update(LEFT)
        return response

    transport = httpx.MockTransport(with_headers)
    client = openai.OpenAI(api_key="sk-x", http_client=httpx.Client(transport=transport))

    @rate_limited("500/min", learn="replies")
    def ask():
        yield from client.chat.completions.create(**ASK, stream=True)

    stream = ask()
    next(stream)
    assert left(ask) == {"requests": 7}
    assert len(list(stream)) > 1


def test_a_request_of_a_plain_client(clock, library):
    """Any upstream that says so."""
    client = Wire(library, ANSWER)
    http = client.library.Client(transport=client.transport)

    @rate_limited("500/min", learn="replies")
    def fetch():
        return http.get("https://example.org").text

    fetch()
    assert left(fetch) == {"requests": 7}


def test_a_refusal_that_the_client_itself_tries_again(clock):
    """All calls pause for as long as it says, though none failed."""
    client = Wire("httpx", REFUSAL, ANSWER).clients(max_retries=1).sync
    client._sleep_for_retry = lambda **_: None  # the client would sleep in real time
    ask = asking(client, rate_limited("500/min", learn="replies"))
    with recorded(LimitChanged) as log:
        ask(ASK["messages"])
    assert [(event.pause, event.new) for event in log] == [(30.0, 0.75)]
    assert handle(ask).limiter.peek().wait == 30


def test_a_refusal_counts_once(clock):
    """Though the client sees it, and the function raises it."""
    client = Wire("httpx", REFUSAL).clients().sync
    ask = asking(client, rate_limited("500/min", learn="replies"))
    with recorded(LimitChanged) as log, pytest.raises(openai.RateLimitError):
        ask(ASK["messages"])
    clock.advance(4)
    assert [event.pause for event in log] == [30.0]
    assert handle(ask).limiter.peek().wait == 26


def test_an_exhausted_account_slows_nobody_down(clock):
    """A refusal without a time may mean that; the error tells."""
    error = {"error": {"message": "no money", "code": "insufficient_quota"}}
    client = Wire("httpx", (429, error, {})).clients().sync
    ask = asking(client, rate_limited("500/min", learn="replies"))
    with recorded(LimitChanged) as log, pytest.raises(openai.RateLimitError):
        ask(ASK["messages"])
    assert log.names() == []


@pytest.mark.parametrize("learn", ["errors", None])
def test_who_was_not_asked_to_does_not_learn(clock, learn):
    """As before."""
    ask = asking(Wire("httpx", ANSWER).clients().sync, rate_limited("500/min", learn=learn))
    ask(ASK["messages"])
    assert left(ask) == {"requests": 499}


def test_it_is_the_innermost_limiter_that_hears(clock):
    """An agent's limit is not that of the model it calls; two on one function both are."""
    client = Wire("httpx", ANSWER).clients().sync
    inner = rate_limited(tokens="90_000/min", learn="replies")
    ask = rate_limited("600/min", learn="replies")(asking(client, inner))

    @rate_limited("500/min", learn="replies")
    def agent():
        return ask(ASK["messages"])

    @rate_limited("500/min", learn="replies")
    def other():
        """Call nobody."""

    agent(), other()
    assert left(agent) == left(other) == {"requests": 499}
    assert left(ask) == {"requests": 7}
    assert left(inner(len)) == {"tokens": 300}


def test_a_limit_in_a_store_learns_for_all(clock):
    """Another process knows at once."""
    store = MemoryStore(clock)
    limit = {"learn": "replies", "store": store, "name": "openai"}
    ask = asking(Wire("httpx", ANSWER).clients().sync, rate_limited("500/min", **limit))
    ask(ASK["messages"])
    with fresh_host(clock):
        assert left(asking(None, rate_limited("500/min", **limit))) == {"requests": 7}


def test_headers_that_cannot_be_read(clock):
    """The answer is there all the same."""
    client = Wire("httpx", (200, COMPLETION, dict.fromkeys(LEFT, "many"))).clients().sync
    ask = asking(client, rate_limited("500/min", learn="replies"))
    assert ask(ASK["messages"])
    assert left(ask) == {"requests": 499}


def test_over_a_real_connection(instrumented, host):
    """The server refuses, and says until when."""
    faults = Faults(rate=1.0, kinds=(Fault.RATE_LIMIT,), retry_after=3000)
    server = FakeLLM(faults=faults, pace=Pace(scale=0.5))
    with server, openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        ask = asking(client, rate_limited("500/min", learn="replies"))
        with recorded(LimitChanged) as log, pytest.raises(openai.RateLimitError):
            ask(ASK["messages"])
    assert [event.pause for event in log] == [1500.0]
    with pytest.raises(agentperf.RateLimitExceeded, match="a pause that the upstream asked for"):
        ask(ASK["messages"])
