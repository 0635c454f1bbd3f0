"""What a computation says about the keeping of its own answer."""

from __future__ import annotations

from collections.abc import Iterable

from agentperf._base.durations import Duration, seconds
from agentperf._base.options import refuse_unknown
from agentperf.policies.cached.flights.flight import CacheControl, controlled
from agentperf.policies.cached.tags.naming import plain_tags


def cache_control(
    *,
    ttl: Duration | None = None,
    store: bool | None = None,
    tags: str | Iterable[str] = (),
    **unknown: object,
) -> CacheControl:
    """Say, inside of a cached function, how the answer being computed is to be kept.

    It speaks of the innermost cached call under way, and of no other one. Where none is, as in a
    function whose cache is turned off, it does nothing. In the body of a generator it counts
    as far as the first item: its call has returned when the rest of it runs.

    Args:
        ttl: How long this answer is good, in place of the cache's own `ttl`.
        tags: Under which names `agentperf.invalidate` reaches this answer, besides those of the
            call, such as the ids found in it; as they are, no templates. On a backend that others
            share, the function needs `tags=` too, `tags=()` if it has no others: a process that
            only invalidates knows by it where to.
        **unknown: Refused, with what was probably meant.
        store: False keeps this answer out of the cache; who waits for it gets it all the same.

    Returns:
        What has been said so far.

    Example:
        @agentperf.cached(ttl="1h")
        def search(query: str) -> list[str]:
            found = index.search(query)
            if not found:
                agentperf.cache_control(ttl="30s")
            return found

    Raises:
        ConfigurationError: Something is malformed, or these are too many tags.
    """
    refuse_unknown(cache_control, unknown)
    control = controlled.get() or CacheControl()
    if ttl is not None:
        control.ttl = seconds(ttl, "ttl")
    if store is not None:
        control.store = bool(store)
    if tags:
        control.tags = plain_tags((*control.tags, *plain_tags(tags)))
    return control
