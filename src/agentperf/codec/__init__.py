"""Typed, safe values for cache entries that other processes can read and write."""

from __future__ import annotations

import functools
from typing import Any

from agentperf.codec.annotations import registered_for
from agentperf.codec.core import Class, Codec, declared
from agentperf.codec.refusals import Undecodable

__all__ = ["Codec", "Undecodable", "decode", "default", "encode", "register", "registered_for"]


@functools.cache
def default() -> Codec:
    """Give the codec that is used where none is named: unsigned, uncompressed, no pickles."""
    return Codec()


def register(kind: Class) -> Class:
    """Make a class known to every codec of this process; works as a decorator.

    Raises:
        ConfigurationError: It is no class whose instances can be stored.
    """
    declared().register(kind)
    return kind


def encode(value: object) -> bytes:
    """Turn a value into bytes with the default codec; see `Codec.encode`.

    Raises:
        UncacheableValueError: Something in it can't be stored.
    """
    return default().encode(value)


def decode(data: bytes | bytearray | memoryview) -> Any:
    """Turn bytes back into the value with the default codec; see `Codec.decode`.

    Raises:
        Undecodable: These bytes are no value that this process can read.
    """
    return default().decode(data)
