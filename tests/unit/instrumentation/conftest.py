"""What the tests of instrumentation share."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import agentperf
from agentperf.instrumentation import faults
from tests.unit.instrumentation.wire import LIBRARIES, needs


class Telemetry:
    """An SDK that keeps everything in memory."""

    def __init__(self):
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meter_provider = MeterProvider([self._reader], shutdown_on_exit=False)

    def spans(self):
        """Return the spans that have ended."""
        return self._exporter.get_finished_spans()

    def points(self):
        """Return the metric points, by the name of the metric."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def anyio_backend():
    """Run on asyncio; what must work on trio too says so."""
    return "asyncio"


@pytest.fixture
def telemetry():
    """An SDK, handed to `instrument`; the process has no global one."""
    return Telemetry()


@pytest.fixture
def no_faults():
    """Nothing may have gone wrong in our own code, where it would be swallowed."""
    faults._noted.clear()
    yield
    assert faults._noted - {"instrumentation.other_active"} == set()


@pytest.fixture
def host(fresh_host, no_faults):
    """A fresh host, under watch."""
    return fresh_host


@pytest.fixture
def instrumented(telemetry, host):
    """Everything is instrumented, and no longer afterwards."""
    agentperf.instrument(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    yield telemetry
    agentperf.uninstrument()


@pytest.fixture(params=LIBRARIES)
def library(request):
    """The name of each HTTP library that the SDK at hand can do with."""
    needs(request.param)
    return request.param
