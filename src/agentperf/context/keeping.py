"""What the caller wants kept, as places in a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from agentperf.errors import ConfigurationError

Keep = str | re.Pattern[str] | Callable[[str], bool]
"""A text, a compiled pattern, or a predicate over a sentence, a line, an item or a message."""

Span = tuple[int, int]


class Keeper:
    """Knows what must stay.

    Args:
        keep: One or several of what `Keep` allows; None keeps nothing in particular.

    Raises:
        ConfigurationError: Something else was given.
    """

    def __init__(self, keep: Keep | Iterable[Keep] | None) -> None:
        self._patterns: list[re.Pattern[str]] = []
        self._predicates: list[Callable[[str], Any]] = []
        for one in _several(keep):
            if isinstance(one, str) and one:
                self._patterns.append(re.compile(re.escape(one)))
            elif isinstance(one, re.Pattern) and isinstance(one.pattern, str):
                self._patterns.append(one)
            elif callable(one):
                self._predicates.append(one)
            else:
                raise ConfigurationError(
                    f"keep={keep!r}: texts, compiled patterns or predicates over a text, "
                    'such as keep="order 4711" or keep=[re.compile(r"ERR-\\d+")]'
                )

    def __bool__(self) -> bool:
        return bool(self._patterns or self._predicates)

    def which(self, text: str, units: Sequence[Span]) -> list[bool]:
        """Tell which units of a text must stay; they follow one another without overlap."""
        held = [any(predicate(text[a:b]) for predicate in self._predicates) for a, b in units]
        spans = sorted(span for span in self._matches(text) if span[0] < span[1])
        at = 0
        for start, end in spans:
            while at < len(units) and units[at][1] <= start:
                at += 1
            inside = at
            while inside < len(units) and units[inside][0] < end:
                held[inside] = True
                inside += 1
        return held

    def lost(self, before: str, after: str) -> bool:
        """Tell whether a text that must stay is no longer there."""
        return any(before[a:b] not in after for a, b in self._matches(before))

    def _matches(self, text: str) -> Iterable[Span]:
        return (found.span() for pattern in self._patterns for found in pattern.finditer(text))


def _several(keep: object) -> Iterable[object]:
    if keep is None:
        return ()
    if isinstance(keep, str | re.Pattern) or callable(keep):
        return (keep,)
    return keep if isinstance(keep, Iterable) else (keep,)
