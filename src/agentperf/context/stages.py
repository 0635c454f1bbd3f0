"""The stages before the selection: each makes the texts of a document shorter in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from agentperf.context.comments import without_comments
from agentperf.context.counting import Tokens
from agentperf.context.document import Document
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


Stage = Callable[[Document, Setting], None]


def dense_json(document: Document, setting: Setting) -> None:
    """Take the white space out of JSON."""

    def dense(piece: Piece) -> Piece:
        if piece.kind is not Kind.JSON:
            return piece
        return Piece(Kind.JSON, f"{compact(piece.text)}{newline_of(piece.text)}")

    _replace(document, setting, dense)


def bare_code(document: Document, setting: Setting) -> None:
    """Take the comments out of fenced Python."""
    _replace(document, setting, lambda piece: without_comments(piece, setting.tokens))


def equal_lines(document: Document, setting: Setting) -> None:
    """Fold equal lines that follow one another."""
    for passage in document.loose():
        passage.pieces = fold_equal(passage.pieces, setting.tokens, setting.keep)


def log_lines(document: Document, setting: Setting, first: int) -> None:
    """Fold log lines that differ in numbers only, but for the first ones of each shape."""
    for passage in document.loose():
        passage.unfolded = passage.unfolded or passage.pieces
        passage.pieces = fold_alike(
            passage.unfolded, setting.tokens, setting.keep, setting.query, first
        )


def repeats(document: Document, setting: Setting) -> None:
    """Refer to blocks that stand further up already."""
    finder = Repeats(setting.tokens, setting.keep)
    for passage in document.passages:
        passage.pieces = finder.reduced(passage.pieces, frozen=passage.frozen)


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


def _replace(document: Document, setting: Setting, change: Callable[[Piece], Piece]) -> None:
    """Change the pieces for which that is shorter, and loses nothing that must stay."""
    for passage in document.loose():
        passage.pieces = [
            new if _is_better(new, old, setting) else old
            for old, new in ((piece, change(piece)) for piece in passage.pieces)
        ]


def _is_better(new: Piece, old: Piece, setting: Setting) -> bool:
    if new.text == old.text or setting.keep.lost(old.text, new.text):
        return False
    return setting.tokens(new.text) < setting.tokens(old.text)
