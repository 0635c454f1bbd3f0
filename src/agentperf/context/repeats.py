"""Blocks of lines that stand further up already: a mark says where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentperf.context.counting import Tokens
from agentperf.context.keeping import Keeper
from agentperf.context.marks import Mark
from agentperf.context.pieces import Kind, Piece, lines_of, newline_of, spans

_WINDOW = 3
"""A block is recognised by so many lines, or by one that is long."""

_LONG_LINE = 100
_QUOTED = 40
_UNQUOTABLE = re.compile(r"[\[\]\"\s]+")


@dataclass(slots=True)
class _Line:
    """A line that was written: its text, and the one that follows directly."""

    text: str
    following: _Line | None = None


class Repeats:
    """Finds repeated blocks in texts that are shown to it in their order.

    Args:
        tokens: The counter.
        keep: What must stay where it is.
    """

    def __init__(self, tokens: Tokens, keep: Keeper) -> None:
        self._tokens = tokens
        self._keep = keep
        self._seen: dict[tuple[str, ...], _Line] = {}

    def reduced(self, pieces: Sequence[Piece], *, frozen: bool = False) -> list[Piece]:
        """Replace the blocks that stood in this text or an earlier one.

        Args:
            pieces: The text.
            frozen: It stays as it is, and is only remembered.
        """
        result: list[Piece] = []
        for piece in pieces:
            if piece.kind in (Kind.TEXT, Kind.JSON):
                result += self._walk(piece, frozen=frozen)
            else:
                result.append(piece)
        return result

    def _walk(self, piece: Piece, *, frozen: bool) -> Iterator[Piece]:
        lines = lines_of(piece.text)
        fixed = self._keep.which(piece.text, spans(lines)) if self._keep else [False] * len(lines)
        told: list[_Line] = []
        at = 0
        while at < len(lines):
            size = 0 if frozen else self._repeated(lines, fixed, at)
            again = _times(lines, fixed, at, size)
            mark = self._mark(lines[at : at + size * again], size)
            size *= again
            if mark is None:
                # A block that is too small for a mark is not looked at again line by line.
                size = max(size, 1)
                for line in lines[at : at + size]:
                    self._remember(told, line.rstrip())
            else:
                if told:
                    yield Piece(piece.kind, "".join(lines[at - len(told) : at]))
                yield mark
                told = []
            at += size
        if told:
            yield Piece(piece.kind, "".join(lines[at - len(told) :]))

    def _repeated(self, lines: list[str], fixed: list[bool], at: int) -> int:
        """Tell how many lines from here on stand further up in the same order."""
        window = tuple(line.rstrip() for line in lines[at : at + _WINDOW])
        line = self._seen.get(window[:1]) or self._seen.get(window)
        size = 0
        while line and at + size < len(lines) and not fixed[at + size]:
            if line.text != lines[at + size].rstrip():
                break
            size += 1
            line = line.following
        return size

    def _remember(self, told: list[_Line], text: str) -> None:
        line = _Line(text)
        if told:
            told[-1].following = line
        told.append(line)
        window = told[-_WINDOW:]
        if len(window) == _WINDOW:
            self._seen.setdefault(tuple(each.text for each in window), window[0])
        if len(text) >= _LONG_LINE:
            self._seen.setdefault((text,), line)

    def _mark(self, lines: list[str], size: int) -> Piece | None:
        """Make the mark for lines that repeat a block of some size, unless it were no shorter."""
        told = [line for line in lines if line.strip()]
        if not told:
            return None
        tokens = self._tokens("".join(lines))
        quote = _UNQUOTABLE.sub(" ", told[0]).strip()[:_QUOTED].strip()
        mark = str(Mark(len(told), "line", tokens, f'as above from "{quote}" on'))
        mark += newline_of(lines[-1])
        if tokens <= self._tokens(mark):
            return None
        return Piece(Kind.MARK, mark, "".join(lines[:size]).strip())


def _times(lines: list[str], fixed: list[bool], at: int, size: int) -> int:
    """Tell how often a block of lines stands here, one after the other."""
    times = 1
    while size and at + size * (times + 1) <= len(lines):
        ahead = range(at + size * times, at + size * (times + 1))
        if any(fixed[i] or lines[i].rstrip() != lines[i - size].rstrip() for i in ahead):
            break
        times += 1
    return times
