"""Importing this instruments everything that agentperf knows: `import agentperf.auto`."""

from __future__ import annotations

from agentperf._base.log import fault
from agentperf.instrumentation import instrument

try:
    instrument()
except Exception as error:  # noqa: BLE001 - the program must start all the same
    fault("auto.failed", error)
