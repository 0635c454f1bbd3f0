"""`rate_limited`: keeps calls within rates."""

from __future__ import annotations

from agentperf.policies.rate_limited.decorator import RateLimited, rate_limited

__all__ = ["RateLimited", "rate_limited"]
