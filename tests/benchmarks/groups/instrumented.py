"""Calls of instrumented clients, beside the same calls without instruments.

The openai client talks to a transport in the process, httpx to its real transport with a pool that
answers at once. With an SDK, spans are counted and metrics kept in memory.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import agentperf
from tests.benchmarks.harness import clock
from tests.benchmarks.rows import Row, Terms, within

CHUNKS = 100
PLAIN = "the same, not instrumented"
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o-mini"}
USAGE = {"prompt_tokens": 42, "completion_tokens": CHUNKS, "total_tokens": 42 + CHUNKS}

Scenario = tuple[str, Callable[[], Any], int]
"""What it is called, one call of it, and how many make a turn."""


def completion() -> bytes:
    """Make the body of a whole answer."""
    message = {"role": "assistant", "content": "word " * CHUNKS}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps(
        {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    ).encode()


def stream() -> bytes:
    """Make the body of a streamed answer."""
    choices = [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]
    chunk = {**HEAD, "object": "chat.completion.chunk", "choices": choices}
    last = {**chunk, "choices": [], "usage": USAGE}
    lines = [f"data: {json.dumps(event)}\n\n" for event in [*[chunk] * CHUNKS, last]]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


def openai_scenarios() -> Iterator[Scenario]:
    """Make the calls of a model.

    Raises:
        ImportError: The client is not installed.
    """
    import openai
    from openai import _base_client

    library: Any = getattr(_base_client, "httpx2", None) or _base_client.httpx
    whole, pieces = completion(), stream()

    def respond(request: Any) -> Any:
        if b'"stream":true' in request.content.replace(b" ", b""):
            headers = {"content-type": "text/event-stream"}
            return library.Response(200, headers=headers, stream=library.ByteStream(pieces))
        return library.Response(200, headers={"content-type": "application/json"}, content=whole)

    http = library.Client(transport=library.MockTransport(respond))
    create = openai.OpenAI(api_key="none", http_client=http).chat.completions.create
    ask = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
    yield "openai create", partial(create, **ask), 20  # type: ignore[call-overload]
    yield f"openai stream of {CHUNKS} chunks", lambda: list(create(**ask, stream=True)), 3  # type: ignore[call-overload]


def http_scenarios() -> Iterator[Scenario]:
    """Make a request.

    Raises:
        ImportError: The client is not installed.
    """
    import httpcore
    import httpx

    class Answering:
        """A pool of connections that answers at once."""

        def handle_request(self, request: Any) -> Any:
            return httpcore.Response(200, headers=[(b"content-length", b"2")], content=b"{}")

        def close(self) -> None:
            """Nothing is open."""

    transport = httpx.HTTPTransport()
    transport._pool = Answering()  # type: ignore[assignment]
    client = httpx.Client(transport=transport)
    yield "httpx GET", lambda: client.get("http://example.com/item"), 100


def providers() -> dict[str, Any]:
    """Make an SDK that exports nothing."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    tracer_provider = TracerProvider(shutdown_on_exit=False)
    tracer_provider.add_span_processor(SpanProcessor())
    meter_provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    return {"tracer_provider": tracer_provider, "meter_provider": meter_provider}


def turns(call: Callable[[], Any], calls: int, rounds: int, options: Any) -> tuple[float, float]:
    """Return the median nanoseconds of a call with instruments and without, taken in turns."""
    with_them, without = [], []
    for _ in range(rounds * 4 + 1):
        for instrumented, samples in ((True, with_them), (False, without)):
            agentperf.uninstrument()
            if instrumented:
                agentperf.instrument("openai", "httpx", **options)
            call()
            start = clock()
            for _ in range(calls):
                call()
            samples.append((clock() - start) / calls * 1e9)
    agentperf.uninstrument()
    return statistics.median(with_them), statistics.median(without)


FLOORS: dict[tuple[str, bool], Terms] = {
    ("openai create", True): within(floor=1.15, goal=1.12),
    ("openai create", False): within(floor=1.03, goal=1.02),
    (f"openai stream of {CHUNKS} chunks", True): within(floor=1.06, goal=1.04),
    (f"openai stream of {CHUNKS} chunks", False): within(floor=1.05, goal=1.02),
    ("httpx GET", True): within(floor=2.2, goal=1.9),
    ("httpx GET", False): within(floor=1.2, goal=1.1),
}


def rows(rounds: int) -> Iterator[Row]:
    """Measure each call without an SDK and with one."""
    try:
        scenarios = [*openai_scenarios(), *http_scenarios()]
        sdk = providers()
    except ImportError as error:
        yield Row("instrumented calls", None, PLAIN, None, "ns", within(), str(error))
        return
    for name, call, calls in scenarios:
        for options in ({}, sdk):
            ours, theirs = turns(call, calls, rounds, options)
            path = f"{name}, {'SDK on' if options else 'SDK absent'}"
            yield Row(path, ours, PLAIN, theirs, "ns", FLOORS[name, bool(options)])
