"""The dates of answers that are kept as bytes, beside the answer: backends only know an end."""

from __future__ import annotations

import struct
from collections.abc import Callable

from agentperf.policies.cached.freshness import Freshness, Standing

_MARK = b"d"
_DATES = struct.Struct(">ddd")


class Dates:
    """Writes when an answer was stored before its bytes, and judges by it what it is good for.

    Args:
        freshness: The times of the cache's answers.
        wall: Seconds since the epoch, as other processes count them too.
    """

    def __init__(self, freshness: Freshness, wall: Callable[[], float]) -> None:
        self._freshness = freshness
        self._wall = wall

    def dated(self, data: bytes, life: float, cost: float) -> bytes:
        """Put the dates of an answer before its bytes, where anybody will ask for them."""
        if not self._freshness.lingers:
            return data
        return _MARK + _DATES.pack(self._wall(), life, cost) + data

    def opened(self, found: bytes | None) -> tuple[bytes | None, Standing]:
        """Return the bytes of what was found, and what they are good for.

        What has no dates is fresh for as long as the backend keeps it.
        """
        if found is None:
            return None, Standing.GONE
        if found[:1] != _MARK:
            return found, Standing.FRESH
        begin = len(_MARK) + _DATES.size
        if len(found) < begin:
            return None, Standing.GONE
        stored, life, cost = _DATES.unpack_from(found, len(_MARK))
        return found[begin:], self._freshness.term(stored, life, cost).at(self._wall())
