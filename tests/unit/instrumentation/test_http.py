"""HTTP requests: one count for each, whatever transport and library carry it."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import anyio
import openai
import pytest

import agentperf
from agentperf import events
from agentperf.testing import recorded
from tests.unit.instrumentation.wire import ASK, COMPLETION, LIBRARIES, OPERATION, Wire

URL = "https://api.example.com/things?page=2"


@pytest.fixture(params=LIBRARIES)
def library(request):
    """Each HTTP library; what the SDK at hand is built on doesn't matter here."""
    return request.param


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    """The libraries run on both."""
    return request.param


def network(name, *, status=200):
    """Return the library's own transports, with a pool that answers without a network."""
    library = importlib.import_module(name)

    class Pool:
        def handle_request(self, request):
            return SimpleNamespace(
                status=status,
                headers=[(b"content-length", b"0")],
                stream=self,
                extensions={"http_version": b"HTTP/1.1"},
            )

        async def handle_async_request(self, request):
            return self.handle_request(request)

        def __iter__(self):
            return iter(())

        async def __aiter__(self):
            for piece in ():
                yield piece

        def close(self):
            pass

        async def aclose(self):
            pass

    sync, asynchronous = library.HTTPTransport(), library.AsyncHTTPTransport()
    sync._pool = asynchronous._pool = Pool()
    return SimpleNamespace(library=library, sync=sync, asynchronous=asynchronous)


def test_a_request(instrumented, host, library):
    """Counted under method and host, with a span by the conventions."""
    net = network(library)
    with recorded(events.HttpCallEnded) as log:
        assert net.library.Client(transport=net.sync).get(URL).status_code == 200
    assert list(host.stats()) == ["GET api.example.com"]
    assert host.operation_stats("GET api.example.com").completed == 1
    (event,) = log
    assert (event.method, event.server, event.status) == ("GET", "api.example.com", 200)
    (span,) = instrumented.spans()
    assert (span.name, span.kind.name, span.status.status_code.name) == ("GET", "CLIENT", "UNSET")
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "server.address": "api.example.com",
        "server.port": 443,
        "url.full": URL,
    }
    (point,) = instrumented.points()["http.client.request.duration"]
    assert dict(point.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "api.example.com",
        "server.port": 443,
    }


@pytest.mark.anyio
async def test_an_async_request(instrumented, host, library):
    """The same, awaited, on both event loops."""
    net = network(library)
    await net.library.AsyncClient(transport=net.asynchronous).get(URL)
    assert host.operation_stats("GET api.example.com").completed == 1
    assert len(instrumented.spans()) == 1


def test_any_transport(instrumented, host, library):
    """A transport of somebody else's is observed at the client."""
    wire = Wire(library, {"x": 1})
    assert wire.library.Client(transport=wire.transport).post(URL).json() == {"x": 1}
    assert host.operation_stats("POST api.example.com").completed == 1
    assert len(instrumented.spans()) == 1


def test_a_transport_without_a_client(instrumented, host, library):
    """The library's own transport is observed where no client is in front of it."""
    net = network(library)
    net.sync.handle_request(net.library.Request("GET", URL))
    assert host.operation_stats("GET api.example.com").completed == 1


def test_a_transport_around_another(instrumented, host, library):
    """One request through several transports is one."""
    net = network(library)

    class Around(net.library.BaseTransport):
        def handle_request(self, request):
            return net.sync.handle_request(request)

    net.library.Client(transport=Around()).get(URL)
    assert host.operation_stats("GET api.example.com").calls == 1
    assert len(instrumented.spans()) == 1


def test_a_server_in_the_same_process(instrumented, host, library):
    """What the other side asks for in its turn is a request of its own."""
    inner = network(library)
    client = inner.library.Client(transport=inner.sync)

    def answer(request):
        client.get("https://inner.example.com/")
        return inner.library.Response(200)

    inner.library.Client(transport=inner.library.MockTransport(answer)).get(URL)
    assert set(host.stats()) == {"GET api.example.com", "GET inner.example.com"}


@pytest.mark.parametrize("status", [404, 503])
def test_a_refusal(instrumented, host, library, status):
    """From 400 up an answer counts as failed, as the conventions have it."""
    net = network(library, status=status)
    with recorded(events.HttpCallEnded) as log:
        net.library.Client(transport=net.sync).get(URL)
    assert host.operation_stats("GET api.example.com").errors == {"HTTPStatusError": 1}
    assert (log[0].ending, log[0].status) == (agentperf.Ending.FAILED, status)
    (span,) = instrumented.spans()
    assert span.status.status_code.name == "ERROR"
    assert span.attributes["error.type"] == str(status)
    (point,) = instrumented.points()["http.client.request.duration"]
    assert point.attributes["error.type"] == str(status)


def test_an_error(instrumented, host, library):
    """Without an answer there is a duration all the same, and the error's name."""
    wire = Wire(library)
    wire.answers = [wire.library.ConnectError("no route to sk-secret")]
    with pytest.raises(wire.library.ConnectError):
        wire.library.Client(transport=wire.transport).get(URL)
    assert host.operation_stats("GET api.example.com").errors == {"ConnectError": 1}
    (span,) = instrumented.spans()
    assert span.attributes["error.type"] == f"{library}.ConnectError"
    assert "sk-secret" not in span.to_json()
    (point,) = instrumented.points()["http.client.request.duration"]
    assert point.attributes["error.type"] == f"{library}.ConnectError"


@pytest.mark.anyio
async def test_a_cancelled_request(instrumented, host, library):
    """A request whose caller went away is counted so, on both event loops."""
    httpx = importlib.import_module(library)
    sending = anyio.Event()

    async def hang(request):
        sending.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        client = httpx.AsyncClient(transport=httpx.MockTransport(hang))
        tasks.start_soon(client.get, URL)
        await sending.wait()
        tasks.cancel_scope.cancel()
    assert host.operation_stats("GET api.example.com").cancelled == 1
    (span,) = instrumented.spans()
    assert "ancelled" in span.attributes["error.type"]
    assert len(instrumented.points()["http.client.request.duration"]) == 1


def test_redirects_are_requests(instrumented, host, library):
    """Each request has its span, and those after the first say which they are."""
    wire = Wire(library)

    def answer(request):
        if request.url.path == "/b":
            return wire.library.Response(200)
        return wire.library.Response(302, headers={"location": "/b"})

    client = wire.library.Client(transport=wire.library.MockTransport(answer))
    assert client.get("https://x.example.com/a", follow_redirects=True).status_code == 200
    assert host.operation_stats("GET x.example.com").calls == 2
    again = [span.attributes.get("http.request.resend_count") for span in instrumented.spans()]
    assert again == [None, 1]


def test_an_unknown_method(instrumented, host, library):
    """Methods are few in spans and metrics, whatever a program makes up."""
    wire = Wire(library, {})
    wire.library.Client(transport=wire.transport).request("BREW", URL)
    (span,) = instrumented.spans()
    assert span.name == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"


def test_a_model_call_and_its_request_are_one(instrumented, host, monkeypatch):
    """The request of a model call makes no figures and no event; its attempts are child spans."""
    net = network("httpx")
    wire = Wire("httpx", (500, {}), COMPLETION)

    def answer(request):
        response = wire(request)
        return SimpleNamespace(
            status=response.status_code,
            headers=response.headers.raw,
            stream=response.stream,
            extensions={},
        )

    monkeypatch.setattr(net.sync._pool, "handle_request", answer)
    client = openai.OpenAI(
        api_key="k", max_retries=1, http_client=net.library.Client(transport=net.sync)
    )
    monkeypatch.setattr(client, "_sleep_for_retry", lambda **_: None)
    with recorded() as log:
        client.chat.completions.create(**ASK)
    assert list(host.stats()) == [OPERATION]
    assert log.names() == ["ModelCallEnded"]
    first, second, call = instrumented.spans()
    assert (first.name, second.name, call.name) == ("POST", "POST", OPERATION)
    assert first.parent.span_id == second.parent.span_id == call.context.span_id
    assert [s.attributes.get("http.request.resend_count") for s in (first, second)] == [None, 1]


def test_without_an_sdk(host, library):
    """Figures need no OpenTelemetry."""
    agentperf.instrument()
    try:
        wire = Wire(library, COMPLETION)
        wire.library.Client(transport=wire.transport).get(URL)
    finally:
        agentperf.uninstrument()
    assert host.operation_stats("GET api.example.com").completed == 1
