"""`timed`: counts and measures calls."""

from __future__ import annotations

from agentperf.policies.timed.decorator import Timed, timed
from agentperf.policies.timed.measure import measure, record

__all__ = ["Timed", "measure", "record", "timed"]
