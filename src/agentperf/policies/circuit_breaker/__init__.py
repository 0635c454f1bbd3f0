"""`circuit_breaker`: stops calling an upstream that fails."""

from __future__ import annotations

from agentperf.policies.circuit_breaker.decorator import CircuitBreaker, circuit_breaker

__all__ = ["CircuitBreaker", "circuit_breaker"]
