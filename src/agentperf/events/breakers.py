"""Events of circuit breakers."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitChanged(Event):
    """A breaker went from one state to another, or would have (in shadow).

    Attributes:
        name: The breaker's name.
        old: The state before, such as `closed`.
        new: The state now.
        reason: Why, in a few fixed words.
        calls: Calls in the window that led to it.
        failure_rate: The share of them that failed, 0 to 1.
        slow_rate: The share of them that took too long, 0 to 1.
        open_for: Seconds it will stay open, where it opened.
    """

    name: str
    old: str
    new: str
    reason: str
    calls: int
    failure_rate: float
    slow_rate: float
    open_for: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRefused(Event):
    """A policy refused a call before it was made.

    Attributes:
        policy: The kind of policy, such as `circuit_breaker`.
        name: The policy's name.
        retry_after: Seconds until another try makes sense, where known.
    """

    policy: str
    name: str
    retry_after: float | None = None
