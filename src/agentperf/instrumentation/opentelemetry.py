"""For `opentelemetry-instrument`: agentperf as one of the instrumentors that it finds."""

from __future__ import annotations

from typing import Any

from agentperf.instrumentation.faults import swallowed
from agentperf.instrumentation.registry import instrument, uninstrument


class AgentperfInstrumentor:
    """Has the methods that OpenTelemetry's own instrumentors have; nothing of it raises."""

    def instrument(self, **options: Any) -> None:
        """Instrument everything known.

        Args:
            **options: `tracer_provider` and `meter_provider` are used, the rest is not for us.
        """
        try:
            instrument(
                tracer_provider=options.get("tracer_provider"),
                meter_provider=options.get("meter_provider"),
            )
        except Exception as error:  # noqa: BLE001 - it would end all instrumentation
            swallowed("opentelemetry.instrument", error)

    def uninstrument(self, **_: Any) -> None:
        """Take everything off."""
        try:
            uninstrument()
        except Exception as error:  # noqa: BLE001
            swallowed("opentelemetry.uninstrument", error)
