"""The command `agentperf`."""

from __future__ import annotations

from agentperf.cli.main import main

__all__ = ["main"]
