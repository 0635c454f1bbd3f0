"""Terms, stems and BM25."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.context.bm25 import lend, rank
from agentperf.context.words import reader, stem

terms = reader()


@pytest.mark.parametrize(
    "family",
    [
        ["paint", "paints", "painted", "painting"],
        ["city", "cities"],
        ["run", "running", "runs"],
        ["hope", "hoping", "hoped", "hopes"],
        ["class", "classes"],
        ["fall", "falling"],
        ["quick", "quickly"],
        ["happy", "happily"],
    ],
)
def test_words_of_one_stem_meet(family):
    """The commonest endings don't matter."""
    assert len({stem(word) for word in family}) == 1


@pytest.mark.parametrize("word", ["bus", "this", "sing", "red", "yes", "a1b2", "42", "glass"])
def test_short_words_keep_their_letters(word):
    """What only looks like an ending stays, but for a final e."""
    assert stem(word) == word


@given(st.text(st.characters(codec="ascii", categories=["Ll"]), max_size=12))
def test_a_stem_is_not_longer(word):
    """Taking endings off never adds letters."""
    assert len(stem(word)) <= len(word)


def test_terms_are_words_without_function_words():
    """Lower case, no endings, nothing that every sentence has."""
    assert terms("The Cats were painted, and it's OK.") == ["cat", "paint"]


def test_compounds_count_whole_and_in_parts():
    """Names in code are found by their words."""
    assert set(terms("maxTokens max_tokens HTTPServer2")) >= {"maxtokens", "max", "token", "http"}


def test_scripts_without_blanks_count_in_pairs():
    """A pair of characters is found within any sentence."""
    assert terms("\u4eca\u5929\u597d") == ["\u4eca\u5929", "\u5929\u597d"]
    assert terms("caf\u00e9 Stra\u00dfe") == ["caf\u00e9", "strasse"]


def test_the_passage_with_the_rare_word_is_first():
    """Rare words weigh more than common ones, several more than one."""
    passages = ["the ship is old", "the ship is new", "the lantern is old", "a ship and a lantern"]
    scores = rank("Which ship has a lantern?", passages)
    assert scores[3] == max(scores)
    assert scores[2] > scores[0] == scores[1] > 0


def test_a_long_passage_weighs_a_word_less():
    """The same word says more in a short passage."""
    short, long = rank("lantern", ["lantern here", "lantern " + "and other things " * 20])
    assert short > long


@pytest.mark.parametrize("query", ["", "the of and", "zebra"])
def test_nothing_in_common_is_zero(query):
    """No words, no score."""
    assert rank(query, ["a ship", "a lantern"]) == [0.0, 0.0]
    assert rank(query, []) == []


def test_a_hit_lends_to_its_neighbours():
    """What comes after gets more than what is before, and what is far away nothing."""
    lent = lend([0.0] * 6 + [1.0] + [0.0] * 6)
    assert lent[6] == 1.0
    assert lent[7] > lent[5] > lent[4] > 0
    assert lent[7] > lent[8] > lent[9] > lent[10] > lent[11] == 0
    assert lent[1] == 0
