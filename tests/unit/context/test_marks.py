"""Marks: written, found and read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.context.marks import Mark, find_marks, marked_tokens, read_mark

counts = st.integers(1, 10**6)


@given(counts, st.sampled_from(["line", "sentence", "item", "message"]), counts)
def test_a_mark_is_read_as_it_was_written(count, noun, tokens):
    """Whatever it counts, a mark says the same when it is read."""
    mark = Mark(count, noun, tokens)
    assert read_mark(str(mark)) == mark
    assert read_mark(f"  {mark}\n") == mark


@pytest.mark.parametrize(
    ("mark", "text"),
    [
        (Mark(12, "line", 340), "[... 12 lines (340 tokens) left out ...]"),
        (Mark(1, "item", 1), "[... 1 item (1 token) left out ...]"),
        (
            Mark(3, "line", 40, 'as above from "def f" on'),
            '[... 3 lines (40 tokens) as above from "def f" on left out ...]',
        ),
    ],
)
def test_a_mark_is_a_sentence(mark, text):
    """It says how much of what was left out, and where the same still is."""
    assert str(mark) == text
    assert read_mark(text) == mark


def test_marks_are_found_in_a_text():
    """What the marks of a text say was left out adds up."""
    text = f"One. {Mark(2, 'sentence', 20)} Two.\n{Mark(3, 'line', 30)}\nThree."
    assert [found[0] for found in find_marks(text)] == [
        "[... 2 sentences (20 tokens) left out ...]",
        "[... 3 lines (30 tokens) left out ...]",
    ]
    assert marked_tokens(text) == 50


@pytest.mark.parametrize("text", ["", "[...]", "[... lines left out ...]", "x [... 1 line"])
def test_other_text_is_no_mark(text):
    """Dots and brackets alone are nothing special."""
    assert read_mark(text) is None
    assert marked_tokens(text) == 0
