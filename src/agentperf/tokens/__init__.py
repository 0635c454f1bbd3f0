"""Counting tokens and what they cost."""

from __future__ import annotations

from agentperf.tokens.count import TokenCount
from agentperf.tokens.counter import Counter, count_tokens, counter, exceeds

__all__ = ["Counter", "TokenCount", "count_tokens", "counter", "exceeds"]
