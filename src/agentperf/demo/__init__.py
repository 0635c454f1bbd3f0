"""The demo: one small agent, as first written and with agentperf, on the same work."""
