"""The figures of a cache, and what they advise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import nan

from agentperf._base.text import format_dollars, format_seconds
from agentperf.usage import Usage

LEAST_CALLS = 200
"""Fewer calls than these advise nothing."""

NO_HITS = 0.01
"""Below this hit rate, next to no call asks for what another asked for."""

TOO_SMALL = 0.05
"""So large a share of the calls missed what had just been evicted."""

TOO_SHORT = 0.5
"""So large a share of the misses found an answer that had expired."""

TOO_CHEAP = 5e-6
"""Seconds of a computation below which a hit saves nothing to speak of."""

UNKEPT = 0.5
"""So large a share of the answers is refused."""

PASSING = 0.9
"""So large a share of the entries goes without anybody having asked again."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """The figures of one cache.

    Attributes:
        hits: Answers from the cache.
        misses: Calls for which there was no fresh answer; they computed it.
        shared: Calls that joined another one's computation.
        stale: Answers served past their time; always 0 while no stale serving is asked for.
        stored: Answers that went into the cache.
        refused: Answers that could not be stored.
        expired: Entries found past their time to live.
        evictions: Entries that had to make room.
        invalidated: Entries found void, because one of their tags was invalidated.
        size: Entries now; 0 for a backend other than memory, which doesn't say.
        max_entries: Entries at most, at this moment; 0 for a backend other than memory.
        bytes: About how many bytes the entries hold; 0 where `max_bytes` doesn't ask for it.
        max_bytes: Bytes at most; None where they are not bounded.
        load_seconds: Seconds that a computation took on average, those of streams left out; nan
            before the first.
        saved: Tokens and cost of the computations that needn't be made again, as far as they are
            known: one for each hit, stale answer and shared call that got it from an entry.
        saved_seconds: The time that they took; 0 for a backend other than memory.
        returned: Misses for keys that had been evicted a short while before.
        gone: Entries that were evicted, or found expired.
        unasked: How many of these nobody had asked for again.
        trouble: The name of the error that its backend failed with, while that is out of order.
        sizes_itself: Whether `max_entries` moves by itself.
    """

    hits: int = 0
    misses: int = 0
    shared: int = 0
    stale: int = 0
    stored: int = 0
    refused: int = 0
    expired: int = 0
    evictions: int = 0
    invalidated: int = 0
    size: int = 0
    max_entries: int = 0
    bytes: int = 0
    max_bytes: int | None = None
    load_seconds: float = nan
    saved: Usage = field(default_factory=Usage)
    saved_seconds: float = 0.0
    returned: int = 0
    gone: int = 0
    unasked: int = 0
    trouble: str = ""
    sizes_itself: bool = False

    @property
    def calls(self) -> int:
        """All calls."""
        return self.hits + self.stale + self.shared + self.misses

    @property
    def hit_rate(self) -> float:
        """The share (0 to 1) of calls that were answered without computing; 0 before any call.

        A call that joined another's computation counts as answered without computing.
        """
        return (self.calls - self.misses) / self.calls if self.calls else 0.0

    @property
    def churn(self) -> float:
        """How many entries were evicted for each that was stored, 0 to 1; 0 before any."""
        return self.evictions / self.stored if self.stored else 0.0

    @property
    def one_hit_wonders(self) -> float:
        """The share of entries that went without anybody having asked again; 0 before any."""
        return self.unasked / self.gone if self.gone else 0.0

    @property
    def recommendation(self) -> str | None:
        """What would serve this cache better, in a sentence; None where nothing stands out."""
        return _advice(self)

    def __str__(self) -> str:
        return _told(self)


def _advice(stats: CacheStats) -> str | None:
    """Return what would serve a cache better; None where nothing stands out.

    The first that holds is told, the surest first; the thresholds are those above.
    """
    return next(_advices(stats), None) if stats.calls >= LEAST_CALLS else None


def _advices(stats: CacheStats) -> Iterator[str]:
    made = stats.stored + stats.refused
    if made and stats.refused >= UNKEPT * made:
        share = stats.refused / made
        yield f"{share:.0%} of the answers are not kept: CacheRefused.reason says why"
    if stats.load_seconds < TOO_CHEAP:
        took = format_seconds(stats.load_seconds)
        yield f"a computation takes {took}, about as long as a hit: it need not be cached"
    if stats.returned >= TOO_SMALL * stats.calls and not _grows(stats):
        yield (
            f"{stats.returned / stats.calls:.0%} of the calls missed what had just been evicted: "
            f"more room would answer them, {_more_room(stats)}"
        )
    if stats.misses and stats.expired >= TOO_SHORT * stats.misses:
        yield (
            f"{stats.expired / stats.misses:.0%} of the misses found an answer that had expired: "
            "a longer ttl would answer them, if an older answer may be given"
        )
    if stats.hit_rate < NO_HITS and stats.churn >= TOO_SHORT:
        yield (
            "next to no answer is asked for again before it is evicted: if calls come back later, "
            f"much more room would answer them, such as max_entries={10 * stats.max_entries:_}; "
            "if they never do, something in the key is different in each"
        )
    elif stats.hit_rate < NO_HITS:
        yield (
            "next to no call asks for what another asked for: leave out of the key what is "
            "different in each (a time, an id, a client) with ignore=; handle(f).explain(...) "
            "shows the key"
        )
    if stats.one_hit_wonders >= PASSING and stats.churn >= TOO_SHORT:
        yield (
            f"{stats.one_hit_wonders:.0%} of the entries go without anybody having asked again: "
            "fewer of them would do as well"
        )


def _grows(stats: CacheStats) -> bool:
    """Whether more room comes by itself."""
    return stats.sizes_itself and stats.max_bytes is None


def _more_room(stats: CacheStats) -> str:
    if stats.max_bytes is not None and (stats.sizes_itself or stats.size < stats.max_entries):
        return f"max_bytes={2 * stats.max_bytes:_}"
    return f'max_entries={2 * stats.max_entries:_} or max_entries="auto"'


def _told(stats: CacheStats) -> str:
    """Write the figures of a cache in one line."""
    stale = f"{stats.stale} stale, " if stats.stale else ""
    counts = f"{stats.hits} hits, {stale}{stats.shared} shared, {stats.misses} misses"
    parts = [f"{stats.hit_rate:.1%} hits ({counts})"]
    if stats.max_entries:
        parts.append(f"{stats.size} of {stats.max_entries} entries")
        if stats.max_bytes is not None:
            parts.append(f"{stats.bytes:,} of {stats.max_bytes:,} bytes")
        parts += [f"{stats.evictions} evicted", f"{stats.expired} expired"]
    else:
        parts.append(f"{stats.stored} stored")
    parts.append(f"{stats.refused} refused")
    if tokens := stats.saved.total_tokens:
        money = stats.saved.cost_usd
        parts.append(f"saved {tokens:,} tokens" + (f" ({format_dollars(money)})" if money else ""))
    line = ", ".join(parts)
    if stats.trouble:
        return f"{line}; its backend is out of order ({stats.trouble}), the log says why"
    return f"{line}; {text}" if (text := _advice(stats)) else line
