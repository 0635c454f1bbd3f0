"""The fake model server, through the real openai client."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from agentperf.errors import ConfigurationError, MissingExtraError
from agentperf.testing.fake_llm import FakeLLM, Fault, Faults, Message, Pace, Price, app, server

FACT = "Fact: My sister Clara lives in Ghent."
QUESTION = "Where does my sister live?"
PROMPT: list[Any] = [{"role": "system", "content": FACT}, {"role": "user", "content": QUESTION}]
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def running() -> Iterator[FakeLLM]:
    """One server for all tests of this module that need nothing special."""
    with FakeLLM() as llm:
        yield llm


@pytest.fixture
def llm(running: FakeLLM) -> Iterator[FakeLLM]:
    """The server, with fresh counts and without faults."""
    running.reset()
    running.faults = Faults()
    return running


@pytest.fixture
def client(llm: FakeLLM) -> Iterator[openai.OpenAI]:
    """A client of the server that doesn't retry."""
    with openai.OpenAI(base_url=llm.base_url, api_key="none", max_retries=0) as client:
        yield client


def post(llm: FakeLLM, body: object, path: str = CHAT) -> http.client.HTTPResponse:
    """Send a request without any SDK."""
    connection = http.client.HTTPConnection("127.0.0.1", llm.port)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, data, {"connection": "close"})
    return connection.getresponse()


def body(**more: object) -> dict[str, object]:
    """Return the body of a chat request."""
    return {"model": "fake-chat", "messages": PROMPT, **more}


def test_chat_completion(llm: FakeLLM, client: openai.OpenAI) -> None:
    """A chat completion answers from the prompt's facts, and its usage is the server's count."""
    made = client.chat.completions.create(model="fake-chat", messages=PROMPT)
    assert "Ghent" in (made.choices[0].message.content or "")
    assert made.choices[0].finish_reason == "stop"
    assert made.usage is not None
    assert made.usage.prompt_tokens == llm.stats().input_tokens > 0
    assert made.usage.completion_tokens == llm.stats().output_tokens > 0


def test_streamed_chat_completion(llm: FakeLLM, client: openai.OpenAI) -> None:
    """A stream brings the same answer token by token, then usage in a chunk without choices."""
    whole = client.chat.completions.create(model="fake-chat", messages=PROMPT)
    llm.reset()
    with client.chat.completions.create(
        model="fake-chat", messages=PROMPT, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    pieces = [
        c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content
    ]
    assert "".join(pieces) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert chunks[-1].choices == []
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert len(pieces) == llm.stats().output_tokens


def test_a_stream_carries_usage_only_when_asked(client: openai.OpenAI) -> None:
    """Without `include_usage` no chunk has usage."""
    with client.chat.completions.create(model="m", messages=PROMPT, stream=True) as stream:
        assert all(chunk.usage is None and chunk.choices for chunk in stream)


def test_response(llm: FakeLLM, client: openai.OpenAI) -> None:
    """The responses endpoint answers too; instructions belong to the prompt."""
    made = client.responses.create(model="fake-chat", input=QUESTION, instructions=FACT)
    assert "Ghent" in made.output_text
    assert made.status == "completed"
    assert made.usage is not None
    assert made.usage.input_tokens == llm.stats().input_tokens
    assert made.usage.output_tokens == llm.stats().output_tokens


def test_response_with_a_list_of_parts(client: openai.OpenAI) -> None:
    """Input may be messages, and their content may be parts."""
    parts: Any = [
        {"role": "user", "content": [{"type": "input_text", "text": f"{FACT}\n{QUESTION}"}]}
    ]
    assert "Ghent" in client.responses.create(model="m", input=parts).output_text


def test_streamed_response(client: openai.OpenAI) -> None:
    """The client's own helper puts the events together to the same answer."""
    whole = client.responses.create(model="fake-chat", input=QUESTION, instructions=FACT)
    with client.responses.stream(model="fake-chat", input=QUESTION, instructions=FACT) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == final.output_text == whole.output_text
    assert final.usage == whole.usage


@pytest.mark.parametrize("packed", [True, False])
def test_embeddings(llm: FakeLLM, client: openai.OpenAI, packed: bool) -> None:
    """Vectors come in the order of the texts, the same whether packed as base64 or not."""
    encoding: Any = {} if packed else {"encoding_format": "float"}
    made = client.embeddings.create(model="fake-embedding", input=["one tea", "two"], **encoding)
    assert [entry.index for entry in made.data] == [0, 1]
    assert all(len(entry.embedding) == 256 for entry in made.data)
    alone = client.embeddings.create(model="fake-embedding", input="two", dimensions=256)
    assert made.data[1].embedding == pytest.approx(alone.data[0].embedding, abs=1e-6)
    assert made.usage.prompt_tokens == 3
    assert llm.stats().input_tokens == 4
    assert llm.stats().output_tokens == 0


def test_embeddings_of_token_numbers(client: openai.OpenAI) -> None:
    """Numbers instead of text are accepted as the API accepts them."""
    assert len(client.embeddings.create(model="m", input=[1, 2, 3]).data) == 1
    assert len(client.embeddings.create(model="m", input=[[1, 2], [3]]).data) == 2


def test_models(client: openai.OpenAI) -> None:
    """Models can be listed and looked up."""
    assert [model.id for model in client.models.list()] == ["fake-chat", "fake-embedding"]
    assert client.models.retrieve("fake-chat").id == "fake-chat"


def test_other_paths_are_not_found(llm: FakeLLM, client: openai.OpenAI) -> None:
    """What the server doesn't offer is a 404 in the API's own shape, and counted as an error."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.moderations.create(input="x")
    assert isinstance(caught.value.body, dict)
    assert "POST /v1/moderations" in caught.value.body["message"]
    assert llm.stats().errors == 1


@pytest.mark.parametrize(
    ("path", "sent", "says"),
    [
        (CHAT, b"{", "JSON object"),
        (CHAT, [], "JSON object"),
        (CHAT, {"messages": PROMPT}, "model"),
        (CHAT, {"model": "m"}, "messages"),
        (CHAT, {"model": "m", "messages": []}, "messages"),
        (CHAT, {"model": "m", "messages": ["hi"]}, "messages"),
        ("/v1/responses", {"model": "m"}, "input"),
        ("/v1/embeddings", {"model": "m", "input": []}, "input"),
        ("/v1/embeddings", {"model": "m", "input": 7}, "input"),
        ("/v1/embeddings", {"model": "m", "input": "x", "dimensions": 0}, "dimensions"),
    ],
)
def test_malformed_requests_are_refused(llm: FakeLLM, path: str, sent: object, says: str) -> None:
    """A bad body is a 400 that says what is missing."""
    response = post(llm, sent, path)
    error = json.loads(response.read())["error"]
    assert response.status == 400
    assert says in error["message"]
    assert error["type"] == "invalid_request_error"


def test_equal_requests_get_equal_bytes(llm: FakeLLM) -> None:
    """The answer depends on nothing but seed and request, down to its id and time stamp."""
    assert post(llm, body()).read() == post(llm, body()).read()
    assert post(llm, body(stream=True)).read() == post(llm, body(stream=True)).read()
    assert (
        json.loads(post(llm, body()).read())["id"]
        != json.loads(post(llm, body(top_p=1)).read())["id"]
    )


def test_the_server_counts_itself(llm: FakeLLM, client: openai.OpenAI) -> None:
    """Calls, by endpoint, tokens and cost add up; reset begins at zero."""
    client.chat.completions.create(model="m", messages=PROMPT)
    client.chat.completions.create(model="m", messages=PROMPT)
    client.embeddings.create(model="m", input="one two three")
    stats = llm.stats()
    assert stats.calls == 3
    assert stats.by_endpoint == {CHAT: 2, "/v1/embeddings": 1}
    assert stats.errors == 0
    read, price = stats.input_tokens - 3, Price()
    spent = read * price.input + 3 * price.embedding + stats.output_tokens * price.output
    assert stats.cost_usd == pytest.approx(spent / 1_000_000)
    assert [path for path, _ in llm.received] == [CHAT, CHAT, "/v1/embeddings"]
    assert llm.received[0][1]["messages"] == PROMPT
    llm.reset()
    assert llm.stats().calls == llm.stats().input_tokens == llm.stats().cost_usd == 0
    assert llm.received == ()


def test_calls_in_flight_are_counted(llm: FakeLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """The highest number of requests at work at the same time is kept."""
    three = asyncio.Barrier(3)

    async def until_three_are_in(moment: float) -> None:
        await three.wait()

    monkeypatch.setattr(app, "_sleep_until", until_three_are_in)
    with ThreadPoolExecutor(3) as pool:
        for response in pool.map(lambda n: post(llm, body(user=str(n))), range(3)):
            assert response.status == 200
    assert llm.stats().in_flight_max == 3


def test_tokens_are_sent_when_they_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first token is due after TTFT, each further one a token's time later."""
    due: list[float] = []

    async def note(moment: float) -> None:
        due.append(moment)

    monkeypatch.setattr(app, "_sleep_until", note)
    pace = Pace(ttft=3, tokens_per_second=2, embedding=7)
    with FakeLLM(pace=pace, answer=lambda _: "one two three") as llm:
        start = time.perf_counter()
        post(llm, body(stream=True)).read()
        streamed, due = [moment - start for moment in due], []
        post(llm, body()).read()
        post(llm, {"model": "m", "input": "x"}, "/v1/embeddings").read()
        whole, embedding = (moment - start for moment in due)
    assert sorted({round(moment * 2) / 2 for moment in streamed}) == [3, 3.5, 4, 4.5]
    assert round(whole * 2) / 2 == 4.5
    assert round(embedding * 2) / 2 == 7


def test_own_answers(llm: FakeLLM) -> None:
    """A test can say itself what the model answers."""

    def shout(messages: Any) -> str:
        assert messages == [Message("user", "hello")]
        return "HELLO"

    with FakeLLM(answer=shout) as loud:
        request = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
        said = json.loads(post(loud, request).read())
    assert said["choices"][0]["message"]["content"] == "HELLO"


def test_rate_limit_fault(llm: FakeLLM, client: openai.OpenAI) -> None:
    """A limited request is a 429 that says how long to wait; it costs no tokens."""
    llm.faults = Faults(rate=1, kinds=(Fault.RATE_LIMIT,), retry_after="1500ms")
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="m", messages=PROMPT)
    assert caught.value.response.headers["retry-after"] == "1.500"
    assert caught.value.response.headers["retry-after-ms"] == "1500"
    assert (llm.stats().errors, llm.stats().input_tokens) == (1, 0)


def test_server_error_fault(llm: FakeLLM, client: openai.OpenAI) -> None:
    """A failing request is a 500, on every endpoint."""
    llm.faults = Faults(rate=1, kinds=(Fault.SERVER_ERROR,))
    with pytest.raises(openai.InternalServerError):
        client.embeddings.create(model="m", input="x")
    assert llm.stats().errors == 1


@pytest.mark.parametrize("stream", [True, False])
def test_cut_fault(llm: FakeLLM, stream: bool) -> None:
    """A cut answer begins well and ends too early, as a stream and in one piece."""
    llm.faults = Faults(rate=1, kinds=(Fault.CUT,))
    response = post(llm, body(stream=stream))
    assert response.status == 200
    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    assert b"chat.completion" in caught.value.partial
    assert b"[DONE]" not in caught.value.partial
    assert llm.stats().errors == 1


def test_a_rate_limit_that_does_not_say_how_long(llm: FakeLLM, client: openai.OpenAI) -> None:
    """Some servers send no Retry-After."""
    llm.faults = Faults(rate=1, kinds=(Fault.RATE_LIMIT,), retry_after=None)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="m", messages=PROMPT)
    assert not [name for name in caught.value.response.headers if name.startswith("retry-after")]


def test_hang_fault(llm: FakeLLM, client: openai.OpenAI) -> None:
    """Nothing comes, and the client loses patience; the server is there for others meanwhile."""
    llm.faults = Faults(script=[Fault.HANG])
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.1).chat.completions.create(model="m", messages=PROMPT)
    assert post(llm, body()).status == 200
    assert llm.stats().errors == 1


def test_a_server_that_hangs_can_be_stopped() -> None:
    """Its clients learn of it."""
    with FakeLLM(faults=Faults(rate=1, kinds=(Fault.HANG,))) as hanging:
        connection = http.client.HTTPConnection("127.0.0.1", hanging.port)
        connection.request("POST", CHAT, json.dumps(body()))
        while not hanging.stats().errors:
            time.sleep(0.01)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        connection.getresponse()
    connection.close()


@pytest.mark.parametrize("stream", [True, False])
def test_reset_fault(llm: FakeLLM, client: openai.OpenAI, stream: bool) -> None:
    """The connection is gone before the answer begins; the next one is served."""
    llm.faults = Faults(script=[Fault.RESET, Fault.RESET, None])
    with pytest.raises(openai.APIConnectionError):
        client.chat.completions.create(model="m", messages=PROMPT, stream=stream)
    with pytest.raises(ConnectionError):
        post(llm, body(stream=stream))
    assert post(llm, body(stream=stream)).status == 200
    assert llm.stats().errors == 2


def test_garbage_fault(llm: FakeLLM, client: openai.OpenAI) -> None:
    """An answer that is none, as it comes from a proxy."""
    llm.faults = Faults(rate=1, kinds=(Fault.GARBAGE,))
    with pytest.raises(json.JSONDecodeError):
        client.chat.completions.create(model="m", messages=PROMPT)
    with (
        pytest.raises(json.JSONDecodeError),
        client.chat.completions.create(model="m", messages=PROMPT, stream=True) as stream,
    ):
        list(stream)
    assert b"Bad Gateway" in post(llm, body(input="x"), "/v1/embeddings").read()
    assert llm.stats().errors == 3


def test_a_script(llm: FakeLLM, client: openai.OpenAI) -> None:
    """First it fails, then it works; then the rate decides, until the script begins anew."""

    def outcome() -> str:
        try:
            client.chat.completions.create(model="m", messages=PROMPT)
        except openai.APIError as error:
            return type(error).__name__
        return "answer"

    first = ["RateLimitError", "answer", "InternalServerError"]
    llm.faults = Faults(script=[Fault.RATE_LIMIT, None, Fault.SERVER_ERROR])
    assert [outcome() for _ in range(5)] == [*first, "answer", "answer"]
    llm.reset()
    assert [outcome() for _ in range(3)] == first
    llm.faults = Faults(script=(None,), rate=1, kinds=(Fault.SERVER_ERROR,))
    assert [outcome() for _ in range(2)] == ["answer", "InternalServerError"]


def test_headers_of_answers(llm: FakeLLM) -> None:
    """Every answer has them, a refusal too; its own go before."""
    llm.headers = {"x-ratelimit-remaining-requests": "3", "retry-after": "9"}
    try:
        llm.faults = Faults(script=[None, Fault.RATE_LIMIT], retry_after="1s")
        found = [post(llm, body()).headers for _ in range(2)]
    finally:
        llm.headers = {}
    assert [one["x-ratelimit-remaining-requests"] for one in found] == ["3", "3"]
    assert [one["retry-after"] for one in found] == ["9", "1.000"]
    assert post(llm, body()).headers["x-ratelimit-remaining-requests"] is None


@pytest.mark.parametrize("headers", [{"x-left": 3}, {3: "x"}, [("a", "b")], "a: b"])
def test_headers_that_are_none(headers: Any) -> None:
    """The error shows some."""
    with pytest.raises(ConfigurationError, match=r"^headers=.*x-ratelimit-remaining-requests"):
        FakeLLM(headers=headers)


def test_faults_are_drawn_alike_after_a_reset(llm: FakeLLM) -> None:
    """The same requests meet the same faults again, and asked once more a request draws anew."""

    def statuses() -> list[int]:
        llm.reset()
        return [post(llm, body(n=number % 5)).status for number in range(30)]

    llm.faults = Faults(rate=0.5, kinds=(Fault.SERVER_ERROR,))
    first = statuses()
    assert statuses() == first
    assert {first[number] for number in range(0, 30, 5)} == {200, 500}


def test_a_server_may_be_stopped_at_once() -> None:
    """Stopped before its thread has come up, it still frees its port."""
    for _ in range(5):
        llm = FakeLLM().start()
        _, _, listener = llm._running or pytest.fail("it isn't running")
        llm.stop()
        assert listener.fileno() == -1


def test_a_busy_port_is_a_clear_error(llm: FakeLLM) -> None:
    """The error names the port and what to do."""
    with pytest.raises(ConfigurationError, match=rf"port={llm.port}.*port=0"):
        FakeLLM(port=llm.port).start()


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    """Ports are checked before anything is started."""
    with pytest.raises(ConfigurationError, match="port="):
        FakeLLM(port=port)


def test_starting_twice_is_refused(llm: FakeLLM) -> None:
    """A running server can't be started again."""
    with pytest.raises(ConfigurationError, match="running already"):
        llm.start()


def test_a_stopped_server_starts_again_on_its_port() -> None:
    """An outage can be played: the server goes and comes back where it was; counts stay."""
    llm = FakeLLM().start()
    port = llm.port
    post(llm, body()).read()
    llm.stop()
    llm.stop()
    assert "stopped" in repr(llm)
    with pytest.raises(ConnectionRefusedError):
        post(llm, body())
    with llm:
        assert llm.port == port
        assert llm.base_url in repr(llm)
        post(llm, body()).read()
    assert llm.stats().calls == 2


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Without the packages of the extra the error says what to install."""
    monkeypatch.setattr(
        server.importlib.util, "find_spec", lambda name: None if name == package else object()
    )
    with pytest.raises(MissingExtraError, match=rf"{package}.*\[demo\]"):
        FakeLLM().start()


def test_the_listening_socket_is_named_as_tcp() -> None:
    """Only then does asyncio set TCP_NODELAY; without it small answers take 40 ms longer."""
    with server._listen(0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_no_faults_at_all(llm: FakeLLM, client: openai.OpenAI) -> None:
    """None turns faults off, as it does when the server is made; anything else is refused."""
    llm.faults = Faults(rate=1.0, kinds=(Fault.SERVER_ERROR,))
    llm.faults = None
    assert llm.faults == Faults()
    client.chat.completions.create(model="m", messages=PROMPT)
    with pytest.raises(ConfigurationError, match=r"Faults\(rate=0\.2\)"):
        llm.faults = 0.2  # type: ignore[assignment]


def test_an_answer_that_fails_is_counted() -> None:
    """The client gets a 500, and the figures say so."""

    def answer(messages: object) -> str:
        raise RuntimeError("no answer today")

    with (
        FakeLLM(answer=answer) as llm,
        openai.OpenAI(base_url=llm.base_url, api_key="none", max_retries=0) as client,
    ):
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="m", messages=PROMPT)
        deadline = time.monotonic() + 5
        while not llm.stats().errors and time.monotonic() < deadline:
            time.sleep(0.01)  # it is counted right after it was sent
        assert llm.stats().errors == 1
