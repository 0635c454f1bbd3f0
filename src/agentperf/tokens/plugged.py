"""Counting texts with the tokenizer of a plugin, and by estimate where it fails."""

from __future__ import annotations

from collections.abc import Callable

from agentperf._base import log
from agentperf.abc.tokenizers import Tokenizer
from agentperf.tokens.count import TokenCount
from agentperf.tokens.engines import Engine

_ENTRIES = 4_096


class WholeTexts(Engine):
    """Counts texts in one piece: nobody knows where a stranger's tokenizer may be cut."""

    def count(self, text: str) -> TokenCount:
        """Count the tokens of `text`."""
        return self._part(text)

    def within(self, text: str, limit: int) -> int | None:
        """Count the tokens of `text`; None when there are more than `limit`."""
        tokens = int(self.count(text))
        return None if tokens > limit else tokens


def estimating(estimate: Callable[[str], TokenCount]) -> Engine:
    """Make the engine that counts until the tokenizer is there, and where it fails."""
    return WholeTexts(estimate, _ENTRIES)


def plugged(make: Callable[[], object], estimate: Callable[[str], TokenCount]) -> Engine | None:
    """Make the engine for what a plugin offers; None when it can't be made.

    Args:
        make: Makes the tokenizer.
        estimate: Counts the texts on which the tokenizer fails.
    """
    try:
        tokenizer = _checked(make())
        source, error = tokenizer.name, 0.0 if tokenizer.exact else None
    except Exception as problem:  # noqa: BLE001 - a stranger's code, and there is the estimate
        log.fault("tokens.plugin_failed", problem)
        return None
    told = False

    def measure(text: str) -> TokenCount:
        nonlocal told
        try:
            tokens = _number(tokenizer.count(text))
        except Exception as problem:  # noqa: BLE001 - a count must not fail
            if not told:
                told = True
                log.fault("tokens.plugin_failed", problem, tokenizer=source)
            return estimate(text)
        return TokenCount(tokens, source=source, error=error)

    return WholeTexts(measure, _ENTRIES)


def _checked(tokenizer: object) -> Tokenizer:
    if not isinstance(tokenizer, Tokenizer):
        raise TypeError(f"{type(tokenizer).__name__} doesn't extend agentperf.abc.Tokenizer")
    return tokenizer


def _number(tokens: object) -> int:
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
        raise TypeError(f"count() gave {tokens!r}: a whole number from 0 up is needed")
    return tokens
