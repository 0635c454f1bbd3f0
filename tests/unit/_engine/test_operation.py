"""One name for a function's calls: everybody tells of them under it."""

from __future__ import annotations

import pytest

import agentperf
from agentperf import cached, circuit_breaker, compress_prompt, rate_limited, retry, timed
from agentperf.errors import CallRejected
from agentperf.testing import FakeClock, fail, faulty, fresh_host, recorded

LAYERS = [
    cached(),
    compress_prompt(ratio=0.2),
    retry(attempts=2),
    rate_limited("1/min", on_limit="raise"),
    circuit_breaker(),
]


@pytest.fixture(autouse=True)
def host():
    """A fresh host."""
    with fresh_host(FakeClock()) as host:
        yield host


def told(decorated, *calls):
    """Return the operations of the events that calls cause."""
    with recorded() as log:
        for call in calls:
            try:
                decorated(call)
            except (CallRejected, ConnectionError):
                continue
    assert len(log) > len(calls)
    return {event.operation for event in log}


def stacked(*names):
    """Put every policy around a function that fails at first, and `timed` with these names."""
    function = faulty(lambda prompt: prompt, fail(ConnectionError))
    for policy in reversed(LAYERS):
        function = policy(function)
    for name in reversed(names):
        function = timed(name)(function) if name else timed(function)
    return function


def test_the_name_given_by_timed_is_that_of_all_events():
    """Hits, retries and refusals can be joined with the calls they belong to."""
    text = "\n".join(f"Line {n}, and what is said in it." for n in range(200))
    assert told(stacked("search"), text, text, "other", "third") == {"search"}


@pytest.mark.parametrize(("names", "named"), [(["a", "b"], "a"), ([None, "b"], None)])
def test_the_outermost_timed_decides(names, named):
    """One without a name counts under the function's, and so do all the others."""
    decorated = stacked(*names)
    with recorded(agentperf.events.CacheHit, agentperf.events.CacheMiss) as log:
        decorated("x")
    operation = agentperf.handle(decorated).operation
    assert {event.operation for event in log} == {operation}
    assert (operation == named) is (named is not None)


def test_without_a_name_it_is_the_functions():
    """Its module and qualified name."""
    (operation,) = told(stacked(), "x", "x")
    assert operation.startswith("tests.unit._engine.test_operation.stacked")


def test_what_a_handle_does_is_told_under_it_too():
    """Invalidations and changes of a breaker by hand belong to the same operation."""
    decorated = stacked("search")
    decorated("x")
    with recorded() as log:
        agentperf.handle(decorated).cache.invalidate("x")
        agentperf.handle(decorated).cache.clear()
        agentperf.handle(decorated).breaker.force("open")
    assert len(log) >= 3
    assert {event.operation for event in log} == {"search"}
