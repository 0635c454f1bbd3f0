"""JSON as text: without its white space, and cut into its elements; no value is ever touched."""

from __future__ import annotations

import re
from collections.abc import Iterator

_KEPT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[^\s"]+')
_STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]')


def compact(text: str) -> str:
    """Take the white space out of valid JSON: strings and numbers keep every character."""
    return "".join(_KEPT.findall(text))


def elements(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Find the items of an array, or the members of an object, that begins at `start`."""
    depth = 0
    begun = start + 1
    for found in _STRUCTURE.finditer(text, start, end):
        sign = found[0]
        if sign in "[{":
            depth += 1
        elif sign in "]}":
            depth -= 1
            if depth == 0 and text[begun : found.start()].strip():
                yield begun, found.start()
        elif sign == "," and depth == 1:
            yield begun, found.start()
            begun = found.end()
