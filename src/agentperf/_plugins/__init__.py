"""Plugins: found, loaded, and asked for what they offer."""

from __future__ import annotations

from agentperf._plugins.extensions import Extensions
from agentperf._plugins.listing import Listed, Offer, Origin
from agentperf._plugins.registry import Plugins

__all__ = ["Extensions", "Listed", "Offer", "Origin", "Plugins"]
