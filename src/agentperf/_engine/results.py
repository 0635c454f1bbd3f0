"""What a result says of itself: the tokens a model's answer used."""

from __future__ import annotations

from agentperf.usage import usage_of

__all__ = ["usage_of"]
