"""The work inside every contestant: as little as possible, so that only the rest is seen."""

from __future__ import annotations


def work(prompt: str) -> str:
    """Return at once."""
    return prompt


async def awork(prompt: str) -> str:
    """Return at once, asynchronously."""
    return prompt
