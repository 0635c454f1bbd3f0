"""Configuration: one model, filled from files, the environment and the running program."""

from __future__ import annotations

from agentperf.config.loading import load
from agentperf.config.settings import Settings

__all__ = ["Settings", "load"]
