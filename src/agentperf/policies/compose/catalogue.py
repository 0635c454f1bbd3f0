"""All decorators that make policies, by the names under which they are configured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agentperf._engine.order import CANONICAL
from agentperf.policies.budgeted import budgeted
from agentperf.policies.bulkhead import bulkhead
from agentperf.policies.cached import cached
from agentperf.policies.circuit_breaker import circuit_breaker
from agentperf.policies.compress_prompt import compress_prompt
from agentperf.policies.fallback import fallback
from agentperf.policies.hedged import hedged
from agentperf.policies.rate_limited import rate_limited
from agentperf.policies.retry import retry
from agentperf.policies.timed import timed
from agentperf.policies.timeout import timeout

_ALL: Mapping[str, Callable[..., Any]] = {
    "timed": timed,
    "budgeted": budgeted,
    "fallback": fallback,
    "cached": cached,
    "compress_prompt": compress_prompt,
    "hedged": hedged,
    "retry": retry,
    "bulkhead": bulkhead,
    "rate_limited": rate_limited,
    "circuit_breaker": circuit_breaker,
    "timeout": timeout,
}

DECORATORS: Mapping[str, Callable[..., Any]] = {
    kind: _ALL[kind] for kind in CANONICAL if kind in _ALL
}
"""In canonical order, outermost first."""
