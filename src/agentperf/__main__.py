"""`python -m agentperf` is the command `agentperf`."""

from __future__ import annotations

from agentperf.cli import main

if __name__ == "__main__":
    main()
