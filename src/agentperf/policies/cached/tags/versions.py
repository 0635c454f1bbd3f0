"""The versions of tags, as a backend keeps them.

A version is random, never comes back, and says when it was put in place of another.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterable

from agentperf._base.keys import digest

Versions = dict[str, bytes]
"""The versions of tags, by the keys they are kept under."""

LIFETIME = 30 * 86_400.0
"""How long a version is kept, in seconds; what was made under it is void then."""

PREFIX = "ap1t:"
"""What the keys of all versions begin with."""

SIZE = 16
"""Bytes of a version."""

_DATE, _NEVER = struct.Struct(">d"), 0.0


def marker_key(tag: str) -> str:
    """Return the key under which a backend keeps the version of a tag."""
    return PREFIX + digest(tag)


def new_version(date: float = _NEVER) -> bytes:
    """Return a version that nothing was made under.

    Args:
        date: When it invalidates, in seconds since the epoch; never, where there was none before.
    """
    return _DATE.pack(date) + secrets.token_bytes(SIZE - _DATE.size)


def new_versions(tags: Iterable[str], date: float) -> Versions:
    """Return what invalidates tags at a date, to be stored for `LIFETIME`."""
    return {marker_key(tag): new_version(date) for tag in tags}


def date_of(version: bytes) -> float:
    """Return when a version invalidated, in seconds since the epoch; 0 where it never did."""
    date: float = _DATE.unpack_from(version)[0]
    return date
