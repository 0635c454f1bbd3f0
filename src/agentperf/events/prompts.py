"""Events of compressed prompts."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCompressed(Event):
    """A prompt was made shorter before a call.

    Attributes:
        tokens_before: Tokens of the prompt as it was given.
        tokens_after: Tokens of what was sent.
        cuts: Places where something was left out.
        exact: Whether the counts are exact.
        seconds: How long it took.
    """

    tokens_before: int
    tokens_after: int
    cuts: int
    exact: bool
    seconds: float
