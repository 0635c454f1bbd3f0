"""Embeddings of the fake model."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.testing.fake_llm.embedding import embed


def cosine(one: str, other: str) -> float:
    """Tell how close two texts lie."""
    return sum(a * b for a, b in zip(embed(one), embed(other), strict=True))


def test_texts_that_share_words_lie_close() -> None:
    """A question is nearer to the fact that answers it than to another one."""
    question = "Where does my sister live?"
    assert cosine(question, "My sister lives in Ghent.") > 0.5
    assert cosine(question, "The blue bicycle needs a chain.") < 0.3
    assert cosine(question, question) == pytest.approx(1)


@given(st.text())
def test_every_text_has_a_vector_of_length_one(text: str) -> None:
    """Also the empty text and one without any telling word."""
    vector = embed(text)
    assert len(vector) == 256
    assert math.hypot(*vector) == pytest.approx(1) or not any(vector)


def test_seed_and_dimensions_decide_the_vector() -> None:
    """The same text with the same seed has the same vector, with another seed another one."""
    assert embed("tea", seed=1) == embed("tea", seed=1) != embed("tea", seed=2)
    assert len(embed("tea", dimensions=16)) == 16
