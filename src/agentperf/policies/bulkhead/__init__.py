"""`bulkhead`: bounds how many calls run at once."""

from __future__ import annotations

from agentperf.policies.bulkhead.decorator import Bulkhead, bulkhead
from agentperf.policies.bulkhead.handle import BulkheadHandle, BulkheadStats

__all__ = ["Bulkhead", "BulkheadHandle", "BulkheadStats", "bulkhead"]
