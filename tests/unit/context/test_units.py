"""Plain text cut into units, and places where a text may be cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.context.counting import Tokens
from agentperf.context.graphemes import cut_after, cut_before
from agentperf.context.headtail import shorten
from agentperf.context.units import units

texts = st.text(st.sampled_from("ab .!?\n\t(\"'A1\u3002\u4eca\u0301\r-#"), max_size=400)


@given(texts, st.integers(1, 200))
def test_units_are_the_text(text, longest):
    """Nothing is lost by cutting a text into units, and no unit is empty."""
    parts = units(text, longest)
    assert "".join(parts) == text
    assert all(parts) or parts == [""]


def test_paragraphs_come_first():
    """Short paragraphs stay together."""
    paragraphs = [f"Paragraph {n} has two sentences. This is the second.\n\n" for n in range(3)]
    assert units("".join(paragraphs), 80) == paragraphs


def test_entries_keep_what_is_indented_below():
    """A function stays with its body, a list item with its continuation."""
    parts = [f"def function_{n}(a, b):\n    c = a + b\n\n    return c * {n}\n\n" for n in range(3)]
    assert units("".join(parts), 70) == parts


def test_lines_stay_whole():
    """A transcript is cut between its lines."""
    lines = [f"Speaker {n}: what was said here. It has two sentences.\n" for n in range(5)]
    assert units("".join(lines), 60) == lines


def test_sentences_run_over_the_ends_of_lines():
    """Hard-wrapped prose is cut at its sentences."""
    text = (
        "This is a sentence that goes on and on until\nthe next line, and further still until\n"
        "the third. Another one begins here and goes on\nuntil this line ends with it. And a\n"
        "third one follows, which is also rather long.\n"
    )
    assert [part.split()[0] for part in units(text, 100)] == ["This", "Another", "And"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Dr. Smith and Mr. Jones went to the old city together. They met there.", "Dr. Smith "),
        ("It was J. R. who said that it could not be done at all. It was.", "It was J. R. "),
        ('She said: "Never again, not as long as I am living here." He left.', "She said"),
    ],
)
def test_a_sentence_ends_where_a_reader_says(text, first):
    """Abbreviations, initials and quotes don't end one."""
    parts = units(text, 60)
    assert len(parts) == 1 or parts[0].startswith(first)
    assert all(len(part) > 10 for part in parts)


def test_chinese_sentences_need_no_blank():
    """Full stops of other scripts end sentences too."""
    text = "\u4eca\u5929\u5929\u6c14\u5f88\u597d\u3002" * 20
    parts = units(text, 30)
    assert len(parts) > 3
    assert all(part.endswith("\u3002") for part in parts)


def test_a_line_without_sentences_is_cut_between_words():
    """As seldom as possible."""
    text = " ".join(["word"] * 200)
    parts = units(text, 100)
    assert all(80 <= len(part) <= 100 or part is parts[-1] for part in parts)
    assert all(part.startswith("word") for part in parts)


def test_tiny_lines_go_together():
    """What is shorter than a mark is no unit."""
    assert len(units("a\n" * 1000, 100)) < 100


@pytest.mark.parametrize(
    "character",
    [
        "e\u0301",
        "\r\n",
        "\U0001f469\u200d\U0001f4bb",
        "\U0001f44d\U0001f3fd",
        "\U0001f1e9\U0001f1ea",
        "\u1112\u1161\u11ab",
        "\ud83d\ude00",
        "\u2764\ufe0f",
    ],
)
def test_no_character_is_torn_apart(character):
    """Accents, emoji, flags, syllables and halves of surrogates stay together."""
    text = f"a{character}b"
    for at in range(2, len(character) + 1):
        assert cut_before(text, at) == 1
        assert cut_after(text, at) == len(text) - 1


def test_plain_characters_can_be_cut_anywhere():
    """Where nothing belongs together, a place is what it is."""
    assert cut_before("abc", 2) == cut_after("abc", 2) == 2
    assert cut_before("abc", 0) == 0
    assert cut_after("abc", 3) == 3


@given(st.text(min_size=1), st.integers(0, 200))
def test_head_and_tail_fit(text, budget):
    """What is left has the beginning and the end, and a mark in between."""
    text *= 20
    short = shorten(text, Tokens(len), budget)
    if short is not None:
        assert len(short) <= budget
        assert text.startswith(short.partition("[... ")[0])
        assert text.endswith(short.rpartition(" ...]")[2])


def test_nothing_is_left_where_nothing_fits():
    """Not even a mark and two characters."""
    assert shorten("x" * 1000, Tokens(len), 40) is None
