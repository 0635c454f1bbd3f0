"""Words and tokens of the fake model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentperf.testing.fake_llm import words


@given(st.text())
def test_tokens_joined_again_are_the_text(text: str) -> None:
    """Cutting a text into tokens loses nothing, not even white space."""
    assert "".join(words.tokens(text)) == text


def test_words_and_runs_of_punctuation_are_one_token_each() -> None:
    """A token is a word or a run of punctuation, with the space before it."""
    assert words.tokens('{"a":1} is, well ') == [
        '{"',
        "a",
        '":',
        "1",
        "}",
        " is",
        ",",
        " well",
        " ",
    ]
    assert words.count("Hello, world!") == 4


def test_forms_of_a_word_share_their_stem() -> None:
    """Questions and facts meet although their words end differently."""
    assert words.stems("lives live living lived") == words.stems("lives")
    assert words.stems("Who owns it?") == words.stems("She owned them.")


def test_words_without_meaning_are_left_out() -> None:
    """Articles, pronouns and question words don't count, and each word counts once."""
    assert words.telling("Where does the sister of my sister live?") == ["sister", "live"]


def test_names_are_words_with_a_capital_that_mean_something() -> None:
    """Names of people and places are found; the first word of a sentence and days are not."""
    assert words.names("My sister Clara's train reaches Ghent on Friday.") == ["Clara", "Ghent"]


def test_times_are_days_and_months() -> None:
    """Words that say when are found in lower case."""
    assert words.times("Anna comes on Thursday, not in August.") == ["thursday", "august"]


def test_sentences_keep_their_closing_marks() -> None:
    """A message is cut into its sentences."""
    assert words.sentences("It rains. Does it? Yes\nno!") == ["It rains.", "Does it?", "Yes", "no!"]
