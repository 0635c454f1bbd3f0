"""A text as a row of pieces: plain text, fenced code, JSON and marks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate, pairwise

from agentperf.context.json_text import compact
from agentperf.context.marks import find_marks

_FENCE = re.compile(r"^[ \t]*(?P<sign>`{3,}|~{3,})(?P<info>[^\n]*)(?:\n|\Z)", re.MULTILINE)
_JSON_START = re.compile(
    r"^[ \t]*(?=[\[{]\s*(?:[\[{\]}]|\"|(?:-?\d[\d.eE+-]*|true|false|null)\s*[,\]]))", re.MULTILINE
)
_REST_OF_LINE = re.compile(r"[ \t\r]*(?:\n|\Z)")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_SHORTEST_JSON = 40
_FAILURES = 32
"""After so many things that only look like JSON a text is taken to hold none."""


class Kind(Enum):
    """What a piece of text is."""

    TEXT = auto()
    FENCE = auto()
    JSON = auto()
    MARK = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A piece of a text.

    Attributes:
        kind: What it is.
        text: The piece itself; all pieces joined are the text.
        stands_for: For a mark, the block that can be found above it.
    """

    kind: Kind
    text: str
    stands_for: str = ""


Span = tuple[int, int]


def split(text: str) -> list[Piece]:
    """Cut a text into pieces; joined, they are the text again."""
    pieces = [Piece(Kind.TEXT, text)]
    for kind, find in ((Kind.FENCE, _fences), (Kind.JSON, _documents), (Kind.MARK, _marks)):
        pieces = [part for piece in pieces for part in _carved(piece, kind, find)]
    return pieces


def join(pieces: Iterable[Piece]) -> str:
    """Put the pieces together again."""
    return "".join(piece.text for piece in pieces)


def lines_of(text: str) -> list[str]:
    """Cut a text into lines, each with the newline that ends it."""
    return _LINE.findall(text)


def newline_of(line: str) -> str:
    """Return what ends a line: a newline, or nothing at the end of a text."""
    return line[len(line.rstrip("\r\n")) :]


def spans(parts: Iterable[str]) -> list[Span]:
    """Tell where parts that follow one another begin and end."""
    ends = list(accumulate(map(len, parts), initial=0))
    return list(pairwise(ends))


def _carved(piece: Piece, kind: Kind, find: Callable[[str], Iterator[Span]]) -> Iterator[Piece]:
    """Carve out of plain text what is of another kind."""
    if piece.kind is not Kind.TEXT:
        yield piece
        return
    done = 0
    for start, end in find(piece.text):
        if start > done:
            yield Piece(Kind.TEXT, piece.text[done:start])
        yield Piece(kind, piece.text[start:end])
        done = end
    if done < len(piece.text):
        yield Piece(Kind.TEXT, piece.text[done:])


def _fences(text: str) -> Iterator[Span]:
    """Find fenced code; a fence that is never closed is none."""
    signs = list(_FENCE.finditer(text))
    unclosed: dict[str, int] = {}
    at = 0
    while at < len(signs):
        sign = signs[at]["sign"]
        last = None
        if len(sign) < unclosed.get(sign[0], len(text)):
            last = next((i for i in range(at + 1, len(signs)) if _closes(signs[i], sign)), None)
            if last is None:
                unclosed[sign[0]] = len(sign)
        if last is None:
            at += 1
        else:
            yield signs[at].start(), signs[last].end()
            at = last + 1


def _closes(found: re.Match[str], sign: str) -> bool:
    return found["sign"].startswith(sign) and not found["info"].strip()


def _documents(text: str) -> Iterator[Span]:
    """Find objects and arrays that begin a line and end one, with the white space around them."""
    decoder = json.JSONDecoder(parse_int=len, parse_float=len)
    at = failures = 0
    while failures < _FAILURES and (found := _JSON_START.search(text, at)):
        at = found.end()
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            failures += 1
            continue
        rest = _REST_OF_LINE.match(text, end)
        if rest and len(compact(text[at:end])) >= _SHORTEST_JSON:
            yield found.start(), rest.end()
        at = rest.end() if rest else end


def _marks(text: str) -> Iterator[Span]:
    for found in find_marks(text):
        rest = _REST_OF_LINE.match(text, found.end())
        yield found.start(), rest.end() if rest else found.end()
