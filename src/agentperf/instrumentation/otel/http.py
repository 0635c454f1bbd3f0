"""Span and metric of an HTTP request."""

from __future__ import annotations

from typing import Any

from agentperf.abc import Signals
from agentperf.instrumentation.http.urls import redacted
from agentperf.instrumentation.otel import names
from agentperf.instrumentation.otel.errors import error_type
from agentperf.instrumentation.otel.sources import meters, tracers
from agentperf.instrumentation.otel.spans import ClientSpan, catch_up, is_taken, suppressed

_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)
_PORTS = {"https": 443, "http": 80}
_SENT = "agentperf.sent"
"""In a request's extensions, which go with it when it is sent again: how often it was sent."""


class HttpTelemetry:
    """Where the requests of one instrumentor go in OpenTelemetry."""

    def __init__(self, signals: Signals) -> None:
        self._tracer = tracers(signals.tracer_provider)
        self._duration = meters(signals.meter_provider, _duration)

    def begin(self, request: Any, sent: int) -> HttpTrace | None:
        """Begin the signals of a request; None where nobody wants them.

        Args:
            request: The request.
            sent: As which request of a model call it is sent, from 1 up; 0 outside of one.
        """
        tracer, duration = self._tracer.get(), self._duration.get()
        if (tracer is None and duration is None) or suppressed():
            return None
        catch_up()
        if tracer is not None and is_taken((names.METHOD, None), ("http.method", None)):
            tracer = None
        return HttpTrace(tracer, duration, request, sent)


class HttpTrace:
    """The signals of one HTTP request."""

    __slots__ = ("_attributes", "_duration", "_span")

    def __init__(self, tracer: Any, duration: Any, request: Any, sent: int) -> None:
        url = request.url
        method = request.method
        known = method if method in _METHODS else "_OTHER"
        self._duration = duration
        self._attributes = attributes = {
            names.METHOD: known,
            names.ADDRESS: url.host,
            names.PORT: url.port or _PORTS.get(url.scheme, 443),
        }
        self._span = None
        if tracer is None:
            return
        facts = {**attributes, names.URL: redacted(str(url))}
        if known != method:
            facts[names.METHOD_ORIGINAL] = method
        before = request.extensions.get(_SENT, 0)
        request.extensions[_SENT] = before + 1
        if again := max(before, sent - 1):
            facts[names.RESEND] = again
        self._span = ClientSpan(tracer, "HTTP" if known != method else method, facts)

    def enter(self) -> None:
        """Make the span current while the request is sent."""
        if self._span is not None:
            self._span.enter()

    def ended(
        self, seconds: float, response: Any, status: int | None, error: BaseException | None
    ) -> None:
        """Make the point and end the span."""
        if self._span is not None:
            self._span.leave(error)
        attributes = self._attributes
        facts: dict[str, Any] = {}
        if status is not None:
            attributes[names.STATUS] = facts[names.STATUS] = status
            version = response.extensions.get("http_version", b"")
            if version[:5] == b"HTTP/":
                facts[names.PROTOCOL] = version[5:].decode("ascii", "replace")
        if error is not None or (status is not None and status >= 400):
            kind = error_type(error) if error is not None else str(status)
            attributes[names.ERROR] = facts[names.ERROR] = kind
        if self._duration is not None:
            self._duration.record(seconds, attributes)
        if self._span is not None:
            self._span.end(facts, failed=names.ERROR in facts)


def _duration(meter: Any) -> Any:
    return meter.create_histogram(
        names.HTTP_DURATION, unit="s", explicit_bucket_boundaries_advisory=names.HTTP_SECONDS
    )
