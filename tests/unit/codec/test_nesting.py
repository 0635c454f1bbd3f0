"""The nesting of msgpack is measured as it is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.codec.nesting import nesting

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(st.characters(codec="utf-8")),
    st.binary(),
    st.sampled_from([0, 31, 32, 255, 256, 65535, 65536]).flatmap(
        lambda size: st.sampled_from([b"\x91" * size, "\x91" * size])
    ),
    st.builds(msgspec.msgpack.Ext, st.integers(-128, 127), st.binary(max_size=20)),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=3), inner),
)


def depth(value: Any) -> int:
    """Measure by recursion."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(VALUES)
def test_any_value(value):
    """Arrays and maps count, what looks like them inside text and bytes doesn't."""
    assert nesting(msgspec.msgpack.encode(value)) == depth(value)


@pytest.mark.parametrize(
    ("data", "deepest"),
    [
        (b"", 0),
        (b"\x91" * 5000, 5000),
        (b"\xdd\x00\x00\x00\x01" * 9 + b"\x01", 9),
        (b"\xdf\x00\x00\x00\x01\x01" * 9 + b"\x01", 9),
        (b"\xde\xff", 1),
        (b"\xdb\xff\xff\xff\xff" + b"\x91" * 9, 0),
        (b"\x90\x90", 1),
    ],
)
def test_what_is_cut_off(data, deepest):
    """Damaged data is measured as far as it goes."""
    assert nesting(data) == deepest
