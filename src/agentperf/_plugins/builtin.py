"""What agentperf itself offers, in the form of a plugin."""

from __future__ import annotations

from collections.abc import Mapping

from agentperf.abc.backends import BackendFactory, CacheBackend
from agentperf.hookspecs import hookimpl


class Builtin:
    """agentperf's own plugin."""

    AGENTPERF_HOOKSPECS = "1.0"

    @hookimpl
    def agentperf_cache_backends(self) -> Mapping[str, BackendFactory]:
        """Offer the memory of the process; `cached` takes a shorter way to it."""
        return {"memory": _memory}


def _memory(_: str) -> CacheBackend:
    from agentperf.policies.cached import MemoryBackend

    return MemoryBackend()
