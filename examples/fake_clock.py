"""Test a program that caches: time moves by hand, faults come on purpose, events are recorded."""
# ruff: noqa: S101 - a test asserts

from __future__ import annotations

import agentperf
from agentperf import events
from agentperf.testing import FakeClock, delay, fail, faulty, fresh_host, recorded


def quote(symbol: str) -> float:
    """Look up a price."""
    return float(len(symbol))


kept = agentperf.cached(ttl="10m")(quote)


def test_a_quote_is_good_for_ten_minutes() -> None:
    """After ten minutes it is looked up again."""
    clock = FakeClock()
    with fresh_host(clock), recorded(events.CacheExpired) as log:
        kept("ACME")
        clock.advance("9m")
        kept("ACME")
        clock.advance("1m")
        kept("ACME")
        figures = agentperf.handle(kept).cache.stats()
    assert (figures.hits, figures.misses) == (1, 2)
    assert log.names() == ["CacheExpired"]


def test_an_error_is_not_kept() -> None:
    """A look-up that failed is tried again at the next call; waiting takes no real time."""
    shaky = faulty(quote, fail(ConnectionError), delay("30s"))
    with fresh_host(FakeClock()):
        measured = agentperf.timed(agentperf.cached(ttl="10m")(shaky))
        try:
            measured("ACME")
        except ConnectionError:
            print("the first call failed")
        measured("ACME")
        figures = agentperf.handle(measured).stats()
    print(figures)
    assert (figures.failed, figures.completed) == (1, 1)
    assert figures.max == 30


if __name__ == "__main__":
    test_a_quote_is_good_for_ten_minutes()
    test_an_error_is_not_kept()
    print("all is well")
