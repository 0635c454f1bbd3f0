"""Counting tokens with whatever counter is in use, each text once."""

from __future__ import annotations

from collections.abc import Callable

CountTokens = Callable[[str], int]
"""Counts the tokens of a text. A result with a false `exact` is an estimate."""


class Tokens:
    """A counter that remembers, for the time of one compression.

    Attributes:
        exact: Whether every count so far was exact.
    """

    def __init__(self, count: CountTokens) -> None:
        self._count = count
        self._known: dict[str, int] = {"": 0}
        self.exact = True

    def __call__(self, text: str) -> int:
        """Count the tokens of a text."""
        known = self._known.get(text)
        if known is None:
            counted = self._count(text)
            self.exact = self.exact and bool(getattr(counted, "exact", True))
            known = self._known[text] = int(counted)
        return known
