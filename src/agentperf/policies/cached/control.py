"""What a computation says about the keeping of its own answer."""

from __future__ import annotations

from agentperf._base.durations import Duration, seconds
from agentperf.policies.cached.flights.flight import CacheControl, controlled


def cache_control(
    *,
    ttl: Duration | None = None,
    store: bool | None = None,
) -> CacheControl:
    """Say, inside of a cached function, how the answer being computed is to be kept.

    It speaks of the innermost cached call under way, and of no other one. Where none is, as in a
    function whose cache is turned off, it does nothing. The body of a generator runs after its
    call has returned, and has no say.

    Args:
        ttl: How long this answer is good, in place of the cache's own `ttl`.
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
        ConfigurationError: Something is malformed.
    """
    control = controlled.get() or CacheControl()
    if ttl is not None:
        control.ttl = seconds(ttl, "ttl")
    if store is not None:
        control.store = bool(store)
    return control
