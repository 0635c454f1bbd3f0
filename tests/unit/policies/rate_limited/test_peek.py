"""Looking at a limit without using it."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentperf
from agentperf import Outlook, RateLimitExceeded, RequestTooLarge, rate_limited
from agentperf.testing import FakeClock, fresh_host


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


def peek(function, *args):
    """Look."""
    return agentperf.handle(function).limiter.peek(*args)


def test_looking_takes_nothing(clock):
    """As often as one likes."""
    work = rate_limited("1/min")(lambda: None)
    assert [peek(work) for _ in range(3)] == [Outlook(admitted=True, wait=0.0)] * 3
    work()
    waiting = Outlook(admitted=False, wait=60.0, limit="1/min requests")
    assert [peek(work) for _ in range(3)] == [waiting] * 3
    clock.advance(60)
    assert peek(work).admitted


@given(st.lists(st.integers(1, 15), max_size=12), st.integers(1, 15))
def test_it_says_what_then_happens(sizes, last):
    """The wait it names is the wait there is."""
    clock = FakeClock()
    with fresh_host(clock):
        limit = rate_limited(["10/s", "30/min"], cost="size", max_wait="1h", oversize="borrow")
        work = limit(lambda size: None)
        for size in sizes:
            work(size)
        seen, before = peek(work, last), clock.now()
        work(last)
        assert clock.now() - before == pytest.approx(seen.wait, abs=1e-6)
        assert seen.admitted is (seen.wait == 0)


def test_what_never_fits(clock):
    """There is no time to name; with another `oversize` there is."""
    work = rate_limited("10/s", cost="size")(lambda size: None)
    assert peek(work, 11) == Outlook(admitted=False, wait=None, limit="10/s requests")
    for oversize in ("borrow", "clamp"):
        work = rate_limited("10/s", cost="size", oversize=oversize)(lambda size: None)
        assert peek(work, 11).admitted
        work(5)
        assert peek(work, 11).wait == 0.5


def test_of_one_key_and_of_a_method(clock):
    """The arguments say which limit is meant."""

    class Agent:
        @rate_limited("1/min", by="user")
        def chat(self, user):
            return user

    agent = Agent()
    agent.chat("anna")
    assert [peek(agent.chat, user).admitted for user in ("anna", "bert")] == [False, True]


@pytest.mark.anyio
async def test_those_who_wait_come_first():
    """Their needs are waited for too; when a place comes free nobody knows."""
    clock = FakeClock()
    with fresh_host(clock):
        gate = anyio.Event()

        @rate_limited("1/s", burst=1, concurrency=3, max_wait="1h")
        async def work() -> None:
            await gate.wait()

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(work)
                await clock.aadvance(0)
            assert peek(work) == Outlook(admitted=False, wait=2.0, limit="1/s requests")
            tasks.start_soon(work)
            await clock.aadvance(0)
            assert peek(work).wait is None
            await clock.aadvance(2)
            assert peek(work) == Outlook(admitted=False, wait=None, limit="concurrency")
            gate.set()


def test_a_refusal_says_which_limit_and_which_key(clock):
    """Nothing of the key itself is told."""
    work = rate_limited("1/min", by="token", on_limit="raise", name="api")(lambda token: None)
    keys = []
    for token in ("sk-secret", "sk-other"):
        work(token)
        with pytest.raises(RateLimitExceeded) as caught:
            work(token)
        error = caught.value
        assert (error.policy, error.policy_name, error.retry_after) == ("rate_limited", "api", 60)
        assert error.limit == "1/min requests"
        assert error.key in str(error)
        assert "sk-" not in f"{error!r}{error.__dict__}"
        keys.append(error.key)
    assert len(set(keys)) == 2


def test_a_call_too_large_says_the_same(clock):
    """And without `by=` there is no key."""
    with pytest.raises(RequestTooLarge) as caught:
        rate_limited(tokens="5/min", cost="size")(lambda size: None)(6)
    assert (caught.value.limit, caught.value.key) == ("5/min tokens", "")
