"""OpenTelemetry: generations of names, switches, other instruments, broken SDKs."""

from __future__ import annotations

import contextvars
import subprocess
import sys
import textwrap

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult

import agentperf
from agentperf.instrumentation import faults
from agentperf.instrumentation.otel import names
from agentperf.instrumentation.otel.errors import error_type
from tests.unit.instrumentation.wire import ASK, COMPLETION, EMBEDDINGS, OPERATION, Wire


def call(**options):
    """Make a model call."""
    return Wire("httpx", COMPLETION).clients().sync.chat.completions.create(**ASK, **options)


@pytest.fixture
def asked_for(telemetry, host, monkeypatch):
    """Instrument under some value of the switch."""

    def instrument(value):
        monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", value)
        agentperf.instrument(
            "openai",
            tracer_provider=telemetry.tracer_provider,
            meter_provider=telemetry.meter_provider,
        )
        return telemetry

    yield instrument
    agentperf.uninstrument()


OLD = {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
NEW = {
    "gen_ai.client.inference.duration",
    "gen_ai.client.inference.usage.input_tokens",
    "gen_ai.client.inference.usage.output_tokens",
    "gen_ai.client.inference.usage.cache_read.input_tokens",
    "gen_ai.client.inference.usage.reasoning.output_tokens",
    "gen_ai.client.inference.operation.input_tokens",
    "gen_ai.client.inference.operation.output_tokens",
}


@pytest.mark.parametrize(
    ("value", "metrics"),
    [
        ("", OLD),
        ("http", OLD),
        ("http, gen_ai_latest_experimental", NEW),
        ("gen_ai_latest_experimental/dup", OLD | NEW),
    ],
)
def test_generations(asked_for, value, metrics):
    """The switch of OpenTelemetry says which names are used."""
    telemetry = asked_for(value)
    call(reasoning_effort="low")
    assert set(telemetry.points()) == metrics
    level = telemetry.spans()[0].attributes.get("gen_ai.request.reasoning.level")
    assert level == (None if metrics == OLD else "low")


def test_embeddings_keep_their_metric(asked_for):
    """The latest names leave the duration of embeddings as it was."""
    telemetry = asked_for("gen_ai_latest_experimental")
    client = Wire("httpx", EMBEDDINGS).clients().sync
    client.embeddings.create(model="text-embedding-3-small", input="x", dimensions=2)
    points = telemetry.points()
    assert "gen_ai.client.operation.duration" in points
    assert "gen_ai.client.inference.duration" not in points
    (span,) = telemetry.spans()
    assert span.attributes["gen_ai.embeddings.dimension.count"] == 2
    assert "gen_ai.usage.output_tokens" not in span.attributes


def test_what_a_request_asks_for(instrumented, host):
    """Its settings are attributes; its content is nowhere."""
    call(
        n=2, stop=["END"], seed=7, top_p=0.5, service_tier="flex", response_format={"type": "text"}
    )
    (span,) = instrumented.spans()
    asked = {
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.seed": 7,
        "gen_ai.request.top_p": 0.5,
        "openai.request.service_tier": "flex",
        "gen_ai.output.type": "text",
    }
    assert asked.items() <= dict(span.attributes).items()
    assert "hello" not in span.to_json()


def test_suppressed(instrumented, host):
    """Where OpenTelemetry is switched off for a region there are figures and no signals."""
    for key in ("suppress_instrumentation", context._SUPPRESS_INSTRUMENTATION_KEY):
        token = context.attach(context.set_value(key, True))
        try:
            call()
        finally:
            context.detach(token)
    assert instrumented.spans() == ()
    assert instrumented.points() == {}
    assert host.operation_stats(OPERATION).calls == 2


@pytest.mark.parametrize(
    "attributes", [{"gen_ai.operation.name": "chat"}, {"openinference.span.kind": "LLM"}]
)
def test_another_instrument_is_at_it(instrumented, host, attributes):
    """Where a span of the call is there already there is no second one; metrics and figures are."""
    tracer = instrumented.tracer_provider.get_tracer("theirs")
    with tracer.start_as_current_span("chat", attributes=attributes):
        call()
    assert [span.name for span in instrumented.spans()] == ["chat"]
    assert "gen_ai.client.operation.duration" in instrumented.points()
    assert host.operation_stats(OPERATION).calls == 1


def test_an_agents_span_is_no_model_call(instrumented, host):
    """A span around, of another operation, is the parent."""
    tracer = instrumented.tracer_provider.get_tracer("theirs")
    with tracer.start_as_current_span("a", attributes={"gen_ai.operation.name": "invoke_agent"}):
        call()
    inner, outer = instrumented.spans()
    assert inner.parent.span_id == outer.context.span_id


def test_samplers_see_what_they_need(host, telemetry):
    """Operation, provider, model and server are there when a sampler decides."""
    seen = []

    class Watching(Sampler):
        def should_sample(self, parent_context, trace_id, name, kind, attributes, *_):
            seen.append(dict(attributes))
            return SamplingResult(Decision.DROP)

        def get_description(self):
            return "watching"

    agentperf.instrument("openai", tracer_provider=TracerProvider(Watching()))
    call()
    agentperf.uninstrument()
    assert seen == [
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "server.address": "api.openai.com",
            "server.port": 443,
        }
    ]


def test_spans_that_nobody_records_cost_nothing_more(host):
    """Without sampling the call is counted as ever."""
    agentperf.instrument("openai", tracer_provider=TracerProvider(ALWAYS_OFF))
    call()
    agentperf.uninstrument()
    assert host.operation_stats(OPERATION).calls == 1


def test_a_broken_provider(fresh_host):
    """It costs its signal; call and figures are as ever, and it is noted once."""
    faults._noted.clear()
    agentperf.instrument("openai", tracer_provider=object(), meter_provider=object())
    call()
    call()
    agentperf.uninstrument()
    assert fresh_host.operation_stats(OPERATION).calls == 2
    assert faults._noted == {"opentelemetry.trace", "opentelemetry.metrics"}
    faults._noted.clear()


def test_the_global_sdk():
    """A global SDK is found whenever it is set up, and without one the API isn't even loaded."""
    code = """
        import sys, agentperf
        agentperf.instrument()
        from tests.unit.instrumentation.wire import *
        client = Wire("httpx", COMPLETION).clients().sync
        client.chat.completions.create(**ASK)
        assert "opentelemetry" not in sys.modules
        import opentelemetry.trace, opentelemetry.metrics
        client.chat.completions.create(**ASK)
        assert "opentelemetry.sdk" not in sys.modules
        from tests.unit.instrumentation.conftest import Telemetry
        telemetry = Telemetry()
        opentelemetry.trace.set_tracer_provider(telemetry.tracer_provider)
        opentelemetry.metrics.set_meter_provider(telemetry.meter_provider)
        client.chat.completions.create(**ASK)
        assert [span.name for span in telemetry.spans()] == [OPERATION]
        assert telemetry.spans()[0].instrumentation_scope.name == "agentperf"
        assert "gen_ai.client.operation.duration" in telemetry.points()
    """
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr


def test_error_types_are_few():
    """Codes of a server are kept only so many, and only where they look like codes."""

    class Coded(Exception):
        def __init__(self, code):
            self.code = code

    assert error_type(None) == "_OTHER"
    assert error_type(KeyError("secret")) == "KeyError"
    assert error_type(Coded("Some Message: sk-1")).endswith("Coded")
    types = {error_type(Coded(f"code_{n}")) for n in range(200)}
    assert len(types) <= 65


def test_the_switch_is_read_as_a_list():
    """Other words in it are other people's."""
    assert names.generations({}) == (names.V1_41,)
    asked = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup,gen_ai_latest_experimental"}
    assert names.generations(asked) == (names.LATEST,)


def test_a_coroutine_closed_elsewhere(instrumented, host, caplog):
    """A request that is thrown away in another context leaves no trace in this one."""

    class Forever:
        def __await__(self):
            yield

    async def never(request):
        await Forever()

    library = Wire("httpx").library
    client = library.AsyncClient(transport=library.MockTransport(never))
    coroutine = client.get("https://x.example.com")
    contextvars.copy_context().run(coroutine.send, None)
    coroutine.close()
    assert host.operation_stats("GET x.example.com").cancelled == 1
    assert len(instrumented.spans()) == 1
    assert not trace.get_current_span().is_recording()
    assert caplog.records == []
