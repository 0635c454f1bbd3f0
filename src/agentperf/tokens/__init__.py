"""Counting tokens and what they cost."""

from __future__ import annotations

from agentperf.tokens.count import TokenCount
from agentperf.tokens.counter import Counter, count_tokens, counter, exceeds
from agentperf.tokens.fetching import fetch
from agentperf.tokens.prices import Price, Prices, Rates, cost, price

__all__ = [
    "Counter",
    "Price",
    "Prices",
    "Rates",
    "TokenCount",
    "cost",
    "count_tokens",
    "counter",
    "exceeds",
    "fetch",
    "price",
]
