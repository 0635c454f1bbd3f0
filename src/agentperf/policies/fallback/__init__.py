"""`fallback`: something else answers when a call fails."""

from __future__ import annotations

from agentperf.policies.fallback.decorator import Fallback, fallback
from agentperf.policies.fallback.link import Link

__all__ = ["Fallback", "Link", "fallback"]
