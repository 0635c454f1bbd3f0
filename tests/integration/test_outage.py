"""A fleet in an outage: how many requests its clients make of the upstream that is down.

Fifty clients call once a second for five minutes; in the second and third the upstream is down.
Each is a process of its own, with its own budget and breaker. The upstream fails by the time alone,
so they don't meet, and one after the other can live through the same five minutes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import agentperf
from agentperf.policies.circuit_breaker import circuit_breaker
from agentperf.policies.retry import retry
from agentperf.testing import FakeClock

CLIENTS, MINUTES = 50, 5
DOWN = (1, 2)
"""The minutes of the outage, counted from 0."""
NORMAL = CLIENTS * 60
"""Requests of a minute in which all is well."""

Dress = Callable[[Callable[[], str]], Callable[[], str]]


def live_through(dress: Dress, number: int, requests: Counter[int], answers: Counter[int]) -> None:
    """Be one client from the first minute to the last."""
    clock = FakeClock()
    began = clock.now() - number / CLIENTS

    def minute() -> int:
        return int((clock.now() - began) // 60)

    def upstream() -> str:
        requests[minute()] += 1
        if minute() in DOWN:
            raise ConnectionError
        return "an answer"

    with agentperf.use(agentperf.Host(clock=clock)):
        ask = dress(upstream)
        while minute() < MINUTES:
            due = clock.now() + 1
            try:
                ask()
            except (ConnectionError, agentperf.CircuitOpen):
                pass
            else:
                answers[minute()] += 1
            clock.advance(max(0.0, due - clock.now()))


def load(monkeypatch: pytest.MonkeyPatch, dress: Dress) -> tuple[list[float], list[float]]:
    """Return requests and answers of each minute, as multiples of a normal one."""
    chance = random.Random(7)
    monkeypatch.setattr(random, "uniform", chance.uniform)
    requests: Counter[int] = Counter()
    answers: Counter[int] = Counter()
    for number in range(CLIENTS):
        live_through(dress, number, requests, answers)
    return tuple(  # type: ignore[return-value]
        [round(count[minute] / NORMAL, 2) for minute in range(MINUTES)]
        for count in (requests, answers)
    )


def naive(function: Callable[..., Any]) -> Callable[..., Any]:
    """Retry as it is often written: five quick attempts, and nobody keeps count."""
    return retry(attempts=5, backoff=0.05, budget=None)(function)


def with_budget(function: Callable[..., Any]) -> Callable[..., Any]:
    """Retry as often and as quickly, within the usual budget."""
    return retry(attempts=5, backoff=0.05)(function)


def with_both(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same above a breaker with its defaults."""
    return with_budget(circuit_breaker(function))


def test_naive_retries_multiply_the_load(monkeypatch, record_property):
    """Just when the upstream can bear it least: five requests for one."""
    requests, _ = load(monkeypatch, naive)
    record_property("requests", requests)
    assert all(requests[minute] > 4.5 for minute in DOWN)


def test_a_budget_bounds_the_load(monkeypatch, record_property):
    """Ten retries for each client, then none until calls work again."""
    requests, answers = load(monkeypatch, with_budget)
    record_property("requests", requests)
    assert max(requests) <= 1.2
    assert answers[-1] >= 0.99


def test_a_breaker_takes_the_load_off(monkeypatch, record_property):
    """Never above 1.2 of normal, next to nothing once it is open, and all is well again after."""
    requests, answers = load(monkeypatch, with_both)
    record_property("requests", requests)
    assert max(requests) <= 1.2
    assert requests[2] <= 0.2
    assert answers[-1] >= 0.99
