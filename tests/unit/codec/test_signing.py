"""With a secret, only what was signed with it is read; pickles need one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.codec import Codec, Undecodable
from agentperf.errors import ConfigurationError, UncacheableValueError
from tests.unit.codec.strategies import Answer

SECRET = "a secret of some length"
SIGNED = Codec(secret=SECRET)


class Plain:
    """Of no sort that can be stored."""

    def __init__(self, x: object) -> None:
        self.x = x


def test_a_signed_entry():
    """Whoever has the secret reads it, whether text or bytes."""
    stored = SIGNED.encode(Answer("a"))
    assert Codec([Answer], secret=SECRET.encode()).decode(stored) == Answer("a")


def test_a_reader_without_secret_reads_signed_entries():
    """A signature asks nothing of those who don't check it."""
    assert Codec().decode(SIGNED.encode([1])) == [1]


@pytest.mark.parametrize("codec", [Codec(), Codec(secret=SECRET + "!")])
def test_entries_of_others_are_refused(codec):
    """An unsigned entry, and one signed with another secret, are misses."""
    with pytest.raises(Undecodable, match="not signed"):
        SIGNED.decode(codec.encode([1]))


@given(st.data())
def test_no_byte_can_be_changed(data):
    """The signature covers all of the entry."""
    stored = bytearray(SIGNED.encode({"a": [1, 2.5, (3,)]}))
    at = data.draw(st.integers(0, len(stored) - 1))
    stored[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Undecodable):
        SIGNED.decode(bytes(stored))


def test_an_entry_stays_under_its_name():
    """Signed under one name, it isn't read under another."""
    stored = SIGNED.encode(1, name="user-1")
    assert SIGNED.decode(stored, name=b"user-1") == 1
    for name in ("user-2", "", "user-1\0"):
        with pytest.raises(Undecodable):
            SIGNED.decode(stored, name=name)


def test_pickles():
    """What can't be stored otherwise is pickled, if asked for; all else is not."""
    codec = Codec(secret=SECRET, pickle=True)
    stored = codec.encode([Plain(3)])
    assert codec.decode(stored)[0].x == 3
    assert codec.encode((1, 2)) == SIGNED.encode((1, 2))
    with pytest.raises(UncacheableValueError, match="pickled"):
        codec.encode(lambda: 1)
    with pytest.raises(UncacheableValueError, match="Plain"):
        SIGNED.encode(Plain(3))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pickle": True}, "pickle=True: only together with secret="),
        ({"secret": "short"}, "secret: at least 16 bytes, not 5"),
        ({"secret": 3}, "secret: text or bytes, not int"),
        ({"compress_over": -1}, "compress_over=-1: a number of bytes, as in compress_over=1024"),
        ({"max_bytes": "1 MB"}, "max_bytes='1 MB'"),
        ({"max_bytes": 0}, "max_bytes=0"),
    ],
)
def test_wrong_options(options, said):
    """A mistake is told at once, with an example."""
    with pytest.raises(ConfigurationError) as caught:
        Codec(**options)
    assert said in str(caught.value)
    assert "short" not in str(caught.value)
