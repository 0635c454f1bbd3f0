"""`hedged`: starts a second attempt when the first one is slow."""

from __future__ import annotations

from agentperf.policies.hedged.decorator import Hedged, hedged
from agentperf.policies.hedged.handle import HedgesHandle, HedgeStats

__all__ = ["HedgeStats", "Hedged", "HedgesHandle", "hedged"]
