"""Whatever stands in the store, only `Undecodable` comes out; nothing runs, nothing grows."""

# ruff: noqa: D101 -- the things in the store need no words
from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
import time
import tracemalloc

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentperf.codec import Codec, Undecodable, decode, encode
from agentperf.codec.kinds import Code
from agentperf.errors import BackendError
from tests.unit.codec.strategies import VALUES, Answer, Box, Lid, Model, Pair, Point, Row

PLAIN, TYPED, PICKLE = (b"ap\x01" + bytes((form, 0)) for form in range(3))
MSGPACK = msgspec.msgpack.Encoder()


class Armed:
    def __reduce__(self):
        return os.system, ("echo armed > armed",)


def ext(code: int, parts: object) -> msgspec.msgpack.Ext:
    """Forge a value of some kind."""
    return msgspec.msgpack.Ext(code, MSGPACK.encode(parts))


def plain(value: object) -> bytes:
    """Forge an entry without classes."""
    return PLAIN + MSGPACK.encode(value)


def typed(tags: object, value: object) -> bytes:
    """Forge an entry with classes."""
    table = MSGPACK.encode(tags)
    return TYPED + len(table).to_bytes(4, "little") + table + MSGPACK.encode(value)


def tried(data: bytes) -> object:
    """Decode; anything but a value or `Undecodable` fails the test."""
    try:
        return decode(data)
    except Undecodable as error:
        return error


@given(st.binary())
def test_random_bytes(data):
    """Bytes from anywhere are no entry."""
    with pytest.raises(Undecodable):
        decode(data)


@given(st.sampled_from([PLAIN, TYPED, PICKLE]), st.binary())
@settings(max_examples=500)
def test_random_content(head, content):
    """A proper head doesn't help."""
    tried(head + content)


@given(VALUES, st.data())
@settings(max_examples=300, deadline=None)
def test_changed_entries(value, data):
    """An entry in which bytes were changed, cut off or put in gives a value or a miss."""
    stored = bytearray(encode(value))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(stored)))
        stored[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    tried(bytes(stored))


@given(
    st.sampled_from([code for name, code in vars(Code).items() if name.isupper()]),
    st.recursive(
        st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(), inner),
        max_leaves=12,
    ),
)
@settings(max_examples=1000, deadline=None)
def test_kinds_with_wrong_parts(code, parts):
    """No kind trusts its parts."""
    tried(plain(ext(code, parts)))
    encode([Answer("a"), Box(1), Lid(1), Pair(1, 2), Point(1), Row(cells=1), Model()])
    stored = encode([Answer("a"), Box(1), Lid(1), Pair(1, 2), Point(1), Row(cells=1), Model()])
    tags = msgspec.msgpack.decode(stored[9 : 9 + int.from_bytes(stored[5:9], "little")])
    for number in range(len(tags)):
        if isinstance(parts, list):
            tried(typed(tags, ext(Code.RECORD, [number, *parts])))
            tried(typed(tags, ext(Code.TABLE, [number, *parts])))


LONG = 10**12
HUGE = [
    PLAIN + b"\xdd\xff\xff\xff\xff",
    PLAIN + b"\xdf\xff\xff\xff\xff\x01",
    PLAIN + b"\xdb\xff\xff\xff\xff" + b"a" * 100,
    PLAIN + b"\xc9\xff\xff\xff\xff\x05" + b"a" * 100,
    TYPED + b"\xff\xff\xff\xff" + b"\x90" * 10,
    plain(ext(Code.BYTEARRAY, [LONG])),
    plain(ext(Code.INT, [LONG])),
    plain(ext(Code.ARRAY, ["<f8", "C", [LONG], b""])),
    plain(ext(Code.ARRAY, ["|S999999", "C", [LONG], b""])),
    plain(ext(Code.ARRAY, ["|S0", "C", [LONG], b""])),
    plain(ext(Code.ARRAY, ["|O", "C", [1], b"12345678"])),
    plain(ext(Code.ARRAY, ["<f8", "C", [-1], b"12345678"])),
    plain(ext(Code.ARRAY, ["<f8,|O", "C", [1], b"12345678" * 2])),
    plain(ext(Code.SCALAR, ["|O", b"12345678"])),
    plain(ext(Code.FRACTION, ["1e999999999", 1])),
    plain(ext(Code.FRACTION, [1, 0])),
    plain(ext(Code.DEFAULT_DICT, [-1, []])),
    plain(ext(Code.DEFAULT_DICT, ["os.system", []])),
    plain(ext(Code.DEFAULT_DICT, [99, []])),
    plain(ext(Code.ZONE_INFO, ["../../etc/passwd"])),
    plain(ext(Code.ZONE_INFO, ["/etc/localtime"])),
    plain(ext(Code.ZONE_INFO, ["os.path/x"])),
    plain(ext(Code.ZONE_INFO, ["Nowhere/Atall"])),
    plain(ext(Code.TIMEDELTA, [LONG])),
    plain(ext(Code.SET, [[]])),
    plain(ext(Code.DICT, [1])),
    plain(ext(Code.RECORD, [0])),
    plain(ext(Code.TABLE, [0, []])),
    plain(ext(99, [])),
    plain(ext(-1, [])),
    plain(msgspec.msgpack.Ext(Code.TUPLE, b"")),
    PLAIN,
    PLAIN + b"\xc1",
    PLAIN + b"\xa1\xff",
    PLAIN + b"\x01\x01",
    b"ap\x02\x00\x00\x01",
    b"ap\x01\x09\x00\x01",
    b"ap\x01\x00\x80\x01",
    b"ap\x01\x00",
    b"",
    typed(["os:system#0000000000000000"], ext(Code.RECORD, [0, "true"])),
    typed(["builtins:eval#0000000000000000"], ext(Code.RECORD, [0, "1"])),
    typed(["openai.types.chat:ChatCompletion#0000000000000000"], ext(Code.RECORD, [0])),
    typed(["openai.types.chat:ChatCompletion.model_validate#00"], ext(Code.RECORD, [0])),
    typed(["openai.types.nowhere:X#00"], ext(Code.RECORD, [0])),
    typed([7], 1),
    typed({"a": 1}, 1),
    typed(7, 1),
]


@pytest.mark.parametrize("data", HUGE, ids=range(len(HUGE)))
def test_forged_entries(data):
    """Lengths that promise much, kinds with odd parts and names of strangers are all misses."""
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(Undecodable) as caught:
        decode(data)
    assert time.perf_counter() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()
    assert isinstance(caught.value, BackendError)


def test_an_entry_over_the_limit():
    """What is larger than may be is not even looked at."""
    with pytest.raises(Undecodable, match="more than 1,000 bytes"):
        Codec(max_bytes=1000).decode(encode("x" * 2000))


def test_deep_nesting():
    """Lists in lists without end, and kinds in kinds, are misses."""
    for level in (b"\x91", b"\x81\x01"):
        with pytest.raises(Undecodable):
            decode(PLAIN + level * 100_000 + b"\x01")
    inner = b"\x01"
    for _ in range(200):
        inner = MSGPACK.encode([msgspec.msgpack.Ext(Code.TUPLE, inner)])
    with pytest.raises(Undecodable):
        decode(PLAIN + inner)


DEEP = """
import sys, threading
from agentperf.codec import decode, Undecodable
sys.setrecursionlimit(10_000_000)
try:
    decode(b"ap\\x01\\x00\\x00" + b"\\x91" * 1_000_000 + b"\\x01")
except Undecodable as error:
    print(repr(error.__cause__))
"""


def test_deep_nesting_where_recursion_is_unlimited():
    """A program that has raised Python's limit doesn't run out of stack either."""
    command = [sys.executable, "-c", textwrap.dedent(DEEP)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "nested more than" in ran.stdout


def test_pickles_are_never_loaded(tmp_path, monkeypatch):
    """Neither as an entry, nor as the content of one, nor with a secret but without the option."""
    monkeypatch.chdir(tmp_path)
    armed = pickle.dumps(Armed())
    secret = b"s" * 16
    for codec in (Codec(), Codec(secret=secret), Codec(secret=secret, pickle=True)):
        for data in (armed, PICKLE + armed, PLAIN + armed, TYPED + armed):
            with pytest.raises(Undecodable):
                codec.decode(data)
    with pytest.raises(Undecodable, match="reads none"):
        Codec(secret=secret).decode(Codec(secret=secret, pickle=True).encode(print))
    assert list(tmp_path.iterdir()) == []


def test_errors_of_a_class_are_misses():
    """A class whose members can't be hashed or compared as they should fails quietly."""
    codec = Codec(types=[Point])
    stored = codec.encode({Point((1, 2)): 1})
    forged = stored.replace(encode((1, 2))[5:], encode([1, 2])[5:])
    with pytest.raises(Undecodable):
        codec.decode(forged)
