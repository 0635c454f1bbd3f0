"""How long an answer is good, and what it is good for after that."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass

from agentperf.policies.cached.options import CacheOptions

REST = 5.0
"""Seconds without another attempt after one that failed, while there is an old answer to give."""


class Standing(enum.Enum):
    """What an answer is good for at a moment."""

    FRESH = "fresh"
    DUE = "due"
    """Still fresh, but time to make a new one."""
    STALE = "stale"
    """Good enough while a new one is made."""
    FALLBACK = "fallback"
    """Good enough only where no new one can be made."""
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Term:
    """The times of one answer.

    Attributes:
        due_from: From when a reader has it made anew.
        fresh_until: Until when it is fresh.
        stale_until: Until when it may be given while a new one is made.
        kept_until: Until when it is good for anything.
    """

    due_from: float
    fresh_until: float
    stale_until: float
    kept_until: float

    def at(self, now: float) -> Standing:
        """Return what the answer is good for at `now`."""
        if now < self.due_from:
            return Standing.FRESH
        if now < self.fresh_until:
            return Standing.DUE
        if now < self.stale_until:
            return Standing.STALE
        return Standing.FALLBACK if now < self.kept_until else Standing.GONE


class Freshness:
    """The times that one cache gives its answers.

    Args:
        options: What was asked for.
        draw: Gives random numbers from 0 up to, but not including, 1.
    """

    def __init__(
        self,
        options: CacheOptions,
        draw: Callable[[], float] | None = None,
    ) -> None:
        self._ttl = options.ttl
        self._jitter = options.jitter
        self._ahead = options.refresh_ahead
        self._stale = options.stale or 0.0
        self.lingers = options.lingers
        self.extra = max(self._stale, options.stale_on_error or 0.0)
        """Seconds for which an answer is kept once it is no longer fresh."""
        if draw is None and (self._jitter or self._ahead is not None):
            from random import random as draw  # most caches leave nothing to chance
        self._draw = draw or float

    def life(self, ttl: float | None = None) -> float | None:
        """Return how long a new answer is fresh, less the share that chance takes off.

        Args:
            ttl: What the answer itself asked for, in place of the cache's own.
        """
        ttl = self._ttl if ttl is None else ttl
        if ttl is None or not self._jitter:
            return ttl
        return ttl * (1 - self._jitter * self._draw())

    def term(self, stored: float, life: float, cost: float) -> Term:
        """Return the times of an answer; when it is due is drawn anew each time.

        Expensive answers are due earlier: `cost` times an exponentially distributed number before
        their end. (Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede
        Prevention", VLDB 2015.) Chance alone never makes one due in the first half of its life.

        Args:
            stored: When it was stored.
            life: How long it is fresh from then on.
            cost: How long it took to compute.
        """
        fresh_until = due_from = stored + life
        if self._ahead is not None:
            early = cost * -math.log(1 - self._draw())
            due_from = min(stored + life * self._ahead, max(fresh_until - early, stored + life / 2))
        return Term(due_from, fresh_until, fresh_until + self._stale, fresh_until + self.extra)
