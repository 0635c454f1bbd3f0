"""A number of tokens that says how it was found and how far off it may be."""

from __future__ import annotations

from typing import Any, Self


class TokenCount(int):
    """A number of tokens; everywhere an ordinary `int`.

    Two counts add up to a count: it is exact when both are, names both sources, and its error is
    what the errors amount to together. A plain number added to a count is taken as exact. Other
    arithmetic gives plain numbers.

    Attributes:
        source: How it was found: `"tiktoken:o200k_base"`, `"estimate:o200k_base"`, with `"+chat"`,
            `"+tools"` or `"+media"` for what a request adds to its texts.
        error: How far off it may be, relative to the count: 0.0 when it is exact, 0.15 for 15 %;
            None when nobody knows.
    """

    source: str
    error: float | None

    def __new__(cls, value: int = 0, *, source: str = "", error: float | None = 0.0) -> Self:
        """Make a count of `value` tokens."""
        self = super().__new__(cls, value)
        self.source = source
        self.error = error
        return self

    @property
    def exact(self) -> bool:
        """Whether it is the very number, for the vocabulary that `source` names."""
        return self.error == 0.0

    def __add__(self, other: int) -> TokenCount:
        if not isinstance(other, int):
            return NotImplemented
        tally = Tally()
        tally.add(self)
        tally.add(other)
        return tally.total()

    __radd__ = __add__

    def __getnewargs_ex__(self) -> tuple[tuple[int], dict[str, Any]]:
        return (int(self),), {"source": self.source, "error": self.error}

    def __str__(self) -> str:
        return int.__repr__(self)

    def __repr__(self) -> str:
        if self.exact:
            return f"TokenCount({self}, exact, {self.source!r})"
        known = "error unknown" if self.error is None else f"error {self.error:.1%}"
        return f"TokenCount({self}, {known}, {self.source!r})"


class Tally:
    """Adds up counts without making one for every step."""

    __slots__ = ("_slack", "_sources", "tokens")

    def __init__(self) -> None:
        self.tokens = 0
        self._slack: float | None = 0.0
        self._sources: dict[str, None] = {}

    def add(self, count: int) -> None:
        """Add a count, or a plain number."""
        self.tokens += int(count)
        if isinstance(count, TokenCount):
            if count.source not in self._sources:
                self._sources.update(dict.fromkeys(filter(None, count.source.split("+"))))
            if self._slack is not None and count.error != 0.0:
                self._slack = None if count.error is None else self._slack + count * count.error

    def total(self) -> TokenCount:
        """Return the sum."""
        error = self._slack and self._slack / max(self.tokens, 1)
        return TokenCount(self.tokens, source="+".join(self._sources), error=error)
