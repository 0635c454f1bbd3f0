"""What stands behind a limit is asked before a call waits for its turn."""

from __future__ import annotations

import anyio
import pytest

import agentperf
from agentperf import cached, circuit_breaker, rate_limited, retry, timed
from agentperf.errors import CircuitOpen
from agentperf.events import CallDelayed, CallRefused
from agentperf.testing import FakeClock, fresh_host, recorded


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


def limited(*between, **options):
    """Put a limit of one a minute in front of a breaker, and use its permit up."""
    breaker = circuit_breaker(**options)

    def work(x):
        return x

    function = breaker(work)
    for policy in reversed(between):
        function = policy(function)
    function = rate_limited("1/min")(function)
    function(0)
    return function, agentperf.handle(function).breaker


def test_an_open_breaker_refuses_before_the_queue(clock):
    """Nobody waits a minute to be told that the upstream is down."""
    work, breaker = limited()
    breaker.force("forced-open")
    began = clock.now()
    with recorded() as log, pytest.raises(CircuitOpen):
        work(1)
    assert clock.now() == began
    assert log.names() == ["CallRefused"]
    breaker.reset()
    assert work(1) == 1
    assert clock.now() - began == pytest.approx(60)


def test_its_fallback_answers_before_the_queue(clock):
    """The fallback of the breaker is what the caller gets, also here."""
    work, breaker = limited(fallback=lambda x: f"instead of {x}")
    breaker.force("forced-open")
    began = clock.now()
    assert work(1) == "instead of 1"
    assert clock.now() == began


def test_a_fallback_may_raise_stop_iteration(clock):
    """As any function may; it comes out as it went in."""

    def stop(x):
        raise StopIteration(x)

    work, breaker = limited(fallback=stop)
    breaker.force("forced-open")
    with pytest.raises(StopIteration):
        work(1)


@pytest.mark.filterwarnings("ignore::agentperf.errors.OrderWarning")
@pytest.mark.parametrize(
    "between", [cached(ttl=600), timed(), retry(), circuit_breaker(enabled=lambda: True)]
)
def test_what_may_answer_by_itself_is_not_foreseen(clock, between):
    """Behind a cache, or what counts calls, the breaker may never be asked: the call waits."""
    work, breaker = limited(between)
    breaker.force("forced-open")
    began = clock.now()
    if between.kind == "cached":
        assert work(0) == 0
    else:
        with pytest.raises(CircuitOpen):
            work(1)
    assert clock.now() - began == pytest.approx(60)


def test_a_breaker_whose_time_is_up_is_waited_for(clock):
    """The call will be its probe."""
    work, breaker = limited(open_for=30)
    breaker.force("open")
    clock.advance(40)
    assert work(1) == 1
    assert breaker.state() == "half-open"


def test_with_a_permit_at_hand_the_refusal_gives_it_back(clock):
    """Late or early, a refused call has used nothing."""
    breaker = circuit_breaker(lambda x: x)
    work = rate_limited("1/min")(breaker)
    agentperf.handle(work).breaker.force("forced-open")
    for _ in range(3):
        with pytest.raises(CircuitOpen):
            work(1)
    assert agentperf.handle(work).limiter.remaining() == {"requests": 1}


@pytest.mark.anyio
async def test_asynchronous_calls_alike(anyio_backend):
    """Refused and answered at once, on any loop."""
    with fresh_host(FakeClock()) as host:

        async def late(x):
            await anyio.lowlevel.checkpoint()
            return f"instead of {x}"

        @rate_limited("1/min")
        @circuit_breaker(fallback=late)
        async def work(x):
            return x

        assert await work(0) == 0
        agentperf.handle(work).breaker.force("forced-open")
        began = host.clock.now()
        with recorded(CallRefused, CallDelayed) as log:
            assert await work(1) == "instead of 1"
        assert host.clock.now() == began
        assert log.names() == ["CallRefused"]
