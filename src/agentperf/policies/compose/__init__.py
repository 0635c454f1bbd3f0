"""What knows all policies: several as one decorator, their order, those put on by configuration."""

from __future__ import annotations

from agentperf.policies.compose.stacks import Stack, stack

__all__ = ["Stack", "stack"]
