"""The order of policies, and what is said of others."""

from __future__ import annotations

import warnings

import pytest

import agentperf
from agentperf.errors import ConfigurationError, OrderWarning
from agentperf.policies.circuit_breaker import circuit_breaker
from agentperf.policies.compose import resilient, stack
from agentperf.policies.rate_limited import rate_limited
from agentperf.policies.retry import retry
from agentperf.testing import FakeClock, fail, faulty, fresh_host


def kinds(function):
    """Name the kinds of the pipeline."""
    return [policy.kind for policy in agentperf.handle(function).pipeline]


def test_resilient_puts_policies_in_their_order():
    """However they are given."""
    work = resilient(
        circuit_breaker(), rate_limited("1/s"), agentperf.cached(ttl=1), retry(), agentperf.timed()
    )(lambda: 1)
    assert kinds(work) == ["timed", "cached", "retry", "rate_limited", "circuit_breaker"]


def test_resilient_has_defaults():
    """Timed, retried, behind a breaker."""
    assert kinds(resilient()(lambda: 1)) == ["timed", "retry", "circuit_breaker"]


def test_two_of_a_kind_are_refused():
    """Which is to stand outside nobody can tell."""
    with pytest.raises(ConfigurationError, match="retry twice"):
        resilient(retry(), stack(retry()))


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        ((rate_limited("1/s"), retry()), "Write @retry above @rate_limited"),
        ((circuit_breaker(), retry()), "last of several failures"),
        ((rate_limited("1/s"), agentperf.cached(ttl=1)), "use up the limit"),
        ((circuit_breaker(), agentperf.cached(ttl=1)), "refused while it is open"),
        ((retry(), agentperf.fallback("x")), "nothing be retried"),
        ((circuit_breaker(), agentperf.fallback("x")), "would not see"),
        ((agentperf.cached(ttl=1), agentperf.fallback("x")), "kept for what should have"),
        ((agentperf.bulkhead(1), retry()), "Write @retry above @bulkhead"),
        ((agentperf.bulkhead(1), agentperf.cached(ttl=1)), "take up places"),
        ((rate_limited("1/s"), agentperf.bulkhead(1)), "come all at once"),
        ((retry(), agentperf.cached(ttl=1)), "every attempt"),
    ],
)
def test_a_harmful_order_is_told_with_the_fix_at_the_line_that_decorates(policies, said):
    """Stacked or one by one; the warning points here."""
    with pytest.warns(OrderWarning, match=said) as seen:
        stack(*policies)(lambda: 1)
    assert seen[0].filename == __file__
    with pytest.warns(OrderWarning, match=said) as seen:
        policies[0](policies[1](lambda: 1))
    assert seen[0].filename == __file__


def test_one_warning_of_a_function_with_many_policies():
    """It names the whole order, as nobody knows yet what will stand further out."""

    async def work():
        return 1

    decorated = agentperf.hedged(rate_limited("3/s")(agentperf.fallback(5)(work)))
    with pytest.warns(OrderWarning, match="order, from the outside: timed, budgeted, fal") as seen:
        circuit_breaker(retry(agentperf.timeout(5)(agentperf.bulkhead(3)(decorated))))
    assert len(seen) == 1


def test_a_good_order_is_not_talked_about():
    """Nothing is said of the canonical order, in part or whole."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agentperf.timed(agentperf.cached(retry(rate_limited("1/s")(circuit_breaker(lambda: 1)))))


def test_the_handle_knows_limiter_and_breaker():
    """What is left, what state it is in, and what was decided lately."""
    clock = FakeClock()
    with fresh_host(clock):
        work = resilient(retry(), rate_limited("5/s"), circuit_breaker())(
            faulty(lambda: 1, fail(ConnectionError))
        )
        handle = agentperf.handle(work)
        assert handle.limiter.remaining() == {"requests": 5}
        assert work() == 1
        assert handle.limiter.waiting() == 0
        assert handle.breaker.state() == "closed"
        assert (handle.breaker.tally().calls, handle.breaker.tally().failures) == (2, 1)
        assert [type(d.event).__name__ for d in handle.recent()] == ["RetryScheduled"]
        handle.breaker.force("forced-open")
        with pytest.raises(agentperf.CircuitOpen):
            work()
        handle.breaker.reset()
        assert work() == 1
        assert [type(d.event).__name__ for d in handle.recent()][1:3] == [
            "CircuitChanged",
            "CallRefused",
        ]
        with pytest.raises(ConfigurationError, match="one of"):
            handle.breaker.force("ajar")


def test_the_handle_says_what_is_missing():
    """With the decorator that brings it."""
    handle = agentperf.handle(agentperf.timed(lambda: 1))
    for ask in (lambda: handle.limiter, lambda: handle.breaker):
        with pytest.raises(ConfigurationError, match="decorate it with"):
            ask()


def test_recent_remembers_hits_once_asked():
    """Before that they would cost every call something for nobody."""
    with fresh_host(FakeClock()):
        work = agentperf.cached(ttl=5)(lambda: 1)
        work()
        assert agentperf.handle(work).recent() == ()
        work()
        assert "CacheHit" in str(agentperf.handle(work).recent()[0])


def test_recent_knows_a_function_by_both_its_names():
    """Events of a named `timed` stand under that name, the others under the function's."""
    with fresh_host(FakeClock()):
        work = agentperf.timed("search")(agentperf.cached(ttl=5)(lambda: 1))
        assert agentperf.handle(work).recent() == ()
        work()
        kinds = {type(decision.event).__name__ for decision in agentperf.handle(work).recent()}
        assert kinds == {"CacheMiss", "CallEnded"}


def test_recent_keeps_the_order_within_one_instant():
    """What caused the end of a call stands before it, whatever the clock shows."""
    with fresh_host(FakeClock()):

        @agentperf.timed("asking")
        @agentperf.compress_prompt(ratio=0.2)
        @rate_limited("1/min", on_limit="raise")
        def ask(text):
            return text

        handle = agentperf.handle(ask)
        assert handle.recent() == ()
        ask("\n".join(f"On day {n} nothing happened." for n in range(50)))
        with pytest.raises(agentperf.RateLimitExceeded):
            ask("again")
        kinds = [type(decision.event).__name__ for decision in handle.recent()]
        assert kinds == ["PromptCompressed", "CallEnded", "CallRefused", "CallEnded"]
