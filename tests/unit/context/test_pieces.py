"""Texts cut into plain text, fences, JSON and marks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.context.pieces import Kind, join, lines_of, newline_of, spans, split

FENCE = "```python\nx = 1\n```\n"
ROWS = json.dumps([{"id": n, "name": f"row {n}"} for n in range(4)], indent=2)
bits = st.sampled_from(
    [
        "word ",
        "\n",
        "```",
        "~~~",
        "```py\n",
        "[",
        "{",
        '{"a": 1}',
        f"{ROWS}\n",
        '"',
        "\\",
        "\r\n",
        "[... 2 lines (9 tokens) left out ...]",
        "\u2028",
        "1,",
        "\x0c",
    ]
)


def kinds(text):
    """List what the pieces of a text are."""
    return [piece.kind for piece in split(text)]


@given(st.lists(bits, max_size=30).map("".join))
def test_pieces_are_the_text(text):
    """Nothing is lost or added by cutting a text into pieces."""
    assert join(split(text)) == text


@given(st.text())
def test_lines_are_the_text(text):
    """Nothing is lost by cutting a text into lines; a line ends with a newline and nowhere else."""
    lines = lines_of(text)
    assert "".join(lines) == text
    assert all("\n" not in line[:-1] for line in lines)
    assert [text[a:b] for a, b in spans(lines)] == lines


def test_a_line_ends_with_its_newline():
    """Windows' line ends are kept whole."""
    assert newline_of("a\r\n") == "\r\n"
    assert newline_of("a") == ""


def test_a_fence_is_a_piece():
    """It goes from its opening line to the closing one."""
    assert [(p.kind, p.text) for p in split(f"before\n{FENCE}after")] == [
        (Kind.TEXT, "before\n"),
        (Kind.FENCE, FENCE),
        (Kind.TEXT, "after"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "~~~\na\n```\nb\n~~~\n",
        "````md\n```\ninner\n```\n````\n",
        "  ```\n  indented\n  ```\n",
        "```\nno newline at the end\n```",
    ],
)
def test_fences_of_all_forms(text):
    """Other signs, longer ones, indented ones: a fence ends with the sign it began with."""
    assert kinds(text) == [Kind.FENCE]


def test_a_fence_that_is_not_closed_is_text():
    """A stray sign protects nothing."""
    assert kinds("```\nnever closed\n") == [Kind.TEXT]
    assert kinds(f"````\nnever closed\n{FENCE}") == [Kind.TEXT, Kind.FENCE]


def test_json_between_lines_is_a_piece():
    """A document may stand between sentences, and several may follow one another."""
    assert kinds(f"The result:\n{ROWS}\nThat was it.") == [Kind.TEXT, Kind.JSON, Kind.TEXT]
    line = json.dumps({"name": "a line of a file of JSON lines", "number": 1})
    assert kinds(f"{line}\n{line}\n") == [Kind.JSON, Kind.JSON]


@pytest.mark.parametrize(
    "text",
    [
        "[1] a footnote that looks a little like an array of numbers",
        "[2026-01-01 10:00:00] a line of a log, forty characters long",
        "{placeholder} in a template that is longer than forty characters",
        "[]",
        '{"cut": "in the middle of a string that never comes to an end',
        f"{ROWS} and more on the same line",
        "[" * 100_000,
    ],
)
def test_what_only_looks_like_json_is_text(text):
    """Brackets at the beginning of a line are not enough."""
    assert kinds(text) == [Kind.TEXT]


def test_a_mark_is_a_piece():
    """A mark of an earlier compression is known again, within a line too."""
    text = "One. [... 2 sentences (9 tokens) left out ...] Two."
    assert kinds(text) == [Kind.TEXT, Kind.MARK, Kind.TEXT]
