"""Contracts: what agentperf asks of the parts that can be exchanged."""

from __future__ import annotations

from agentperf.abc.exporters import Exporter, Noted
from agentperf.abc.instrumentors import Instrumentor, Signals
from agentperf.abc.telemetry import Recorder, Tap
from agentperf.abc.waiting import Parker, Waiting

__all__ = ["Exporter", "Instrumentor", "Noted", "Parker", "Recorder", "Signals", "Tap", "Waiting"]
