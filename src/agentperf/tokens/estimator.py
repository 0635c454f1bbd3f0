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
_PIECES = re.compile(
    rb"A?[ale]+|A+(?![ale])|0{1,3}|\.+|n[n ]*|  +|[gyhriskzofxc]+",
)


_WORD = 40
"""Letters in a row that may still be a word. What goes on is none, and costs anything."""

_ENDLESS = 0.35  # Between one letter repeated, 1/8, and letters by chance, 1/2.
_EMPTY = 1 / 16


@dataclass(frozen=True, slots=True)
class Costs:
    """What the shapes of one vocabulary cost, in tokens.

    Attributes:
        error: The relative error that nine of ten texts of 2000 characters stay within.
        word: A word: letters, the first of them perhaps a capital.
        letter: Each letter of a word from the eleventh to the fortieth.
        capitals: A run of capitals, with `capital` for each after the first.
        digits: Three digits, or what is left of them.
        marks: A run of punctuation, with `mark` for the third to sixth and `rule` for each after.
        line: Line breaks and the indent that follows.
        gap: More than one blank inside a line.
        each: Every character of the kinds that are counted one by one.
    """

    error: float
    word: float
    letter: float
    capitals: float
    capital: float
    digits: float
    marks: float
    mark: float
    rule: float
    line: float
    gap: float
    each: MappingProxyType[str, float] = field(repr=False)

    def of(self, shape: bytes) -> float:
        """Return the cost of one piece."""
        kind, size = chr(shape[0]), len(shape)
        if chr(shape[-1]) in (LOWER, LATIN, EXTENDED):
            accents = shape.count(b"l") * self.each[LATIN] + shape.count(b"e") * self.each[EXTENDED]
            letters = self.letter * min(max(0, size - 10), 30) + _ENDLESS * max(0, size - _WORD)
            return self.word + letters + accents
        if kind == UPPER:
            return self.capitals + self.capital * (size - 1)
        if kind == DIGIT:
            return self.digits
        if kind == PUNCTUATION:
            return self.marks + self.mark * min(max(0, size - 2), 4) + self.rule * max(0, size - 6)
        if kind in (LINE, BLANK):
            return (self.line if kind == LINE else self.gap) + _EMPTY * max(0, size - 16)
        return sum(self.each[kind] for kind in shape.decode())


def _each(costs: str) -> MappingProxyType[str, float]:
    pairs = (pair.split("=") for pair in costs.split())
    return MappingProxyType({kind: float(cost) for kind, cost in pairs})


COSTS = MappingProxyType(
    {
        "o200k_base": Costs(
            error=0.15,
            word=0.85,
            letter=0.99,
            capitals=1.82,
            capital=0.24,
            digits=1.11,
            marks=0.77,
            mark=0.37,
            rule=0.04,
            line=2.01,
            gap=0.76,
            each=_each(
                "l=0.81 e=0.16 g=0.36 y=0.26 h=0.36 r=0.30 i=0.35 "
                "s=0.40 k=0.55 z=0.62 o=0.55 f=0.91 x=2.84 c=1"
            ),
        ),
        "cl100k_base": Costs(
            error=0.2,
            word=0.91,
            letter=1.02,
            capitals=1.99,
            capital=0.20,
            digits=1.08,
            marks=0.78,
            mark=0.19,
            rule=0.04,
            line=1.97,
            gap=0.68,
            each=_each(
                "l=1.53 e=1.54 g=1.01 y=0.43 h=1.11 r=0.77 i=1.15 "
                "s=0.47 k=0.85 z=0.95 o=0.96 f=0.95 x=3.40 c=1"
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
    error = COSTS[vocabulary].error + 1.5 / tokens + 3 * endless / total if total else 1.0
    return tokens, error


@functools.lru_cache(maxsize=4096)
def _known_cost(vocabulary: str, shape: bytes) -> float:
    return COSTS[vocabulary].of(shape)


def _cost(vocabulary: str, shape: bytes) -> float:
    # Long runs are rare and would fill the memory of what is known.
    return _known_cost(vocabulary, shape) if len(shape) <= _WORD else COSTS[vocabulary].of(shape)
