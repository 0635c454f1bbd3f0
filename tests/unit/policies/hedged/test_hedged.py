"""Hedging, as its users meet it."""

from __future__ import annotations

import functools
import threading

import anyio
import anyio.lowlevel
import pytest

import agentperf
from agentperf import ConfigurationError, budget, hedged, retry, timed
from agentperf.events import HedgeEnded, HedgeSkipped, HedgeStarted
from agentperf.testing import FakeClock, fresh_host, recorded

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock():
    """A clock that jumps ahead whenever everybody waits."""
    clock = FakeClock(autojump=True)
    with fresh_host(clock):
        yield clock


class Upstream:
    """Answers each call after its own time, or fails then; knows who was cancelled."""

    def __init__(self, clock: FakeClock, *plan: float | tuple[float, Exception]) -> None:
        self._clock = clock
        self._plan = iter(plan)
        self.begun = 0
        self.cancelled: list[int] = []
        self.running = 0

    async def __call__(self, value: object = None) -> int:
        """Take the next step of the plan."""
        self.begun += 1
        number = self.begun
        step = next(self._plan)
        seconds, error = step if isinstance(step, tuple) else (step, None)
        self.running += 1
        try:
            await wait(self._clock, seconds)
        except BaseException:
            self.cancelled.append(number)
            raise
        finally:
            self.running -= 1
        if error is not None:
            raise error
        return number


async def wait(clock: FakeClock, seconds: float) -> None:
    """Let time pass, on the clock."""
    from agentperf._engine.loops import LoopWaiting

    await LoopWaiting(clock).sleep(seconds)


def around(upstream: Upstream, *policies):
    """Decorate a function that calls the upstream."""

    async def call(value: object = None) -> int:
        return await upstream(value)

    return agentperf.stack(*policies)(call)


async def test_a_slow_attempt_gets_a_second_one(clock):
    """Which wins; the first is cancelled and has ended by then."""
    upstream = Upstream(clock, 10, 1)
    call = around(upstream, hedged("300ms"))
    began = clock.now()
    with recorded(HedgeStarted, HedgeEnded) as log:
        assert await call() == 2
    assert clock.now() - began == pytest.approx(1.3)
    assert (upstream.cancelled, upstream.running) == ([1], 0)
    started, ended = log
    assert (started.attempt, started.after) == (2, pytest.approx(0.3))
    assert (ended.attempt, ended.attempts, ended.seconds) == (2, 2, pytest.approx(1.3))


async def test_a_fast_attempt_stays_alone(clock):
    """Nothing is begun beside it."""
    upstream = Upstream(clock, 0.2)
    call = around(upstream, hedged("300ms"))
    with recorded(HedgeStarted, HedgeEnded) as log:
        assert await call() == 1
    assert (upstream.begun, log) == (1, [])


async def test_the_first_may_win_after_all(clock):
    """Then the other one is cancelled, and nothing was saved."""
    upstream = Upstream(clock, 1, 5)
    call = around(upstream, hedged(0.5))
    with recorded(HedgeEnded) as log:
        assert await call() == 1
    assert upstream.cancelled == [2]
    assert (log[0].attempt, log[0].saved) == (1, 0.0)


async def test_more_than_one_beside_it(clock):
    """Each so much later than the one before, and no more than so many."""
    upstream = Upstream(clock, 9, 9, 9, 9, 9)
    call = around(upstream, hedged(1, extra=3))
    with recorded(HedgeStarted) as log:
        assert await call() == 1
    assert [event.after for event in log] == [1, 2, 3]
    assert sorted(upstream.cancelled) == [2, 3, 4]


async def test_the_quantile_of_recent_successes(clock):
    """Nothing is hedged before there are twenty; then what is slower than nineteen of them."""
    usual = [1.0] * 19 + [3.0]
    upstream = Upstream(clock, *usual, 9, 0.5)
    call = around(upstream, hedged("p95"))
    with recorded(HedgeStarted, HedgeEnded) as log:
        for number in range(20):
            assert await call() == number + 1
        assert log == []
        assert await call() == 22
    started, ended = log
    assert started.after == pytest.approx(1.0)
    assert ended.saved == pytest.approx(1.5)  # the one that took 3 s, beside 1.5 s


async def test_one_failure_is_not_the_end(clock):
    """The other attempt goes on, whichever of the two fails."""
    for plan in ([(2, OSError("first")), 3], [3, (1, OSError("second"))]):
        call = around(Upstream(clock, *plan), hedged(0.5))
        assert await call() in (1, 2)


async def test_when_all_fail_the_first_error_is_raised(clock):
    """As it is, with the others as notes."""
    error = OSError("first")
    call = around(Upstream(clock, (2, error), (1, OSError("second"))), hedged(0.5))
    with recorded(HedgeEnded) as log, pytest.raises(OSError, match="first") as caught:
        await call()
    assert caught.value is error
    assert error.__notes__ == ["attempt 2 failed too: OSError: second"]
    assert log[0].attempt is None


async def test_a_failure_before_it_is_slow_is_raised_at_once(clock):
    """Trying again is what retries are for."""
    upstream = Upstream(clock, (0.1, OSError("lost")))
    began = clock.now()
    with pytest.raises(OSError, match="lost"):
        await around(upstream, hedged(0.5))()
    assert (upstream.begun, clock.now() - began) == (1, pytest.approx(0.1))


async def test_a_wrong_request_ends_it_at_once(clock):
    """Nobody waits for the other attempt to fail in the same way."""
    upstream = Upstream(clock, (1, TypeError("wrong")), 50)
    began = clock.now()
    with pytest.raises(TypeError, match="wrong"):
        await around(upstream, hedged(0.5))()
    assert (upstream.cancelled, clock.now() - began) == ([2], 1)


async def test_a_cancelled_call_takes_its_attempts_along(clock):
    """Both have ended when the caller goes on; nothing is learnt from it."""
    upstream = Upstream(clock, 50, 50)
    call = around(upstream, hedged(0.5))
    with recorded(HedgeEnded) as log:
        async with anyio.create_task_group() as group:
            group.start_soon(call)
            while upstream.begun < 2:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
    assert (sorted(upstream.cancelled), upstream.running, log) == ([1, 2], 0, [])


async def test_permits_of_the_loser_come_back(clock):
    """What stands further in settles as for any cancelled call."""
    call = around(
        Upstream(clock, 10, 1, 1),
        hedged(0.5),
        agentperf.rate_limited("9/min", concurrency=2),
        agentperf.circuit_breaker(window=4, minimum_calls=1),
    )
    await call()
    handle = agentperf.handle(call)
    assert handle.limiter.remaining()["concurrency"] == 2
    assert handle.breaker.tally().failures == 0
    assert await call() == 3


async def test_the_loser_is_accounted_for(clock):
    """What it spent until then is spent, and it is an attempt of the one call."""
    upstream = Upstream(clock, 10, 1)

    @timed("paid")
    @hedged(0.5)
    async def call():
        agentperf.record(input_tokens=7)
        return await upstream()

    with budget(calls=9) as mine:
        assert await call() == 2
    assert (mine.calls, upstream.cancelled) == (2, [1])
    assert agentperf.stats()["paid"].usage.input_tokens == 14
    assert agentperf.stats()["paid"].calls == 1


async def test_a_hedge_that_is_refused_leaves_the_first_alone(clock):
    """By a limit, a breaker or a budget."""
    upstream = Upstream(clock, 3, 3)
    call = around(upstream, hedged(0.5))
    with budget(calls=1) as mine:
        assert await call() == 1
    assert (upstream.begun, mine.calls) == (1, 1)
    with budget(calls=2) as mine:
        upstream = Upstream(clock, 3, 3)
        assert await around(upstream, hedged(0.5))() == 1
    assert (upstream.begun, mine.calls) == (2, 2)


async def test_two_that_succeed_in_one_moment(clock):
    """One of them wins, and a stream of the other is closed."""
    words, closed = slow_words(clock, 1.0, 0.5)
    stream = hedged(0.5)(words)()
    first = await anext(stream)
    assert first in ("1a", "2a")
    assert len(closed) == 1
    assert str(closed[0]) != first[0]
    await stream.aclose()
    assert len(closed) == 2


async def test_the_clock_on_the_wall_will_do():
    """A timer of the event loop, where no test moves time."""
    release = anyio.Event()
    begun = []

    @hedged("1ms", budget=None)
    async def work():
        begun.append(1)
        if len(begun) == 1:
            await release.wait()
        return len(begun)

    with fresh_host():
        assert await work() == 2


# -- attempts that wait for a place ----------------------------------------------------------------


@pytest.mark.parametrize(
    "limit",
    [agentperf.bulkhead(1), agentperf.rate_limited("1000/min", concurrency=1)],
    ids=["bulkhead", "rate_limited"],
)
async def test_a_hedge_behind_its_own_first_attempt_is_not_made(clock, limit):
    """The place that the first one gives back is no use to it any more."""
    upstream = Upstream(clock, 1, 1, 1)
    call = around(upstream, hedged(0.1, extra=2), limit)
    with budget() as mine:
        assert await call() == 1
        assert await call() == 2  # and nobody has kept the place
    assert (upstream.begun, mine.calls) == (2, 2)


async def test_a_first_attempt_behind_its_hedge_is_not_made_again(clock):
    """It failed, and waits for the place that the hedge has when that one wins."""
    upstream = Upstream(clock, (1, OSError("gone")), 5, 1)
    call = around(upstream, hedged(0.5), retry(backoff=0), agentperf.bulkhead(1))
    with budget() as mine:
        assert await call() == 2
    assert (upstream.begun, mine.calls) == (2, 2)


async def test_cancellation_makes_no_attempt_that_waited(clock):
    """The places of those that are cancelled go to nobody of the same call."""
    upstream = Upstream(clock, 9, 9, 9, 9)
    call = around(upstream, hedged(0.1, extra=3), agentperf.bulkhead(2))
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await wait(clock, 1)
            scope.cancel()
    assert (upstream.begun, upstream.running) == (2, 0)
    assert agentperf.handle(call).hedges.stats().hedged == 0


async def test_hedges_that_are_refused_do_not_count(clock):
    """They neither won nor lost, so hedging doesn't rest because of them."""
    upstream = Upstream(clock, *[1.0] * 30)
    call = around(upstream, hedged(0.5, budget=None), agentperf.bulkhead(1, queue=0))
    with recorded(HedgeEnded, HedgeSkipped) as log:
        for _ in range(25):
            await call()
    stats = agentperf.handle(call).hedges.stats()
    assert (stats.hedged, stats.resting, log) == (0, False, [])


async def test_a_call_whose_hedge_was_refused_may_be_cancelled(clock):
    """That counts neither."""
    upstream = Upstream(clock, 9)
    call = around(upstream, hedged(0.5, budget=None), agentperf.bulkhead(1, queue=0))
    with recorded(HedgeEnded) as log, pytest.raises(agentperf.CallTimeout):
        await agentperf.timeout("2s")(call)()
    assert (agentperf.handle(call).hedges.stats().hedged, log) == (0, [])


# -- budgets and rest -------------------------------------------------------------------------


async def test_the_budget_bounds_hedges(clock):
    """Ten are at hand; then one for every ten calls that work."""
    upstream = Upstream(clock, *[1.0] * 1000)
    call = around(upstream, hedged(0.5))
    with recorded(HedgeStarted, HedgeSkipped) as log:
        for _ in range(15):
            await call()
    # Every call works, and earns a tenth: 10 + 1.4 by the last one.
    assert len(log.of(HedgeStarted)) == 11
    assert {event.reason for event in log.of(HedgeSkipped)} == {"budget"}


async def test_retries_and_hedges_share_a_budget(clock):
    """What the retries have used up can't be hedged with."""
    failing = [(0.1, ConnectionError())] * 21
    upstream = Upstream(clock, *failing, *[1.0] * 20)
    call = around(upstream, hedged(0.5, budget=None), retry(backoff=0, attempts=2))
    for _ in range(11):
        with pytest.raises(ConnectionError):
            await call()
    with recorded(HedgeStarted, HedgeSkipped) as log:
        await call()
    assert [type(event) for event in log] == [HedgeSkipped]


async def test_hedges_use_up_what_the_retries_have(clock):
    """Of the ten extra attempts at hand, hedges took all."""
    slow = [1.0] * 20
    upstream = Upstream(clock, *slow, (0.1, ConnectionError()), 0.1)
    call = around(upstream, hedged(0.5, budget=None), retry(backoff=0, budget=0.01))
    for _ in range(10):
        await call()
    assert upstream.begun == 20
    with pytest.raises(ConnectionError):
        await call()
    assert upstream.begun == 21


async def test_no_budget_no_hedge(clock):
    """Zero is a share too."""
    upstream = Upstream(clock, 3)
    assert await around(upstream, hedged(0.5, budget=0))() == 1
    assert upstream.begun == 1


async def test_hedges_that_win_too_seldom_rest(clock):
    """When the whole upstream is slow, more requests don't help it."""
    upstream = Upstream(clock, *[1.0] * 1000)
    call = around(upstream, hedged(0.5, budget=None))
    with recorded(HedgeStarted, HedgeSkipped) as log:
        for _ in range(20):
            await call()
        assert [event.reason for event in log.of(HedgeSkipped)] == ["seldom"]
        for _ in range(5):
            await call()
        assert len(log.of(HedgeStarted)) == 20
        clock.advance(30)
        await call()
        assert len(log.of(HedgeStarted)) == 21


# -- streams ----------------------------------------------------------------------------------


def slow_words(clock, *plan):
    """Make a stream whose calls take so long to their first item; and the list of those closed."""
    times, closed = iter(plan), []
    numbers = iter(range(1, 99))

    async def words():
        number = next(numbers)
        try:
            await wait(clock, next(times))
            yield f"{number}a"
            await wait(clock, 5)
            yield f"{number}b"
        finally:
            closed.append(number)

    return words, closed


async def test_a_stream_is_hedged_up_to_its_first_item(clock):
    """The loser is closed, and the winner is read to its end at its own pace."""
    words, closed = slow_words(clock, 9, 1)
    stream = timed("words")(hedged(0.5)(words))()
    got = []
    async for item in stream:
        got.append(item)
        if len(got) == 1:
            assert closed == [1]
    assert got == ["2a", "2b"]
    assert closed == [1, 2]
    assert agentperf.stats()["words"].completed == 1


async def test_a_stream_that_is_fast_is_not(clock):
    """However long the items after the first one take."""
    words, closed = slow_words(clock, 0.1)
    assert [item async for item in hedged(0.5)(words)()] == ["1a", "1b"]
    assert closed == [1]


async def test_an_empty_stream_wins_too(clock):
    """That there is nothing is an answer."""

    @hedged(0.5)
    async def nothing():
        return
        yield

    assert [item async for item in nothing()] == []


# -- where it runs ----------------------------------------------------------------------------


async def test_the_first_attempt_runs_in_the_callers_task(clock):
    """What it sets in the context is still there."""
    import contextvars

    seen = contextvars.ContextVar("seen", default=0)

    @hedged(0.5)
    async def work():
        seen.set(1)

    await work()
    assert seen.get() == 1


def test_several_event_loops_share_what_is_known():
    """Real time, no hedge: only the counting is shared."""
    calls = []

    @hedged("p95")
    async def work():
        calls.append(await anyio.lowlevel.checkpoint())

    async def many():
        for _ in range(30):
            await work()

    with fresh_host():
        import contextvars

        threads = [
            threading.Thread(target=contextvars.copy_context().run, args=(anyio.run, many))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(calls) >= 90


async def test_turned_off_it_does_nothing(clock):
    """By the host, by the decorator."""
    upstream = Upstream(clock, 3, 3)
    assert await around(upstream, hedged(0.1, enabled=False))() == 1
    with fresh_host(clock, enabled=False):
        assert await around(upstream, hedged(0.1))() == 2


async def test_methods_and_bare_use(clock):
    """As every decorator."""

    class Client:
        @hedged
        async def ask(self, text: str) -> str:
            return text.upper()

    assert await Client().ask("a") == "A"


# -- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [lambda: 1, functools.partial(lambda: 1), (lambda: (yield))],
    ids=["function", "partial", "generator"],
)
def test_synchronous_functions_are_refused(function):
    """A loser can't be stopped there."""
    with pytest.raises(ConfigurationError, match="can't be stopped"):
        hedged("300ms")(function)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"after": "p0"}, 'after="p95"'),
        ({"after": "p100"}, 'after="p95"'),
        ({"after": "soon"}, "after='soon'"),
        ({"after": -1}, "after=-1"),
        ({"after": 0}, "more than zero"),
        ({"extra": 0}, "extra=1"),
        ({"extra": 11}, "10 at most"),
        ({"budget": 2}, r"budget=0\.1"),
        ({"exta": 2}, "did you mean extra=2"),
    ],
)
def test_bad_input(options, message):
    """Names the option and shows a good example."""
    with pytest.raises(ConfigurationError, match=message):
        hedged(**options)


def test_harmful_orders_are_told():
    """With the fix."""

    async def call():
        pass

    for outer, inner in [
        (agentperf.rate_limited("9/s"), hedged()),
        (agentperf.bulkhead(3), hedged()),
        (agentperf.circuit_breaker(), hedged()),
        (hedged(), agentperf.cached()),
    ]:
        with pytest.warns(agentperf.OrderWarning, match="Write @"):
            agentperf.stack(outer, inner)(call)
