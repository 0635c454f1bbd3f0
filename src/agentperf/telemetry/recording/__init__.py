"""Runs written down: a file of lines, one for each call."""

from __future__ import annotations

from agentperf.telemetry.recording.folder import find, latest, new_path
from agentperf.telemetry.recording.reader import Recording, read
from agentperf.telemetry.recording.writer import Writer

__all__ = ["Recording", "Writer", "find", "latest", "new_path", "read"]
