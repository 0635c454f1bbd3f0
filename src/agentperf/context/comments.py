"""Comments taken out of fenced Python code; the code itself stays what it was."""

from __future__ import annotations

import io
import re
import tokenize

from agentperf.context.counting import Tokens
from agentperf.context.marks import Mark, find_marks
from agentperf.context.pieces import Kind, Piece, lines_of, newline_of

_FENCED = re.compile(
    r"(?P<open>[ \t]*[`~]{3,}[ \t]*(?:python3?|py)[ \t\r]*\n)(?P<code>.*\n)(?P<close>[^\n]+\n?)\Z",
    re.DOTALL | re.IGNORECASE,
)
_FOR_TOOLS = re.compile(r"#!|#\s*(?:type|noqa|pragma|fmt|pylint|ruff|mypy)\b")
_LAYOUT = {tokenize.COMMENT, tokenize.NL}


def without_comments(piece: Piece, tokens: Tokens) -> Piece:
    """Take the comments out of a fence marked as Python; a comment on top says how many.

    Comments that speak to tools stay. Anything else than Python, and code in which nothing is
    gained, comes back as it is.
    """
    fenced = _FENCED.match(piece.text) if piece.kind is Kind.FENCE else None
    if fenced is None:
        return piece
    text = f"{fenced['open']}{_stripped(fenced['code'], tokens)}{fenced['close']}"
    return Piece(piece.kind, text) if tokens(text) < tokens(piece.text) else piece


def _stripped(code: str, tokens: Tokens) -> str:
    before = _words(code)
    comments = [(word.string, word.start) for word in before if _is_comment(word)]
    lines = lines_of(code)
    emptied: set[int] = set()
    for _, (row, column) in comments:
        line = lines[row - 1]
        lines[row - 1] = line[:column].rstrip() + newline_of(line)
        if not line[:column].strip():
            emptied.add(row - 1)
    size = sum(tokens(comment) for comment, _ in comments)
    head = f"# {Mark(len(comments), 'comment', size)}\n"
    result = head + "".join(line for row, line in enumerate(lines) if row not in emptied)
    return result if comments and _meaning(_words(result)) == _meaning(before) else code


def _words(code: str) -> list[tokenize.TokenInfo]:
    """List the tokens of Python source; what is no Python has none."""
    try:
        return list(tokenize.generate_tokens(io.StringIO(code, newline="").readline))
    except (SyntaxError, ValueError, tokenize.TokenError):
        return []


def _is_comment(word: tokenize.TokenInfo) -> bool:
    if word.type != tokenize.COMMENT or _FOR_TOOLS.match(word.string):
        return False
    return next(find_marks(word.string), None) is None


def _meaning(words: list[tokenize.TokenInfo]) -> list[tuple[int, str]]:
    return [(word.type, word.string) for word in words if word.type not in _LAYOUT]
