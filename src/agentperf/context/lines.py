"""Lines that say the same again: equal ones, and log lines that differ in numbers only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from agentperf.context.counting import Tokens
from agentperf.context.keeping import Keeper
from agentperf.context.marks import Mark
from agentperf.context.pieces import Kind, Piece, lines_of, newline_of, spans
from agentperf.context.trouble import tells_of_trouble

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|\b[0-9a-fA-F]{8,}\b|\d+(?:[.,:]\d+)*")
_STAMP = re.compile(
    r"\W{0,2}(?:\d{4}-\d\d-\d\d|\d\d:\d\d|\d{2}/\w{3}/\d{4}|[A-Z][a-z]{2} [ \d]\d )"
)
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_FEWEST = 4
"""So many lines of one shape make it worth folding."""

_FEWEST_LINES = 8
_LONGEST = 2000
_SMALLEST = 16
"""So few characters have fewer tokens than any mark."""


def fold_equal(pieces: Sequence[Piece], tokens: Tokens, keep: Keeper) -> list[Piece]:
    """Fold equal lines that follow one another into the first of them and a count."""

    def again(lines: list[str]) -> list[bool]:
        bare = [line.rstrip("\r\n") for line in lines]
        return [
            at > 0 and line == bare[at - 1] and bool(line.strip()) for at, line in enumerate(bare)
        ]

    return _folded(pieces, again, "equal to the one above", tokens, keep)


def fold_alike(
    pieces: Sequence[Piece], tokens: Tokens, keep: Keeper, query: str, first: int = 1
) -> list[Piece]:
    """Fold log lines of the same shape: the `first` ones and the last of each shape stay.

    A shape is a line with its numbers, hashes and times masked. Lines that speak of trouble stay,
    and so do those with a number that the query names. Text that is no log is left alone.
    """
    named = set(_NUMBER.findall(query))

    def alike(lines: list[str]) -> list[bool]:
        shapes = [_shape(line) for line in lines]
        counts = Counter(shapes)
        often = {shape for shape, n in counts.items() if n >= _FEWEST and _is_worded(shape)}
        if not _is_log(lines, shapes, often):
            return [False] * len(lines)
        last = {shape: at for at, shape in enumerate(shapes)}
        seen: Counter[str] = Counter()
        dropped: list[bool] = []
        for at, (line, shape) in enumerate(zip(lines, shapes, strict=True)):
            dropped.append(
                shape in often
                and seen[shape] >= first
                and at != last[shape]
                and not tells_of_trouble(line)
                and named.isdisjoint(_NUMBER.findall(line) if named else ())
            )
            seen[shape] += 1
        return _with_blank_lines(lines, dropped)

    return _folded(pieces, alike, "like others here", tokens, keep)


def _with_blank_lines(lines: list[str], dropped: list[bool]) -> list[bool]:
    """Drop the blank lines between dropped ones too."""
    result = list(dropped)
    last = -1
    for at, line in enumerate(lines):
        if line.strip():
            if dropped[at] and last >= 0 and dropped[last]:
                result[last:at] = [True] * (at - last)
            last = at
    return result


def _shape(line: str) -> str:
    return _NUMBER.sub("#", line.strip()) if len(line) < _LONGEST else line


def _is_worded(shape: str) -> bool:
    """Tell whether words make the shape: rows of numbers are data, each of them worth as much."""
    return "#" in shape and len(_LETTERS.findall(shape)) > 1


def _is_log(lines: list[str], shapes: list[str], often: set[str]) -> bool:
    """Tell whether most lines have a time stamp or a shape that comes again and again."""
    told = sum(1 for line in lines if line.strip())
    logged = sum(
        shape in often or bool(_STAMP.match(line))
        for line, shape in zip(lines, shapes, strict=True)
    )
    return bool(often) and told >= _FEWEST_LINES and logged * 2 > told


def _folded(
    pieces: Sequence[Piece],
    choose: Callable[[list[str]], list[bool]],
    how: str,
    tokens: Tokens,
    keep: Keeper,
) -> list[Piece]:
    """Put a mark in place of each run of chosen lines, where that is shorter."""
    result: list[Piece] = []
    for piece in pieces:
        lines = lines_of(piece.text) if piece.kind is Kind.TEXT else []
        dropped = choose(lines) if len(lines) > 1 else []
        if not any(dropped):
            result.append(piece)
            continue
        if keep:
            stays = keep.which(piece.text, spans(lines))
            dropped = [drop and not stay for drop, stay in zip(dropped, stays, strict=True)]
        result += _marked(lines, dropped, how, tokens)
    return result


def _marked(lines: list[str], dropped: list[bool], how: str, tokens: Tokens) -> Iterator[Piece]:
    told: list[str] = []
    for drop, run in groupby(zip(lines, dropped, strict=True), key=itemgetter(1)):
        texts = [line for line, _ in run]
        mark = _mark(texts, how, tokens) if drop else ""
        if not mark:
            told += texts
            continue
        if told:
            yield Piece(Kind.TEXT, "".join(told))
            told = []
        yield Piece(Kind.MARK, mark)
    if told:
        yield Piece(Kind.TEXT, "".join(told))


def _mark(lines: list[str], how: str, tokens: Tokens) -> str:
    """Write the mark for some lines; nothing, if it were no shorter than they are."""
    if sum(map(len, lines)) < _SMALLEST:
        return ""
    size = sum(map(tokens, lines))
    count = sum(1 for line in lines if line.strip())
    mark = f"{Mark(count, 'line', size, how)}{newline_of(lines[-1])}"
    return mark if tokens(mark) < size else ""
