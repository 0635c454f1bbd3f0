"""What every test shares."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A slow moment of the machine is no failure, and a failure must come back on the next run.
settings.register_profile(
    "agentperf",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # that is a limit of time, on a busy machine
)
settings.load_profile("agentperf")
