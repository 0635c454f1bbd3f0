"""The stages before the selection: each makes the texts of a document shorter in one way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from agentperf.context.comments import without_comments
from agentperf.context.counting import Tokens
from agentperf.context.document import Document, Passage
from agentperf.context.json_text import compact
from agentperf.context.keeping import Keeper
from agentperf.context.lines import fold_alike, fold_equal
from agentperf.context.pieces import Kind, Piece, newline_of
from agentperf.context.repeats import Repeats


@dataclass(frozen=True, slots=True)
class Setting:
    """What the stages work with.

    Attributes:
        tokens: The counter.
        keep: What must stay.
        query: What the user wants to know.
    """

    tokens: Tokens
    keep: Keeper
    query: str


Stage = Callable[[Document, Setting], bool]
"""Changes the texts of a document; tells whether it did."""


def dense_json(document: Document, setting: Setting) -> bool:
    """Take the white space out of JSON."""

    def dense(piece: Piece) -> Piece:
        if piece.kind is not Kind.JSON:
            return piece
        return Piece(Kind.JSON, f"{compact(piece.text)}{newline_of(piece.text)}")

    return _each_piece(document, setting, dense)


def bare_code(document: Document, setting: Setting) -> bool:
    """Take the comments out of fenced Python."""
    return _each_piece(document, setting, lambda piece: without_comments(piece, setting.tokens))


def equal_lines(document: Document, setting: Setting) -> bool:
    """Fold equal lines that follow one another."""

    def folded(passage: Passage) -> Sequence[Piece]:
        return fold_equal(passage.pieces, setting.tokens, setting.keep)

    return _each_passage(document, folded)


def log_lines(document: Document, setting: Setting, first: int) -> bool:
    """Fold log lines that differ in numbers only, but for the first ones of each shape."""

    def folded(passage: Passage) -> Sequence[Piece]:
        passage.plain = passage.plain or passage.pieces
        return fold_alike(passage.plain, setting.tokens, setting.keep, setting.query, first)

    return _each_passage(document, folded)


def repeats(document: Document, setting: Setting) -> bool:
    """Refer to blocks that stand further up already."""
    finder = Repeats(setting.tokens, setting.keep)
    changed = False
    for passage in document.passages:
        reduced = finder.reduced(passage.pieces, frozen=passage.frozen)
        changed = passage.revise(reduced) or changed
    return changed


LOSSLESS: tuple[tuple[str, Stage], ...] = (
    ("json", dense_json),
    ("equal_lines", equal_lines),
    ("repeats", repeats),
)
"""Nothing is lost by these: what a mark stands for is further up."""

COMMENTS: tuple[tuple[str, Stage], ...] = (("comments", bare_code),)
LOSSY: tuple[tuple[str, Stage], ...] = tuple(
    ("log_lines", partial(log_lines, first=first)) for first in (64, 16, 4, 1)
)
"""These lose lines, each more than the one before."""


def _each_passage(document: Document, change: Callable[[Passage], Sequence[Piece]]) -> bool:
    changed = [passage.revise(change(passage)) for passage in document.loose()]
    return any(changed)


def _each_piece(document: Document, setting: Setting, change: Callable[[Piece], Piece]) -> bool:
    """Change the pieces for which that is shorter, and loses nothing that must stay."""

    def better(piece: Piece) -> Piece:
        new = change(piece)
        if new.text == piece.text or setting.keep.lost(piece.text, new.text):
            return piece
        return new if setting.tokens(new.text) < setting.tokens(piece.text) else piece

    return _each_passage(document, lambda passage: [better(piece) for piece in passage.pieces])
