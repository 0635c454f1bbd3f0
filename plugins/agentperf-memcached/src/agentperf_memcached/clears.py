"""The list of what was cleared: how entries go that nobody can find."""

from __future__ import annotations

import os
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_STAMP = struct.Struct(">QQ")
_CLEAR = struct.Struct(">QB")
_MOST = 64

STAMP_BYTES = _STAMP.size


@dataclass(frozen=True)
class Clears:
    """What was cleared on one server, and in which order.

    memcached can't list its keys. So each entry carries a *stamp*, how many times something had
    been cleared when it was stored, and doesn't count if a prefix of its key was cleared later. The
    list itself lies on the server, under one key. Should the server lose it, the next one has
    another mark, and no older entry counts: nothing that was cleared comes back.

    Attributes:
        mark: Tells this list from those before it.
        clock: How many times something was cleared.
        log: When which prefix was cleared last, oldest first.
    """

    mark: int
    clock: int = 0
    log: tuple[tuple[int, str], ...] = ()

    @classmethod
    def new(cls) -> Clears:
        """Begin a list that no entry knows of."""
        return cls(secrets.randbits(64))

    @property
    def stamp(self) -> bytes:
        """What an entry that is stored now begins with."""
        return _STAMP.pack(self.mark, self.clock)

    def counts(self, key: str, entry: bytes) -> bool:
        """Whether an entry was stored after its key was last cleared."""
        if len(entry) < STAMP_BYTES:
            return False
        mark, stored = _STAMP.unpack_from(entry)
        cleared = (when for when, prefix in self.log if key.startswith(prefix))
        return mark == self.mark and all(when <= stored for when in cleared)

    def cleared(self, prefix: str) -> Clears:
        """Return the list with one more clear.

        What it covers is left out. Where there are too many, the two oldest are taken together:
        that clears more than was asked for, of what is old.
        """
        now = self.clock + 1
        log = [*(one for one in self.log if not one[1].startswith(prefix)), (now, prefix)]
        if len(log) > _MOST:
            (_, first), (when, second), *younger = log
            both = os.path.commonprefix([first, second])  # noqa: RUF071 - letters, not folders
            log = [(when, both), *younger]
        return Clears(self.mark, now, tuple(log))

    def pack(self) -> bytes:
        """Turn it into bytes."""
        packed = [_CLEAR.pack(when, len(prefix)) + prefix.encode() for when, prefix in self.log]
        return self.stamp + b"".join(packed)

    @classmethod
    def unpack(cls, data: bytes) -> Clears:
        """Read it back; what can't be read is a list that no entry knows of."""
        try:
            mark, clock = _STAMP.unpack_from(data)
            return cls(mark, clock, tuple(_log(data)))
        except (struct.error, ValueError):
            return cls.new()


def _log(data: bytes) -> Iterator[tuple[int, str]]:
    at = STAMP_BYTES
    while at < len(data):
        when, length = _CLEAR.unpack_from(data, at)
        at += _CLEAR.size + length
        yield when, data[at - length : at].decode()
