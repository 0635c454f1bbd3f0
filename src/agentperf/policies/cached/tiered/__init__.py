"""A memory in front of another backend: what was read a moment ago is not fetched again."""

from __future__ import annotations

from agentperf.policies.cached.tiered.near import NearStats
from agentperf.policies.cached.tiered.tiered import Tiered, TieredAddress

__all__ = ["NearStats", "Tiered", "TieredAddress"]
