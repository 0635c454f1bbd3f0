"""`cached`: gives answers again instead of computing them again."""

from __future__ import annotations

from agentperf.policies.cached.control import CacheControl, cache_control
from agentperf.policies.cached.decorator import Cached, cached
from agentperf.policies.cached.explaining import CacheExplanation, ExplainedArgument
from agentperf.policies.cached.handle import CacheHandle
from agentperf.policies.cached.memory_backend import MemoryBackend
from agentperf.policies.cached.mode import cache_mode
from agentperf.policies.cached.state import CacheStats

__all__ = [
    "CacheControl",
    "CacheExplanation",
    "CacheHandle",
    "CacheStats",
    "Cached",
    "ExplainedArgument",
    "MemoryBackend",
    "cache_control",
    "cache_mode",
    "cached",
]
