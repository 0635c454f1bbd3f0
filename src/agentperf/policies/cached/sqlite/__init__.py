"""The disk of the machine as a cache's backend: one SQLite file, shared by processes and runs."""

from __future__ import annotations

from agentperf.policies.cached.sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend"]
