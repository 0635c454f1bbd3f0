"""What one process learns of an upstream holds for all that share the limit."""

from __future__ import annotations

import contextlib

import anyio
import pytest

import agentperf
from agentperf import events
from agentperf.abc import AsyncStore, Stores
from agentperf.policies.rate_limited.shared.layer import JITTER
from agentperf.testing import FakeClock, fresh_host, recorded
from agentperf.testing.conformance.stores import MemoryStore


class Reply:
    """A response of some client."""

    def __init__(self, status=200, **headers):
        self.status_code = status
        self.headers = {name.replace("_", "-"): text for name, text in headers.items()}


class Refused(Exception):
    """An error of some client."""

    def __init__(self, status=429, **headers):
        super().__init__(status)
        self.response = Reply(status, **headers)


class Breaking(MemoryStore):
    """A store that can be out of order."""

    broken = False

    def decide(self, *decision):
        """Decide, unless it is broken."""
        if self.broken:
            raise ConnectionError
        return super().decide(*decision)


class Awaited(AsyncStore):
    """The same for calls that are awaited."""

    def __init__(self, store):
        self.store = store

    async def decide(self, *decision):
        """Decide after a while."""
        await anyio.lowlevel.checkpoint()
        return self.store.decide(*decision)

    async def delete(self, key):
        """Forget."""
        return self.store.delete(key)

    async def now(self):
        """Tell the time."""
        return self.store.now()


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


@pytest.fixture
def store(clock):
    """A store on that clock."""
    return Breaking(clock)


class Process:
    """One process that has a function with a shared limit."""

    def __init__(self, clock, store, *rates, **options):
        self.host = agentperf.Host(clock=clock)
        self.clock = clock
        limit = agentperf.rate_limited(*rates, **{"name": "upstream", "store": store, **options})
        self.work = limit(self.answer)

    def answer(self, outcome=None, size=1):
        """Give or raise what was asked for."""
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def __call__(self, *call):
        """Call; return how long that took."""
        began = self.clock.now()
        with agentperf.use(self.host), contextlib.suppress(Refused):
            self.work(*call)
        return self.clock.now() - began

    @property
    def limiter(self):
        """What can be asked of its limiter."""
        with agentperf.use(self.host):
            return agentperf.handle(self.work).limiter


def nearly(seconds):
    """Match a wait, with what is added to it at random."""
    return pytest.approx(seconds * (1 + JITTER / 2), rel=JITTER / 2 + 0.002)


def test_a_refusal_pauses_all_processes_and_then_they_go_slower(clock, store):
    """As long as asked, then one at a time at three quarters of the rate."""
    one, other = (Process(clock, store, "60/min") for _ in range(2))
    began = clock.now()
    one(Refused(retry_after="7"))
    assert other() == nearly(7)
    # What was added to a wait at random is not waited for again.
    assert 7 + 2 * 4 / 3 <= (one(), other(), clock.now() - began)[2] <= 7 * 1.05 + 3 * 4 / 3
    assert one.limiter.share() == other.limiter.share() == 0.75
    clock.advance(60)
    assert one.limiter.share() == 1


def test_a_pause_beyond_max_wait_is_refused_at_once(clock, store):
    """By a process that never saw the upstream say so."""
    one, other = (Process(clock, store, "60/min", max_wait=10) for _ in range(2))
    one(Refused(retry_after="30"))
    with pytest.raises(agentperf.RateLimitExceeded, match="a pause that the upstream asked") as no:
        other()
    assert no.value.retry_after == 30
    outlook = other.limiter.peek()
    assert outlook == agentperf.Outlook(False, 30.0, "a pause that the upstream asked for")


def test_a_pause_outlasts_the_life_of_records(clock, store):
    """Also where a process asks that knew nothing of it, and then nobody for long."""
    one, other = (Process(clock, store, "60/min", on_limit="raise") for _ in range(2))
    one(Refused(retry_after="3600"))
    clock.advance(1800)
    with pytest.raises(agentperf.RateLimitExceeded):
        other()
    clock.advance(1700)
    assert other.limiter.peek().wait == pytest.approx(100)
    clock.advance(100)
    assert other() == 0


def test_what_is_left_is_known_to_all(clock, store):
    """The headers of an answer; of an error; handed over."""
    one, other = (Process(clock, store, "60/min", learn="replies") for _ in range(2))
    one(Reply(x_ratelimit_remaining_requests="7"))
    assert other.limiter.remaining() == {"requests": 7}
    one(Refused(503, x_ratelimit_remaining_requests="3"))
    assert other.limiter.remaining() == {"requests": 7}
    one.limiter.learn({"x-ratelimit-remaining-requests": "2"})
    assert other.limiter.remaining() == {"requests": 2}
    one.limiter.learn({"x-ratelimit-remaining-requests": "50"})
    assert other.limiter.remaining() == {"requests": 2}


def test_nothing_is_learned_without_learn(clock, store):
    """As in memory."""
    one, other = (Process(clock, store, "60/min", learn=None) for _ in range(2))
    one(Refused(retry_after="7"))
    assert other() == 0


def test_other_keys_go_on(clock, store):
    """What one key is told is not the others' business."""
    one, other = (Process(clock, store, "60/min", by="size") for _ in range(2))
    one(Refused(retry_after="7"), "a")
    assert [other(None, "b"), other(None, "a")] == [0, nearly(7)]


def test_a_debt_is_everybodys(clock, store):
    """Who is larger than a burst waits for a full one; the others wait for what that owes."""
    limits = {"cost": "size", "oversize": "borrow", "max_wait": "1h"}
    one, other = (Process(clock, store, "10/s", **limits) for _ in range(2))
    other(None, 5)
    assert one(None, 30) == nearly(0.5)
    assert other.limiter.remaining()["requests"] == pytest.approx(-20, abs=1)
    wait = other.limiter.peek(None, 1).wait
    assert wait == pytest.approx(2.1, abs=0.2)
    assert other(None, 1) == nearly(wait)
    outlook = one.limiter.peek(None, 30)
    assert outlook.wait == pytest.approx(1.0, abs=0.2)


def test_each_change_is_told_by_who_found_out(clock, store):
    """Once, though the store knows it for all."""
    one, other = (Process(clock, store, "60/min", on_limit="raise") for _ in range(2))
    told: dict[str, list[events.Event]] = {"one": [], "other": []}
    one.host.subscribe(told["one"].append, events.LimitChanged)
    other.host.subscribe(told["other"].append, events.LimitChanged)
    one(Refused(retry_after="7"))
    with pytest.raises(agentperf.RateLimitExceeded):
        other()
    (event,) = told["one"]
    assert (event.name, event.old, event.new, event.pause) == ("upstream", 1.0, 0.75, 7.0)
    assert event.reason == "the upstream refused a call"
    assert told["other"] == []


@pytest.mark.parametrize("mode", ["local", "open"])
def test_while_the_store_fails(clock, store, mode):
    """Each process goes by what it learned itself; or, where all are let in, by nothing."""
    one = Process(clock, store, "60/min", on_store_failure=mode)
    store.broken = True
    one(Refused(retry_after="7"))
    assert one() == (nearly(7) if mode == "local" else 0)


def test_what_was_learned_before_the_store_failed_goes_on(clock, store):
    """For the process that learned it."""
    one = Process(clock, store, "60/min")
    one(Refused(retry_after="7"))
    store.broken = True
    assert one() == nearly(7)


@pytest.mark.anyio
async def test_awaited_calls_learn_by_a_task(clock, store):
    """And whoever waits is told."""
    with recorded(events.LimitChanged) as log:
        limit = agentperf.rate_limited(
            "60/min", name="upstream", store=Stores(asynchronous=Awaited(store)), max_wait=10
        )

        @limit
        async def work(error=None):
            if error is not None:
                raise error

        with contextlib.suppress(Refused):
            await work(Refused(retry_after="30"))
        limiter = agentperf.handle(work).limiter
        await anyio.wait_all_tasks_blocked()
        assert [event.pause for event in log] == [30.0]
        assert await limiter.ashare() == 0.75
        assert (await limiter.apeek()).wait == 30
        with pytest.raises(agentperf.RateLimitExceeded):
            await work()
        await limiter.alearn({"retry-after": "60"})
        assert (await limiter.apeek()).wait == 60
        with pytest.raises(agentperf.ConfigurationError, match="has to be awaited"):
            limiter.peek()


@pytest.mark.anyio
async def test_handles_of_limits_in_memory_can_be_awaited_too(clock):
    """They answer at once."""

    @agentperf.rate_limited("60/min")
    async def work():
        """Answer."""

    limiter = agentperf.handle(work).limiter
    await limiter.alearn({"retry-after": "5"})
    assert await limiter.ashare() == limiter.share() == 0.75
    assert await limiter.apeek() == limiter.peek()
    assert await limiter.aremaining() == limiter.remaining()
