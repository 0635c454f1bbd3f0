"""The figures of all caches of a host, by where their entries are."""

from __future__ import annotations

import dataclasses
import re
from math import isnan

from agentperf._engine.current import current_host
from agentperf.abc.backends import AnyBackend
from agentperf.policies.cached.decorator import airspace_of
from agentperf.policies.cached.state import CacheState
from agentperf.policies.cached.stats import CacheStats

_CREDENTIALS = re.compile(r"//.*@")
_OPTIONS = re.compile(r"\?[^+]*")


def cache_stats() -> dict[str, CacheStats]:
    """Return the figures of all caches on the current host, added up by backend.

    Figures belong to the caches that are alive: those of a decorated function go with it.

    Returns:
        The figures by backend: its address without credentials and options, or the name of its
        class.

    Example:
        for backend, figures in agentperf.cache_stats().items():
            print(backend, figures)
    """
    host = current_host()
    found: dict[str, CacheStats] = {}
    states: list[CacheState] = airspace_of(host).caches()
    for state in states:
        place, stats = _place(state.options.backend), state.stats()
        trouble = next(filter(None, (one.trouble(host) for one in state.remotes.values())), "")
        if trouble:
            stats = dataclasses.replace(stats, trouble=trouble)
        found[place] = _added(found[place], stats) if place in found else stats
    return found


def _place(backend: str | AnyBackend) -> str:
    if not isinstance(backend, str):
        return type(backend).__name__
    return _OPTIONS.sub("", _CREDENTIALS.sub("//", backend))


def _added(one: CacheStats, other: CacheStats) -> CacheStats:
    """Add figures of two caches; the time of a computation is that of all they made."""
    sums = {
        field.name: getattr(one, field.name) + getattr(other, field.name)
        for field in dataclasses.fields(CacheStats)
        if field.name not in ("load_seconds", "max_bytes", "trouble", "sizes_itself")
    }
    bounds = one.max_bytes, other.max_bytes
    return CacheStats(
        **sums,
        load_seconds=_mean(one, other),
        max_bytes=None if None in bounds else sum(bound or 0 for bound in bounds),
        trouble=one.trouble or other.trouble,
        sizes_itself=one.sizes_itself or other.sizes_itself,
    )


def _mean(one: CacheStats, other: CacheStats) -> float:
    known = [stats for stats in (one, other) if not isnan(stats.load_seconds)]
    computed = sum(stats.misses for stats in known)
    if not computed:
        return known[0].load_seconds if known else one.load_seconds
    return sum(stats.load_seconds * stats.misses for stats in known) / computed
