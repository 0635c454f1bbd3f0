"""The figures of one run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run of the agent took and cost.

    Attributes:
        mean_s: Response time in seconds: from the message until the agent is done with it.
        p50_s: Half of the messages took no longer.
        p95_s: 95 of 100 took no longer.
        max_s: The longest.
        ttft_s: Mean time until the first piece of the answer.
        model_calls: Requests that reached the server, by its own count.
        input_tokens: Tokens the server read.
        output_tokens: Tokens the server wrote.
        cost_usd: What they cost at the server's price.
        cache_hit_rate: Share (0 to 1) of the cache look-ups for repeated messages that were hits.
        failed: Messages that got no answer.
    """

    mean_s: float
    p50_s: float
    p95_s: float
    max_s: float
    ttft_s: float
    model_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    cache_hit_rate: float
    failed: int


def mean(values: Sequence[float]) -> float:
    """Return the mean; 0 of nothing."""
    return sum(values) / len(values) if values else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of all values don't exceed (nearest rank); 0 of nothing."""
    if not values:
        return 0.0
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
