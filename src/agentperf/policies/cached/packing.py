"""Answers as bytes: plain values, and streams as they were read."""

from __future__ import annotations

from typing import Any

from agentperf import codec
from agentperf.policies.cached.state import Recording

_VALUE, _STREAM, _ASYNC_STREAM = b"v", b"s", b"a"


def packed(answer: Any) -> bytes:
    """Turn an answer, or the recording of a stream, into bytes.

    Raises:
        UncacheableValueError: Something in it can't be stored.
    """
    if not isinstance(answer, Recording):
        return _VALUE + codec.encode(answer)
    mark = _ASYNC_STREAM if answer.is_async else _STREAM
    return mark + codec.encode((answer.items, answer.returned))


def unpacked(data: bytes) -> Any:
    """Turn bytes back into an answer or a recording.

    Raises:
        codec.Undecodable: They are none that this process can read.
    """
    mark, rest = data[:1], memoryview(data)[1:]
    if mark == _VALUE:
        return codec.decode(rest)
    if mark not in (_STREAM, _ASYNC_STREAM):
        raise codec.Undecodable("an entry of another form")
    held = codec.decode(rest)
    if not isinstance(held, tuple) or len(held) != 2 or not isinstance(held[0], tuple):
        raise codec.Undecodable("not the recording of a stream")
    return Recording(held[0], held[1], is_async=mark == _ASYNC_STREAM)
