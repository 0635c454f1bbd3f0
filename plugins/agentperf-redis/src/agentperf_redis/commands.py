"""What a backend does, as commands for the server: the same for both colours."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Generator, Iterable, Mapping
from typing import Any, TypeVar

from redis.exceptions import NoScriptError, ResponseError

from agentperf import UncacheableValueError
from agentperf.abc import Lasting

T = TypeVar("T")
Command = tuple[Any, ...]

Steps = Generator[list[Command], list[Any], T]
"""Yields commands that go out in one round trip, is sent their replies, returns the answer.

Where the server answered a command with an error, that error is the reply.
"""

_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""
_DELETE_IF = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
"""
_SET_IF = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
if ARGV[5] == '' then redis.call('SET', KEYS[1], ARGV[4])
else redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5]) end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1
"""
_PAGE = 1000


class Commands:
    """Turns what is asked of a backend into commands, and replies into answers.

    Args:
        prefix: What all keys begin with, on the server.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def get(self, key: str) -> Steps[bytes | None]:
        """Look a key up."""
        (value,) = yield [("GET", self._prefix + key)]
        return told(value)  # type: ignore[no-any-return]

    def get_many(self, keys: Iterable[str]) -> Steps[dict[str, bytes]]:
        """Look several keys up, in one round trip."""
        wanted = list(keys)
        if not wanted:
            return {}
        (values,) = yield [("MGET", *(self._prefix + key for key in wanted))]
        found = zip(wanted, told(values), strict=True)
        return {key: value for key, value in found if value is not None}

    def get_lasting(self, keys: Iterable[str]) -> Steps[dict[str, Lasting]]:
        """Look several keys up with the times they have left, in one round trip."""
        wanted = list(keys)
        if not wanted:
            return {}
        names = [self._prefix + key for key in wanted]
        # The times first: of a key that is replaced in between, the old one may be too short.
        *times, values = yield [*(("PTTL", name) for name in names), ("MGET", *names)]
        found = zip(wanted, told(values), times, strict=True)
        return {
            key: Lasting(value, _seconds(told(left)))
            for key, value, left in found
            if value is not None
        }

    def set(self, key: str, value: bytes, ttl: float | None) -> Steps[None]:
        """Store a value."""
        (reply,) = yield [self._set(key, value, ttl)]
        _stored(reply)

    def set_many(self, values: Mapping[str, bytes], ttl: float | None) -> Steps[None]:
        """Store several values, in one round trip."""
        if values:
            for reply in (yield [self._set(key, value, ttl) for key, value in values.items()]):
                _stored(reply)

    def add(self, key: str, value: bytes, ttl: float | None) -> Steps[bool]:
        """Store a value where there is none."""
        (reply,) = yield [(*self._set(key, value, ttl), "NX")]
        return _stored(reply) is not None

    def replace(self, key: str, old: bytes, new: bytes, ttl: float | None) -> Steps[bool]:
        """Store a value where there is that other one."""
        reply = yield from self._script(_REPLACE, [key], old, new, _lasts(ttl))
        return bool(_stored(reply))

    def delete(self, key: str) -> Steps[bool]:
        """Remove a key."""
        return (yield from self.delete_many([key])) == 1

    def delete_many(self, keys: Iterable[str]) -> Steps[int]:
        """Remove several keys, in one round trip."""
        names = [self._prefix + key for key in keys]
        if not names:
            return 0
        (removed,) = yield [("UNLINK", *names)]
        return told(removed)  # type: ignore[no-any-return]

    def delete_if(self, key: str, value: bytes) -> Steps[bool]:
        """Remove a key where there is that value."""
        reply = yield from self._script(_DELETE_IF, [key], value)
        return bool(told(reply))

    def set_if(
        self,
        key: str,
        value: bytes,
        ttl: float | None,
        *,
        guard: str,
        token: bytes,
        mark: bytes,
        mark_ttl: float,
    ) -> Steps[bool]:
        """Store a value while another key holds a token, and put a mark in the token's place."""
        fence = token, mark, milliseconds(mark_ttl)
        reply = yield from self._script(_SET_IF, [key, guard], *fence, value, _lasts(ttl))
        return bool(_stored(reply))

    def clear(self, prefix: str) -> Steps[None]:
        """Remove what begins with a prefix, page by page."""
        pattern = re.sub(r"([*?\[\]\\^-])", r"\\\1", self._prefix + prefix) + "*"
        cursor = 0
        while True:
            (page,) = yield [("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)]
            cursor, names = told(page)
            if names:
                (removed,) = yield [("UNLINK", *names)]
                told(removed)
            if not cursor:
                return

    def _set(self, key: str, value: bytes, ttl: float | None) -> Command:
        lasts = () if ttl is None else ("PX", milliseconds(ttl))
        return ("SET", self._prefix + key, value, *lasts)

    def _script(self, script: str, keys: list[str], *arguments: Any) -> Steps[Any]:
        rest = (len(keys), *(self._prefix + key for key in keys), *arguments)
        digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        (reply,) = yield [("EVALSHA", digest, *rest)]
        if isinstance(reply, NoScriptError):  # the server forgets scripts when it starts anew
            (reply,) = yield [("EVAL", script, *rest)]
        return reply


def _lasts(ttl: float | None) -> int | str:
    return "" if ttl is None else milliseconds(ttl)


def milliseconds(ttl: float) -> int:
    """Return a time to live as servers count it."""
    return max(1, math.ceil(ttl * 1000))


def _seconds(left: int) -> float:
    """Read what PTTL says: -1 without an end, -2 where there was nothing yet."""
    return math.inf if left == -1 else max(0, left) / 1000


def told(reply: Any) -> Any:
    """Return a reply, or raise the error that it is."""
    if isinstance(reply, Exception):
        raise reply
    return reply


def _stored(reply: Any) -> Any:
    if isinstance(reply, ResponseError):  # it is there and answers: full, or a replica
        raise UncacheableValueError(
            f"the server refused to store it: {type(reply).__name__}"
        ) from reply
    return told(reply)
