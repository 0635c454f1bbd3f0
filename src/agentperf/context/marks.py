"""Marks: what stands where something was left out, and how to find it again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MARK = re.compile(
    r"\[\.\.\. (?P<count>\d{1,9}) (?P<noun>[a-z]{1,12}) \((?P<tokens>\d{1,12}) tokens?\) "
    r"(?P<how>[^\[\]\n]{0,120} )?left out \.\.\.\]"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Says how much was left out: `[... 12 lines (340 tokens) left out ...]`.

    Attributes:
        count: How many units.
        noun: What they are, in the singular: line, sentence, item, message.
        tokens: How many tokens they had.
        how: Where the same can still be found, for what is not lost.
    """

    count: int
    noun: str
    tokens: int
    how: str = ""

    def __str__(self) -> str:
        units = _number(self.count, self.noun)
        how = f"{self.how} " if self.how else ""
        return f"[... {units} ({_number(self.tokens, 'token')}) {how}left out ...]"


def find_marks(text: str) -> Iterator[re.Match[str]]:
    """Find the marks in a text."""
    return _MARK.finditer(text)


def read_mark(text: str) -> Mark | None:
    """Read a text that is a mark and nothing else."""
    found = _MARK.fullmatch(text.strip())
    if found is None:
        return None
    noun = found["noun"].removesuffix("s")
    return Mark(int(found["count"]), noun, int(found["tokens"]), (found["how"] or "").strip())


def marked_tokens(text: str) -> int:
    """Add up what the marks in a text say was left out."""
    return sum(int(found["tokens"]) for found in find_marks(text))


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
