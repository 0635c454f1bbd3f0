"""What a model is given to read: made shorter without losing what counts."""

from __future__ import annotations

from agentperf.context.compression import compress
from agentperf.context.report import Compressed, CompressionReport, Cut, StageReport

__all__ = ["Compressed", "CompressionReport", "Cut", "StageReport", "compress"]
