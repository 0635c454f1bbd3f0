"""What every test shares."""

from __future__ import annotations

from hypothesis import settings

# A slow moment of the machine is no failure, and a failure must come back on the next run.
settings.register_profile("agentperf", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("agentperf")
