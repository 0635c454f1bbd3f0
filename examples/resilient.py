"""Put several policies around a function in the order in which they work together best."""

from __future__ import annotations

import warnings

import agentperf
from agentperf.testing import FakeClock, fail, faulty, fresh_host

upstream = agentperf.resilient(
    agentperf.circuit_breaker(),
    agentperf.rate_limited("500/min"),
    agentperf.retry(attempts=4),
    agentperf.cached(ttl="10m"),
    agentperf.timed(slow="5s"),
)


def complete(prompt: str) -> str:
    """Stand in for a model."""
    return prompt.upper()


def main() -> None:
    """Use the stack, then write one in an order that does harm and read the warning."""
    print(upstream)
    with fresh_host(FakeClock()):
        answer = upstream(faulty(complete, fail(ConnectionError)))
        answer("what is new?")
        answer("what is new?")
        handle = agentperf.handle(answer)
        print(handle.stats())
        print(handle.cache.stats())
        print("left:", handle.limiter.remaining())  # what failed gave its permit back

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        agentperf.stack(agentperf.rate_limited("500/min"), agentperf.retry())(complete)
    print(told[0].message)


if __name__ == "__main__":
    main()
