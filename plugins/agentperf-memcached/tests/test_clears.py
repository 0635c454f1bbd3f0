"""The list of what was cleared."""

from __future__ import annotations

import pytest
from agentperf_memcached.clears import Clears
from hypothesis import given
from hypothesis import strategies as st

PREFIXES = st.text("ab:", max_size=4)


@given(st.lists(st.tuples(st.booleans(), PREFIXES), max_size=30))
def test_what_was_cleared_does_not_count(steps):
    """Storing and clearing in any order: what counts is what a dict would still hold."""
    clears, entries, expected = Clears.new(), {}, set()
    for stores, text in steps:
        if stores:
            entries[text] = clears.stamp + b"value"
            expected.add(text)
        else:
            clears = clears.cleared(text)
            expected = {key for key in expected if not key.startswith(text)}
        assert Clears.unpack(clears.pack()) == clears
        assert {key for key, entry in entries.items() if clears.counts(key, entry)} == expected


def test_the_list_stays_short():
    """Past some dozens of caches the oldest clears are taken together, and none is forgotten."""
    clears = Clears.new()
    old = clears.stamp
    for number in range(1000):
        clears = clears.cleared(f"ap1:f{number}:")
    assert len(clears.log) == 64
    assert len(clears.pack()) < 2000
    assert not any(clears.counts(f"ap1:f{number}:key", old) for number in range(1000))
    assert clears.counts("ap1:g:key", clears.stamp)
    clears = clears.cleared("")
    assert len(clears.log) == 1


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 17, b"x" * 16 + b"\0" * 8 + b"\x05\xff"])
def test_what_cannot_be_read(data):
    """It is a list that no entry knows of."""
    stamp = Clears.new().stamp
    assert not Clears.unpack(data).counts("key", stamp + b"value")
    assert not Clears.new().counts("key", data)
