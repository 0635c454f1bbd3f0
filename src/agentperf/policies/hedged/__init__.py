"""`hedged`: starts a second attempt when the first one is slow."""

from __future__ import annotations

from agentperf.policies.hedged.decorator import Hedged, hedged

__all__ = ["Hedged", "hedged"]
