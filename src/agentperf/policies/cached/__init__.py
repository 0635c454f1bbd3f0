"""`cached`: gives answers again instead of computing them again."""

from __future__ import annotations

from agentperf.policies.cached.decorator import Cached, cached

__all__ = [
    "Cached",
    "cached",
]
