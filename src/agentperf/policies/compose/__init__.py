"""What knows all policies: several as one decorator, their order, those put on by configuration."""

from __future__ import annotations

from agentperf.policies.compose.stacks import Stack, resilient, stack

__all__ = ["Stack", "resilient", "stack"]
