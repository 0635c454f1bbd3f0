"""Events of cached calls."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf.events.base import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheHit(Event):
    """An answer came from the cache.

    Attributes:
        stale: Whether it was past its time to live.
        failure: Whether it was a failure that is remembered, and was raised again.
    """

    stale: bool = False
    failure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheMiss(Event):
    """There was no fresh answer in the cache.

    Attributes:
        shared: Whether the call joined another one's flight instead of computing.
    """

    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStored(Event):
    """An answer went into the cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRefused(Event):
    """An answer was not stored.

    Attributes:
        reason: Why, as a short fixed phrase.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUnreadable(Event):
    """An entry was found that can't or may not be read: a miss.

    Attributes:
        reason: Why, as a short fixed phrase.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheExpired(Event):
    """An entry was found to be past its time to live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEviction(Event):
    """An entry had to make room for another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInvalidated(Event):
    """An entry was removed by request, or found with a tag that was invalidated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheCleared(Event):
    """All entries were removed by request.

    Attributes:
        entries: How many there were.
    """

    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheWarmed(Event):
    """Answers were computed ahead of need.

    Attributes:
        entries: How many.
    """

    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheBackendDown(Event):
    """The backend of a cache began to fail; told once until it works again.

    Attributes:
        error: The class name of the error.
    """

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheBackendUp(Event):
    """The backend of a cache works again."""
