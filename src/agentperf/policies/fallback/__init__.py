"""`fallback`: something else answers when a call fails."""

from __future__ import annotations

from agentperf.policies.fallback.decorator import Fallback, fallback

__all__ = ["Fallback", "fallback"]
