"""`retry`: makes a failed call again when that may help."""

from __future__ import annotations

from agentperf.policies.retry.decorator import Retry, retry

__all__ = ["Retry", "retry"]
