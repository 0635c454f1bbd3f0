"""Answers as bytes: plain values, and streams as they were read."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

from agentperf._engine.streams import sdk_class, sdk_name
from agentperf.codec import Codec, Undecodable, registered_for
from agentperf.errors import UncacheableValueError
from agentperf.policies.cached.state import Recording

_VALUE, _STREAM, _ASYNC_STREAM = b"v", b"s", b"a"

NOTHING: Any = object()
"""What is found where there is nothing, or nothing that can be read."""


class Packing:
    """Turns the answers of one function into bytes and back.

    Args:
        function: Its return annotation says which classes may be read.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._codec = Codec(_answers_of(function))

    def pack(self, answer: Any) -> bytes:
        """Turn an answer, or the recording of a stream, into bytes that can be read again.

        Raises:
            UncacheableValueError: Something in it can't be stored.
        """
        if isinstance(answer, Recording):
            mark = _ASYNC_STREAM if answer.is_async else _STREAM
            kind = sdk_name(answer.kind)
            data = mark + self._codec.encode((answer.items, answer.returned, kind))
        else:
            data = _VALUE + self._codec.encode(answer)
        if self.unpack(data) is NOTHING:
            raise UncacheableValueError("the result can be written, but not read again")
        return data

    def unpack(self, data: bytes | None) -> Any:
        """Turn what was found back into an answer or a recording, `NOTHING` where it is neither."""
        if data is None:
            return NOTHING
        mark = data[:1]
        try:
            held = self._codec.decode(memoryview(data)[1:])
        except Undecodable:
            return NOTHING
        if mark == _VALUE:
            return held
        is_recording = isinstance(held, tuple) and len(held) == 3 and isinstance(held[0], tuple)
        if mark not in (_STREAM, _ASYNC_STREAM) or not is_recording:
            return NOTHING
        items, returned, kind = held
        return Recording(items, returned, mark == _ASYNC_STREAM, sdk_class(kind))


def _answers_of(function: Callable[..., Any]) -> tuple[type, ...]:
    try:
        annotation = typing.get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 - names that exist for type checkers only
        return ()
    return registered_for(annotation)
