"""Answers as bytes: plain values, and streams as they were read."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from agentperf._base.log import warn
from agentperf._engine.hosting import Host
from agentperf._engine.streams import sdk_class, sdk_name
from agentperf.codec import Codec, Undecodable, registered_for
from agentperf.codec.refusals import FOREIGN
from agentperf.errors import UncacheableValueError
from agentperf.events import CacheUnreadable
from agentperf.policies.cached.state import CacheState, Recording

_VALUE, _STREAM, _ASYNC_STREAM = b"v", b"s", b"a"

NOTHING: Any = object()
"""What is found where there is nothing, or nothing that can be read."""


class Packed(NamedTuple):
    """An answer as bytes.

    Attributes:
        key: What it is kept under, which a signature covers.
        data: The bytes.
    """

    key: str
    data: bytes


class Packing:
    """Turns the answers of one function into bytes and back.

    Args:
        function: Its return annotation says which classes may be read.
        codec: Does it; one of its own by default.
        secrets: Sign what the codec doesn't sign by itself; none: nothing is signed.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        codec: Codec | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        kinds = _answers_of(function)
        codec = Codec() if codec is None else codec
        for kind in kinds:
            codec.register(kind)
        self._codec = codec if codec.signs or not secrets else codec.signing(secrets)

    def pack(self, key: str, answer: Any) -> Packed:
        """Turn an answer, or the recording of a stream, into bytes that can be read again.

        Raises:
            UncacheableValueError: Something in it can't be stored.
        """
        if isinstance(answer, Recording):
            mark = _ASYNC_STREAM if answer.is_async else _STREAM
            answer = (answer.items, answer.returned, sdk_name(answer.kind))
        else:
            mark = _VALUE
        packed = Packed(key, mark + self._codec.encode(answer, name=_name(mark, key)))
        if not self.reads(packed):
            raise UncacheableValueError("the result can be written, but not read again")
        return packed

    def reads(self, packed: Packed) -> bool:
        """Tell whether bytes are an answer or a recording."""
        try:
            self.unpack(packed)
        except Undecodable:
            return False
        return True

    def unpack(self, packed: Packed) -> Any:
        """Turn bytes back into an answer or a recording.

        Raises:
            Undecodable: They are neither, or may not be read.
        """
        mark = packed.data[:1]
        data = memoryview(packed.data)[1:]
        held = self._codec.decode(data, name=_name(mark, packed.key))
        if mark == _VALUE:
            return held
        is_recording = isinstance(held, tuple) and len(held) == 3 and isinstance(held[0], tuple)
        if mark not in (_STREAM, _ASYNC_STREAM) or not is_recording:
            raise Undecodable("neither an answer nor a stream", FOREIGN)
        items, returned, kind = held
        return Recording(items, returned, mark == _ASYNC_STREAM, sdk_class(kind))


class Reading:
    """Reads the answers of one cache, and tells of those that can't be read.

    Args:
        host: Where that is told.
        operation: Whose cache it is.
        state: What the cache remembers.
        packing: Turns bytes into answers.
    """

    def __init__(self, host: Host, operation: str, state: CacheState, packing: Packing) -> None:
        self._operation = operation
        self._state = state
        self._unpack = packing.unpack
        self._tell = host.bus.emitter(CacheUnreadable)

    def answer(self, key: str, data: bytes | None) -> Any:
        """Return the answer in what was found, `NOTHING` where there is none to be read."""
        if data is None:
            return NOTHING
        try:
            return self._unpack(Packed(key, data))
        except Undecodable as error:
            self._told(error.reason)
            return NOTHING

    def _told(self, reason: str) -> None:
        if reason not in self._state.told_unreadable:  # once: every other entry may be like this
            self._state.told_unreadable.add(reason)
            warn("cache.unreadable", operation=self._operation, reason=reason)
        if self._tell is not None:
            self._tell(CacheUnreadable(operation=self._operation, reason=reason))


def _name(mark: bytes, key: str) -> bytes:
    return mark + key.encode()


def _answers_of(function: Callable[..., Any]) -> tuple[type, ...]:
    try:
        annotation = typing.get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 - names that exist for type checkers only
        return ()
    return registered_for(annotation)
