"""`circuit_breaker`: stops calling an upstream that fails."""

from __future__ import annotations

from agentperf.policies.circuit_breaker.decorator import CircuitBreaker, circuit_breaker
from agentperf.policies.circuit_breaker.handle import BreakerHandle

__all__ = ["BreakerHandle", "CircuitBreaker", "circuit_breaker"]
