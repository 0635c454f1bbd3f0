"""What a model call used: tokens and money, as a value of ours and as clients report it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from agentperf.errors import ConfigurationError

_TOKENS = ("input_tokens", "output_tokens", "cached_tokens")


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

    @classmethod
    def of(cls, reply: object) -> Usage:
        """Return what a reply of a model client says it used, or a client's usage as one of ours.

        Understands replies, their `usage`, and the same as mappings, of the OpenAI (chat
        completions, responses, embeddings) and Anthropic clients; a `Usage` is returned as it is.

        Example:
            used = agentperf.Usage.of(client.chat.completions.create(...))

        Raises:
            ConfigurationError: It says nothing of tokens.
        """
        found = usage_of(reply) or _read(reply)
        if found is None:
            raise ConfigurationError(
                f"this {type(reply).__name__} says nothing of tokens; give a "
                "Usage(input_tokens=120), a client's reply, or its usage, such as reply.usage"
            )
        return found

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


def checked(usage: Usage) -> Usage:
    """Return a usage whose figures may be added to others.

    Raises:
        ConfigurationError: A figure is no number or negative.
    """
    for name in _TOKENS:
        tokens = getattr(usage, name)
        if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:
            raise ConfigurationError(f"{name}={tokens!r}: a whole number from 0 up, {name}=120")
    cost = usage.cost_usd
    if cost is not None and not (isinstance(cost, int | float) and 0 <= cost < inf):
        raise ConfigurationError(f"cost_usd={cost!r}: a number from 0 up, cost_usd=0.002")
    return usage


def usage_of(result: Any) -> Usage | None:
    """Return the usage that a model's answer, or a chunk of one, reports; None without one.

    Understands `Usage` itself, and objects or mappings with a `usage` that names its tokens the way
    OpenAI (chat completions, responses, embeddings) or Anthropic do.
    """
    if isinstance(result, Usage):
        return result
    reported = _get(result, "usage")
    if reported is None:
        # The last event of a streamed response holds the whole of it.
        reported = _get(_get(result, "response"), "usage")
    return reported if isinstance(reported, Usage) else _read(reported)


def _add_cost(one: float | None, other: float | None) -> float | None:
    """A sum over what is known: unknown and unknown stays unknown."""
    if one is None:
        return other
    return one if other is None else one + other


def _read(reported: Any) -> Usage | None:
    """Read what a client calls usage."""
    read = _count(reported, "input_tokens", "prompt_tokens")
    written = _count(reported, "output_tokens", "completion_tokens")
    if read is None and written is None:
        return None
    details = _get(reported, "prompt_tokens_details") or _get(reported, "input_tokens_details")
    cached = _count(details, "cached_tokens") or _count(reported, "cache_read_input_tokens")
    return Usage(read or 0, written or 0, cached or 0)


def _count(holder: Any, *names: str) -> int | None:
    for name in names:
        value = _get(holder, name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def _get(holder: Any, name: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)
