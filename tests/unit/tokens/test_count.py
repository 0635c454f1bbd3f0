"""A count is a number that knows how sure it is."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.tokens.count import Tally, TokenCount

COUNTS = st.builds(
    TokenCount,
    st.integers(0, 10**6),
    source=st.sampled_from(["tiktoken:a", "estimate:a", "chat"]),
    error=st.none() | st.floats(0, 2),
)


def test_it_is_a_number():
    """Wherever a number is wanted, a count is one: compared, printed, sent as JSON."""
    count = TokenCount(12, source="tiktoken:o200k_base")
    assert count == 12
    assert isinstance(count, int)
    assert (str(count), f"{count:,}", json.dumps(count)) == ("12", "12", "12")
    assert {count: 1}[12] == 1


def test_it_shows_how_sure_it_is():
    """The representation says exact, or by how much it may be wrong, or that nobody knows."""
    assert repr(TokenCount(3, source="a")) == "TokenCount(3, exact, 'a')"
    assert repr(TokenCount(3, source="a", error=0.15)) == "TokenCount(3, error 15.0%, 'a')"
    assert repr(TokenCount(3, source="a", error=None)) == "TokenCount(3, error unknown, 'a')"


def test_exact_and_exact_is_exact():
    """The sum of exact counts is exact and names its source once."""
    total = TokenCount(2, source="a") + TokenCount(3, source="a")
    assert (total, total.exact, total.error, total.source) == (5, True, 0.0, "a")


def test_an_estimate_makes_the_sum_one():
    """The sum's error is what the parts' errors amount to: 10 of 100, and 0 of 100, are 5 %."""
    total = TokenCount(100, source="a", error=0.1) + TokenCount(100, source="b")
    assert (total, total.exact, total.source) == (200, False, "a+b")
    assert total.error == pytest.approx(0.05)


def test_an_unknown_error_stays_unknown():
    """Nothing is known of a sum when nothing is known of a part, even of one without tokens."""
    total = TokenCount(0, source="media", error=None) + TokenCount(5, source="a")
    assert total.error is None
    assert not total.exact


def test_plain_numbers_are_exact():
    """A plain number can be added from either side, and `sum` works."""
    count = TokenCount(5, source="a", error=0.5)
    assert (count + 5, (5 + count).error) == (10, 0.25)
    assert sum([count, count]).error == 0.5
    assert type(count * 2) is int


def test_other_things_cannot_be_added():
    """A count and a text don't add up."""
    with pytest.raises(TypeError):
        TokenCount(1) + "1"


@given(COUNTS)
def test_copies_are_equal(count):
    """A count survives copying and pickling with all it knows."""
    for again in (copy.copy(count), copy.deepcopy(count), pickle.loads(pickle.dumps(count))):  # noqa: S301
        assert (again, again.source, again.error) == (count, count.source, count.error)


@given(st.lists(COUNTS, max_size=8))
def test_a_tally_is_a_sum(counts):
    """Adding up in a tally gives what adding the counts gives."""
    tally = Tally()
    for count in counts:
        tally.add(count)
    total, added = tally.total(), sum(counts, TokenCount())
    assert (total, total.source) == (added, added.source)
    assert total.error == (None if added.error is None else pytest.approx(added.error, abs=1e-9))


@given(COUNTS, COUNTS)
def test_the_order_does_not_matter(one, other):
    """Number and error of a sum are the same from either side."""
    left, right = one + other, other + one
    assert left == right
    assert left.error == (None if right.error is None else pytest.approx(right.error))
