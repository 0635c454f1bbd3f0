"""Streams: every way to end one, exactly once, with the SDK's own objects in hand."""

from __future__ import annotations

import asyncio
import gc

import openai
import pytest
from opentelemetry import trace

import agentperf
from agentperf import events
from agentperf._base.endings import Ending
from agentperf.instrumentation.lifecycle import ModelCall
from agentperf.instrumentation.otel.spans import catch_up
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.unit.instrumentation.wire import (
    ASK,
    CHUNKS,
    COMPLETION,
    ERROR_EVENT,
    EVENTS,
    OPERATION,
    Body,
    Wire,
    response_failed,
)

STREAM = {**ASK, "stream": True}


def ended(host, telemetry):
    """Return how the one call ended, by the figures; the span must say the same."""
    catch_up()
    figures = host.operation_stats(OPERATION)
    (span,) = telemetry.spans()
    failed = figures.failed + figures.cancelled
    assert (span.status.status_code.name == "ERROR") == bool(failed)
    assert figures.calls == 1
    said = span.attributes.get("agentperf.ending")
    ways = {
        Ending.COMPLETED: figures.completed,
        Ending.FAILED: figures.failed,
        Ending.CANCELLED: figures.cancelled,
        Ending.CLOSED: figures.closed,
        Ending.ABANDONED: figures.abandoned,
    }
    (ending,) = [way for way, count in ways.items() if count]
    assert said == (None if ending in (Ending.COMPLETED, Ending.FAILED) else ending.value)
    return ending


def test_read_to_its_end(instrumented, host, library):
    """Tokens, finish reason and the time to the first chunk are known; the types are the SDK's."""
    body = Body(CHUNKS)
    with recorded(events.ModelCallEnded) as log:
        stream = Wire(library, body).clients().sync.chat.completions.create(**STREAM)
        assert type(stream) is openai.Stream
        texts = [c.choices[0].delta.content for c in stream if c.choices]
    assert texts == ["a", "b", "c"]
    assert ended(host, instrumented) is Ending.COMPLETED
    figures = host.operation_stats(OPERATION)
    assert (figures.usage.input_tokens, figures.usage.output_tokens) == (20, 5)
    assert (figures.first_item.count, figures.gaps.count) == (1, 3)
    assert (log[0].items, log[0].usage) == (4, figures.usage)
    assert body.closed
    attributes = instrumented.spans()[0].attributes
    assert attributes["gen_ai.request.stream"] is True
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.response.time_to_first_chunk"] == 0  # the clock stands still
    assert set(instrumented.points()) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
    }


@pytest.mark.anyio
async def test_awaited_to_its_end(instrumented, host, library):
    """The same on an event loop."""
    client = Wire(library, Body(CHUNKS)).clients().asynchronous
    stream = await client.chat.completions.create(**STREAM)
    assert type(stream) is openai.AsyncStream
    assert len([chunk async for chunk in stream]) == 4
    assert ended(host, instrumented) is Ending.COMPLETED
    assert host.operation_stats(OPERATION).usage.output_tokens == 5
    assert stream.response.elapsed.total_seconds() >= 0


def test_without_usage_there_are_no_tokens(instrumented, host):
    """What the provider didn't report is not made up."""
    list(Wire("httpx", Body(CHUNKS[:3])).clients().sync.chat.completions.create(**STREAM))
    assert ended(host, instrumented) is Ending.COMPLETED
    assert "gen_ai.client.token.usage" not in instrumented.points()
    assert host.operation_stats(OPERATION).usage == agentperf.Usage()


def test_a_break_and_a_drop(instrumented, host, library):
    """A stream that nobody holds any more is abandoned; that is found when it is collected."""
    stream = Wire(library, Body(CHUNKS)).clients().sync.chat.completions.create(**STREAM)
    for _ in stream:
        break
    assert host.operation_stats(OPERATION).calls == 0
    del stream
    gc.collect()
    assert ended(host, instrumented) is Ending.ABANDONED
    (span,) = instrumented.spans()
    assert span.attributes["gen_ai.response.finish_reasons"] == ("error",)


@pytest.mark.anyio
async def test_an_async_break_and_a_drop(instrumented, host, library):
    """The same on an event loop, which closes the generator by itself."""
    client = Wire(library, Body(CHUNKS)).clients().asynchronous
    stream = await client.chat.completions.create(**STREAM)
    async for _ in stream:
        break
    del stream
    for _ in range(5):  # generators within generators, each closed by the loop in its turn
        gc.collect()
        await asyncio.sleep(0)
    assert ended(host, instrumented) is Ending.ABANDONED


def test_never_iterated(instrumented, host, library):
    """A stream that is not even begun is abandoned too."""
    stream = Wire(library, Body(CHUNKS)).clients().sync.chat.completions.create(**STREAM)
    del stream
    gc.collect()
    assert ended(host, instrumented) is Ending.ABANDONED
    assert host.operation_stats(OPERATION).first_item.count == 0


def test_a_break_inside_with(instrumented, host, library):
    """The block closes the stream: an early close, and the connection is free."""
    body = Body(CHUNKS)
    with Wire(library, body).clients().sync.chat.completions.create(**STREAM) as stream:
        for _ in stream:
            break
    assert body.closed
    assert ended(host, instrumented) is Ending.CLOSED


@pytest.mark.anyio
async def test_a_break_inside_async_with(instrumented, host, library):
    """The same on an event loop."""
    body = Body(CHUNKS)
    client = Wire(library, body).clients().asynchronous
    async with await client.chat.completions.create(**STREAM) as stream:
        async for _ in stream:
            break
    assert body.closed
    assert ended(host, instrumented) is Ending.CLOSED


def test_close(instrumented, host, library):
    """`close()` ends the call, also before the first chunk, and only once."""
    stream = Wire(library, Body(CHUNKS)).clients().sync.chat.completions.create(**STREAM)
    stream.close()
    stream.close()
    assert ended(host, instrumented) is Ending.CLOSED


@pytest.mark.anyio
async def test_async_close(instrumented, host, library):
    """The same on an event loop."""
    client = Wire(library, Body(CHUNKS)).clients().asynchronous
    stream = await client.chat.completions.create(**STREAM)
    await anext(stream)
    await stream.close()
    assert ended(host, instrumented) is Ending.CLOSED


def test_an_error_event(instrumented, host, library):
    """An error in the midst of a stream is the SDK's error, with the server's code."""
    body = Body([CHUNKS[0], ERROR_EVENT])
    stream = Wire(library, body).clients().sync.chat.completions.create(**STREAM)
    with pytest.raises(openai.APIError, match="overloaded"):
        list(stream)
    assert ended(host, instrumented) is Ending.FAILED
    assert instrumented.spans()[0].attributes["error.type"] == "server_overloaded"
    assert body.closed


@pytest.mark.parametrize("colour", ["sync", "asynchronous"])
@pytest.mark.anyio
async def test_a_lost_connection(instrumented, host, library, colour):
    """A connection that breaks is a failure, whatever error the SDK makes of it."""
    wire = Wire(library)
    wire.answers = [Body(CHUNKS[:2], error=wire.library.ReadError("gone"))]
    client = getattr(wire.clients(), colour)
    with pytest.raises(Exception, match=r"gone|Connection error"):  # noqa: PT012 - both colours
        if colour == "sync":
            list(client.chat.completions.create(**STREAM))
        else:
            _ = [c async for c in await client.chat.completions.create(**STREAM)]
    assert ended(host, instrumented) is Ending.FAILED


@pytest.mark.anyio
async def test_a_cancelled_reader(instrumented, host, library):
    """A task that is cancelled while it waits for a chunk went away: no failure."""
    reading = asyncio.Event()

    async def wait():
        reading.set()
        await asyncio.Event().wait()

    client = Wire(library, Body(CHUNKS[:1], wait=wait)).clients().asynchronous

    async def read():
        async for _ in await client.chat.completions.create(**STREAM):
            pass

    task = asyncio.create_task(read())
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended(host, instrumented) is Ending.CANCELLED


def test_raw_then_parsed(instrumented, host, library):
    """A raw stream is the SDK's raw response, and parsed it is observed like any other."""
    client = Wire(library, Body(CHUNKS)).clients().sync
    raw = client.chat.completions.with_raw_response.create(**STREAM)
    assert type(raw).__name__ == "LegacyAPIResponse"
    stream = raw.parse()
    assert type(stream) is openai.Stream
    assert len(list(stream)) == 4
    assert ended(host, instrumented) is Ending.COMPLETED
    assert host.operation_stats(OPERATION).usage.output_tokens == 5
    assert "agentperf.call" not in raw.http_response.extensions


def test_raw_and_read_as_bytes(instrumented, host, library):
    """Who reads the body alone has it whole; the call ends with it."""
    client = Wire(library, Body(CHUNKS)).clients().sync
    raw = client.chat.completions.with_raw_response.create(**STREAM)
    assert b"".join(raw.http_response.iter_bytes()) == b"".join(CHUNKS)
    assert ended(host, instrumented) is Ending.COMPLETED
    assert host.operation_stats(OPERATION).first_item.count == 1


def test_raw_and_dropped(instrumented, host, library):
    """A raw stream that nobody reads is abandoned."""
    raw = (
        Wire(library, Body(CHUNKS))
        .clients()
        .sync.chat.completions.with_raw_response.create(**STREAM)
    )
    del raw
    gc.collect()
    assert ended(host, instrumented) is Ending.ABANDONED


def test_lines_of_a_streaming_response(instrumented, host, library):
    """The program's own reading is observed, and nobody reads in front of it."""
    client = Wire(library, Body(CHUNKS)).clients().sync
    with client.chat.completions.with_streaming_response.create(**STREAM) as response:
        assert [line for line in response.iter_lines() if line][-1] == "data: [DONE]"
    assert ended(host, instrumented) is Ending.COMPLETED


def test_a_connection_lost_while_the_program_reads(instrumented, host, library):
    """An error of the body is the program's to see, and the call's end."""
    wire = Wire(library)
    wire.answers = [Body(CHUNKS[:1], error=wire.library.ReadError("gone"))]
    create = wire.clients().sync.chat.completions.with_streaming_response.create
    with create(**STREAM) as response, pytest.raises(wire.library.ReadError):
        list(response.iter_bytes())
    assert ended(host, instrumented) is Ending.FAILED


def test_the_helper_of_responses(instrumented, host):
    """`responses.stream()` is one call, with the tokens of its last event."""
    client = Wire("httpx", Body(EVENTS)).clients().sync
    with client.responses.stream(model="gpt-4o-mini", input="x") as stream:
        kinds = [event.type for event in stream]
    assert kinds == ["response.created", "response.completed"]
    assert ended(host, instrumented) is Ending.COMPLETED
    assert host.operation_stats(OPERATION).usage.output_tokens == 5
    assert instrumented.spans()[0].attributes["gen_ai.response.id"] == "resp-1"


def test_the_helper_of_chat(instrumented, host):
    """`chat.completions.stream()` is one call too."""
    client = Wire("httpx", Body(CHUNKS)).clients().sync
    chat = client.chat if hasattr(client.chat.completions, "stream") else client.beta.chat
    with chat.completions.stream(**ASK) as stream:
        assert stream.get_final_completion().choices[0].message.content == "abc"
    assert ended(host, instrumented) is Ending.COMPLETED


def test_a_response_that_failed(instrumented, host):
    """A failure that comes as an ordinary event is a failure."""
    client = Wire("httpx", Body(response_failed())).clients().sync
    list(client.responses.create(model="gpt-4o-mini", input="x", stream=True))
    assert ended(host, instrumented) is Ending.FAILED
    assert host.operation_stats(OPERATION).errors == {"ModelFailed": 1}
    assert instrumented.spans()[0].attributes["error.type"] == "server_error"


def test_no_span_is_current_while_the_program_runs(instrumented, host):
    """The call's span is current while the SDK works, and never in the program's own code."""
    seen = []
    wire = Wire("httpx", Body(CHUNKS))

    def answer(request):
        seen.append(trace.get_current_span().is_recording())
        return wire(request)

    http = wire.library.Client(transport=wire.library.MockTransport(answer))
    client = openai.OpenAI(api_key="k", http_client=http)
    inside = [
        trace.get_current_span().is_recording() for _ in client.chat.completions.create(**STREAM)
    ]
    assert seen == [True]
    assert inside == [False] * 4
    assert not trace.get_current_span().is_recording()


def test_the_readers_pauses_do_not_count(instrumented, no_faults):
    """Time goes by in the producer or in the consumer; only the former is the call's."""
    clock = FakeClock()

    class Slow(Body):
        def of(self, library):
            class Stream(library.SyncByteStream):
                def __iter__(self):
                    for piece in CHUNKS:
                        clock.advance(1)
                        yield piece

            return Stream()

    with fresh_host(clock) as host, recorded(events.ModelCallEnded) as log:
        for _ in Wire("httpx", Slow(())).clients().sync.chat.completions.create(**STREAM):
            clock.advance(100)
    assert (log[0].first_item, log[0].seconds) == (1, 5)
    assert host.operation_stats(OPERATION).gaps.sum == 3


def test_chunks_are_points_if_asked_for(telemetry, host):
    """One point for each chunk after the first, only where they are wanted."""
    agentperf.instrument(
        "openai",
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        chunks=True,
    )
    try:
        list(Wire("httpx", Body(CHUNKS)).clients().sync.chat.completions.create(**STREAM))
    finally:
        agentperf.uninstrument()
    (point,) = telemetry.points()["gen_ai.client.operation.time_per_output_chunk"]
    assert point.count == 3


def test_a_stream_outlives_the_patches(telemetry, host):
    """What was begun is counted to its end, also when it is taken off meanwhile."""
    agentperf.instrument("openai", tracer_provider=telemetry.tracer_provider)
    stream = Wire("httpx", Body(CHUNKS)).clients().sync.chat.completions.create(**STREAM)
    next(stream)
    agentperf.uninstrument()
    list(stream)
    assert host.operation_stats(OPERATION).completed == 1
    assert len(telemetry.spans()) == 1


def test_streams_that_are_no_model_calls_pass(instrumented, host):
    """A stream of another endpoint is read as ever."""
    client = Wire("httpx", Body(CHUNKS)).clients().sync
    stream = client.post(
        "/elsewhere", cast_to=object, body={}, stream=True, stream_cls=openai.Stream[object]
    )
    assert len(list(stream)) == 4
    assert list(host.stats()) == ["POST api.openai.com"]


@pytest.mark.anyio
async def test_async_streams_that_are_no_model_calls_pass(instrumented, host):
    """The same on an event loop."""
    client = Wire("httpx", Body(CHUNKS)).clients().asynchronous
    stream = await client.post(
        "/elsewhere", cast_to=object, body={}, stream=True, stream_cls=openai.AsyncStream[object]
    )
    assert len([item async for item in stream]) == 4
    assert list(host.stats()) == ["POST api.openai.com"]


def test_nothing_is_kept_of_a_call(instrumented, host):
    """When the program lets go of an answer, all that was known of the call goes too."""
    client = Wire("httpx", Body(CHUNKS)).clients().sync
    plain = Wire("httpx", COMPLETION).clients().sync
    for _ in range(3):
        list(client.chat.completions.create(**STREAM))
        plain.chat.completions.create(**ASK)
    gc.collect()
    assert [each for each in gc.get_objects() if type(each) is ModelCall] == []
