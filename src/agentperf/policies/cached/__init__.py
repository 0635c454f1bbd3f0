"""`cached`: gives answers again instead of computing them again."""

from __future__ import annotations

from agentperf.policies.cached.decorator import Cached, cached
from agentperf.policies.cached.handle import CacheHandle
from agentperf.policies.cached.invalidates import Invalidates, invalidates
from agentperf.policies.cached.invalidation import ainvalidate, invalidate
from agentperf.policies.cached.memory_backend import MemoryBackend
from agentperf.policies.cached.state import CacheStats

__all__ = [
    "CacheHandle",
    "CacheStats",
    "Cached",
    "Invalidates",
    "MemoryBackend",
    "ainvalidate",
    "cached",
    "invalidate",
    "invalidates",
]
