"""`rate_limited`: keeps calls within rates."""

from __future__ import annotations

from agentperf.policies.rate_limited.decorator import RateLimited, rate_limited
from agentperf.policies.rate_limited.handle import LimiterHandle, Outlook

__all__ = ["LimiterHandle", "Outlook", "RateLimited", "rate_limited"]
