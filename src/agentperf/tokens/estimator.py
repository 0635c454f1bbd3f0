"""Estimating tokens without a vocabulary, from the shapes of the words.

A text is reduced to its shape in two steps that run in C: every UTF-8 character becomes one letter
for its kind, and a rough version of the tokenizers' own pattern cuts that into pieces. A piece
costs what its shape costs, and a text has few different shapes. The costs were fitted to the true
counts of texts in 37 languages and formats; `docs/explanation/counting.md` has the errors.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass, field
from types import MappingProxyType

LOWER, UPPER, DIGIT, PUNCTUATION, BLANK, LINE, CONTROL = "aA0. nc"
LATIN, EXTENDED = "le"

# Kinds of characters by the first byte of their UTF-8 form: (up to this byte, kind).
_LEADS = (
    (0xCD, LATIN),
    (0xCF, "g"),  # Greek
    (0xD3, "y"),  # Cyrillic
    (0xD7, "h"),  # Hebrew, Armenian
    (0xDF, "r"),  # Arabic
    (0xE0, "i"),  # Indic, Thai
    (0xE1, EXTENDED),  # Georgian, Khmer, Vietnamese
    (0xE2, "s"),  # symbols, dashes
    (0xE3, "k"),  # kana
    (0xE9, "z"),  # Han
    (0xED, "o"),  # Hangul
    (0xEF, "f"),  # full-width forms
    (0xFF, "x"),  # emoji and whatever else takes four bytes
)


def _kind(byte: int) -> str:
    character = chr(byte)
    if byte >= 0x80:
        return next(kind for last, kind in _LEADS if byte <= last)
    if character.isalnum():
        return DIGIT if character.isdigit() else LOWER if character.islower() else UPPER
    if character in "\r\n":
        return LINE
    if character in " \t\v\f":
        return BLANK
    return PUNCTUATION if character.isprintable() else CONTROL


_KINDS = "".join(map(_kind, range(256))).encode()
_CONTINUATION = bytes(range(0x80, 0xC0))
# The tokenizers' own pattern in short: a word, perhaps with one mark joined to its front; three
# digits; a run of marks with the line breaks after it; blanks up to a line break; blanks; the blank
# that a number leaves alone; characters of other scripts.
_PIECES = re.compile(rb"\.?A?[ale]+|\.?A+(?![ale])|0{1,3}|\.+n*|[n ]*n|  +| (?=0)|[gyhriskzofxc]+")

_WORD = 40
"""Letters in a row that may still be a word. What goes on is none, and costs anything."""

_ENDLESS = 0.35  # Between one letter repeated, 1/8, and letters by chance, 1/2.
_EMPTY = 1 / 16


@dataclass(frozen=True, slots=True)
class Costs:
    """What the pieces cost in one vocabulary, in tokens.

    Attributes:
        error: The relative error that nine of ten texts of 2000 characters stay within.
        word: A word: letters, the first of them perhaps a capital.
        letter: Each letter of a word from the eleventh to the fortieth.
        joined: A mark in front of a word.
        capitals: A run of capitals.
        digits: Three digits, or what is left of them.
        marks: A run of punctuation, with `rule` for each mark after the sixth.
        line: Line breaks and the blanks before them.
        gap: Blanks inside a line, or before its first word.
        blank: The blank before a number.
        each: Every character of the kinds that are counted one by one.
    """

    error: float
    word: float
    letter: float
    joined: float
    capitals: float
    digits: float
    marks: float
    rule: float
    line: float
    gap: float
    blank: float
    each: MappingProxyType[str, float] = field(repr=False)

    def of(self, shape: bytes) -> float:
        """Return the cost of one piece."""
        kind, end, size = chr(shape[0]), chr(shape[-1]), len(shape)
        if end in (LOWER, UPPER, LATIN, EXTENDED):
            return self._letters(shape.lstrip(b"."), end) + self.joined * (kind == PUNCTUATION)
        if kind == DIGIT:
            return self.digits
        if kind == PUNCTUATION:
            return self.marks + self.rule * max(0, shape.count(b".") - 6)
        if end in (LINE, BLANK):
            cost = self.line if end == LINE else self.gap if size > 1 else self.blank
            return cost + _EMPTY * max(0, size - 16)
        return sum(self.each[kind] for kind in shape.decode())

    def _letters(self, word: bytes, end: str) -> float:
        size = len(word)
        endless = _ENDLESS * max(0, size - _WORD)
        if end == UPPER:
            return self.capitals + endless
        accents = word.count(b"l") * self.each[LATIN] + word.count(b"e") * self.each[EXTENDED]
        return self.word + self.letter * min(max(0, size - 10), _WORD - 10) + accents + endless


def _each(costs: str) -> MappingProxyType[str, float]:
    pairs = (pair.split("=") for pair in costs.split())
    return MappingProxyType({kind: float(cost) for kind, cost in pairs})


COSTS = MappingProxyType(
    {
        "o200k_base": Costs(
            error=0.17,
            word=0.96,
            letter=1.02,
            joined=0.59,
            capitals=2.01,
            digits=1.02,
            marks=1.05,
            rule=0.04,
            line=1.04,
            gap=1.06,
            blank=1.0,
            each=_each(
                "l=1.05 e=0.22 g=0.40 y=0.29 h=0.43 r=0.37 i=0.41 "
                "s=0.52 k=0.60 z=0.77 o=0.66 f=0.91 x=2.73 c=1"
            ),
        ),
        "cl100k_base": Costs(
            error=0.23,
            word=0.99,
            letter=1.26,
            joined=0.58,
            capitals=2.17,
            digits=1.02,
            marks=1.03,
            rule=0.04,
            line=1.02,
            gap=1.04,
            blank=1.0,
            each=_each(
                "l=1.68 e=1.55 g=1.05 y=0.50 h=1.18 r=0.84 i=1.21 "
                "s=0.60 k=0.90 z=1.09 o=1.08 f=0.95 x=3.31 c=1"
            ),
        ),
    }
)


def estimate(text: str, vocabulary: str) -> tuple[int, float]:
    """Estimate the tokens of `text` in one of the vocabularies of `COSTS`.

    Returns:
        The number, and the relative error that nine of ten texts of that length stay within.
    """
    if not text:
        return 0, 0.0
    data = text.encode("utf-8", "surrogatepass")
    shapes = Counter(_PIECES.findall(data.translate(_KINDS, _CONTINUATION)))
    total = endless = 0.0
    for shape, times in shapes.items():
        cost = times * _cost(vocabulary, shape)
        total += cost
        if len(shape) > _WORD and shape[-1:].lower() == b"a":
            endless += cost
    # A text that is not empty has a token, and none is shorter than a byte.
    tokens = min(max(1, round(total)), len(data))
    error = min(1.0, COSTS[vocabulary].error + 2 / tokens) + 3 * endless / max(total, 1.0)
    return tokens, error


@functools.lru_cache(maxsize=4096)
def _known_cost(vocabulary: str, shape: bytes) -> float:
    return COSTS[vocabulary].of(shape)


def _cost(vocabulary: str, shape: bytes) -> float:
    # Long runs are rare and would fill the memory of what is known.
    return _known_cost(vocabulary, shape) if len(shape) <= _WORD else COSTS[vocabulary].of(shape)
