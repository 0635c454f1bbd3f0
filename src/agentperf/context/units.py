"""Plain text cut into the units that are kept or left out as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

_PARAGRAPH = re.compile(r"\n[ \t\r]*\n(?=\S)")
_ENTRY = re.compile(r"\n(?=[^\s)\]}])")
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_LINE = re.compile(r"\n")
_SENTENCE = re.compile(
    r"(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bSt)(?<!\bvs)(?<!\bNo)(?<!\b[A-Z])"
    r"(?<![.!?\u2026])[.!?\u2026]++[\"'\u201d\u2019)\]]*+\s++(?=[^\Wa-z_]|[\"'\u201c\u2018(\[])"
    r"|(?<![\u3002\uff01\uff1f])[\u3002\uff01\uff1f]++[\u300d\u300f\u201d\uff09]*+(?=\w)"
)
_WRAPPED = re.compile(r"[\w,]\n(?=[a-z(])")
_SPACE = re.compile(r"(?<!\s)\s++(?=[!-~]|\w)")

_SMALLEST = 32
"""Units of fewer characters are not worth a mark; they go with the next."""

Splitter = Callable[[str, int], list[str]]


def units(text: str, longest: int) -> list[str]:
    """Cut a text into units of at most `longest` characters, where it allows that.

    Paragraphs come first, then entries with what is indented below them, lines, sentences, and at
    last runs of words; a unit that is short enough isn't cut further. Joined they are the text.
    """
    return _packed(list(_cut(text, longest, _SPLITTERS)))


def _cut(text: str, longest: int, splitters: Sequence[Splitter]) -> Iterator[str]:
    if len(text) <= longest or not splitters:
        yield text
        return
    for part in splitters[0](text, longest):
        yield from _cut(part, longest, splitters[1:])


def _at(boundary: re.Pattern[str]) -> Splitter:
    """Make a splitter that cuts after each match."""

    def split(text: str, _: int) -> list[str]:
        ends = [found.end() for found in boundary.finditer(text)]
        return [text[a:b] for a, b in pairwise([0, *ends, len(text)]) if a < b]

    return split


_sentences = _at(_SENTENCE)


def _wrapped_sentences(text: str, longest: int) -> list[str]:
    """Cut prose whose sentences run on over the ends of lines."""
    runs_on = len(_WRAPPED.findall(text))
    return _sentences(text, longest) if runs_on * 3 > text.count("\n") else [text]


def _words(text: str, longest: int) -> list[str]:
    """Cut between words, as seldom as possible."""
    parts: list[str] = []
    begun = 0
    end = 0
    for found in _SPACE.finditer(text):
        if found.end() - begun > longest and end > begun:
            parts.append(text[begun:end])
            begun = end
        end = found.end()
    if end > begun and len(text) - begun > longest:
        parts.append(text[begun:end])
        begun = end
    return [*parts, text[begun:]]


_SPLITTERS: tuple[Splitter, ...] = (
    _at(_PARAGRAPH),
    _wrapped_sentences,
    _at(_ENTRY),
    _at(_BLANK_LINE),
    _at(_LINE),
    _sentences,
    _words,
)


def _packed(parts: Sequence[str]) -> list[str]:
    """Join what is too short with what follows; the last one with what is before."""
    packed: list[str] = []
    small = ""
    for part in parts:
        small += part
        if len(small) >= _SMALLEST:
            packed.append(small)
            small = ""
    if small and packed:
        packed[-1] += small
    elif small:
        packed.append(small)
    return packed
