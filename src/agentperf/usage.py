"""What a model call used: tokens and money."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and cost of one or more model calls; usages add up.

    Attributes:
        input_tokens: Tokens of the prompt, cached ones included.
        output_tokens: Tokens of the answer, reasoning included.
        cached_tokens: The part of the input that the provider read from its prompt cache.
        cost_usd: Money in US dollars; None when the price is not known.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = None

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        if not isinstance(other, Usage):
            return NotImplemented
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            _add_cost(self.cost_usd, other.cost_usd),
        )


def _add_cost(one: float | None, other: float | None) -> float | None:
    """A sum over what is known: unknown and unknown stays unknown."""
    if one is None:
        return other
    return one if other is None else one + other
