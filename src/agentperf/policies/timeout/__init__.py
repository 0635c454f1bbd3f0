"""`timeout`: ends calls and streams that take too long."""

from __future__ import annotations

from agentperf.policies.timeout.decorator import Timeout, timeout

__all__ = ["Timeout", "timeout"]
