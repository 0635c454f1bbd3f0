"""Suites that hold a plugin's parts to their contracts.

A test file of a plugin extends a suite and says how to make the part; pytest finds the checks:

    class TestMyBackend(BackendConformance):
        def make(self):
            return MyBackend()
"""

from __future__ import annotations

from agentperf.testing.conformance.backends import BackendConformance
from agentperf.testing.conformance.exporters import ExporterConformance
from agentperf.testing.conformance.instrumentors import InstrumentorConformance
from agentperf.testing.conformance.stores import StoreConformance
from agentperf.testing.conformance.tokenizers import TokenizerConformance

__all__ = [
    "BackendConformance",
    "ExporterConformance",
    "InstrumentorConformance",
    "StoreConformance",
    "TokenizerConformance",
]
