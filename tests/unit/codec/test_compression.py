"""Large entries are compressed if asked for; reading them is bounded."""

from __future__ import annotations

import logging
import sys
from importlib import import_module

import pytest

from agentperf.codec import Codec, Undecodable
from agentperf.errors import MissingExtraError

zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

COMPRESSED = b"ap\x01\x00\x01"
CODEC = Codec(compress_over=1000, max_bytes=100_000)


def test_what_is_compressed():
    """Only what is over the threshold, and gets smaller by it."""
    assert len(CODEC.encode("x" * 50_000)) < 100
    assert Codec().decode(CODEC.encode("x" * 50_000)) == "x" * 50_000
    assert CODEC.encode("x" * 900) == Codec().encode("x" * 900)
    noise = zstd.compress(b"".join(n.to_bytes(2, "big") for n in range(9999)))
    assert CODEC.decode(CODEC.encode(noise)) == noise
    assert len(CODEC.encode(noise)) <= len(noise) + 10


@pytest.mark.parametrize(
    "content",
    [
        zstd.compress(b"\x90" * 50_000_000),
        zstd.compress(b"\xa1a") * 2,
        zstd.compress(b"\xa1a")[:-1],
        zstd.compress(b"\xa1a") + b"more",
        b"no frame",
        b"",
    ],
    ids=["bomb", "two frames", "cut off", "more", "garbage", "nothing"],
)
def test_malformed_frames(content):
    """A bomb, a piece and whatever else is no whole frame of bounded size is a miss."""
    with pytest.raises(Undecodable):
        CODEC.decode(COMPRESSED + content)


def test_a_frame_that_asks_for_much_memory():
    """A window larger than anything written here isn't allocated."""
    options = {zstd.CompressionParameter.window_log: 27}
    writer = zstd.ZstdCompressor(options=options)
    frame = writer.compress(b"x" * 20_000_000) + writer.flush()
    with pytest.raises(Undecodable):
        Codec(max_bytes=10**9).decode(COMPRESSED + frame)


def test_without_the_library(monkeypatch, caplog):
    """Compressing says which extra is missing; reading logs it, and is a miss."""
    stored = CODEC.encode("x" * 50_000)
    monkeypatch.setitem(sys.modules, zstd.__name__, None)
    with pytest.raises(MissingExtraError, match="compression"):
        Codec(compress_over=1)
    reader = Codec()
    with (
        caplog.at_level(logging.WARNING, "agentperf"),
        pytest.raises(Undecodable, match="pip install"),
    ):
        reader.decode(stored)
    with pytest.raises(Undecodable):
        reader.decode(stored)
    assert caplog.text.count("codec.compression_missing") == 1
    assert Codec().decode(Codec().encode([1])) == [1]
