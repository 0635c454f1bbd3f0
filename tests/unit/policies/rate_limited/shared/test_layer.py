"""A limiter whose rates are in a store: what it lets in, how it waits, what it does without one."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import anyio
import pytest

import agentperf
from agentperf import events
from agentperf.abc import AsyncStore, Stores
from agentperf.policies.rate_limited.shared.layer import JITTER
from agentperf.testing import FakeClock, fresh_host, recorded
from agentperf.testing.conformance.stores import MemoryStore
from agentperf.usage import Usage


class Gone(Exception):
    """The store can't be reached."""


class Watched(MemoryStore):
    """A store that counts what it is asked, and can be out of order."""

    def __init__(self, clock):
        super().__init__(clock)
        self.asked = 0
        self.broken = False

    def decide(self, *decision):
        """Decide, unless it is broken."""
        self.asked += 1
        if self.broken:
            raise Gone
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
    """Return the clock of a host of the test's own."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


@pytest.fixture
def store(clock):
    """Return a store on that clock."""
    return Watched(clock)


def limited(store, *rates, **options):
    """Decorate a function that answers what it is given."""
    options = {"name": "shared", "on_limit": "raise", **options}

    @agentperf.rate_limited(*rates, store=store, **options)
    def f(x=None, max_tokens=100):
        if isinstance(x, BaseException):
            raise x
        return x

    return f


def count(f, times):
    """Tell how many of so many calls are let in."""
    let_in = 0
    for _ in range(times):
        try:
            f()
        except agentperf.RateLimitExceeded:
            continue
        let_in += 1
    return let_in


def test_processes_share_the_rates(store, clock):
    """Each host stands for a process: together they get no more than the limit."""
    let_in = 0
    for _ in range(3):
        with fresh_host(clock):
            let_in += count(limited(store, "10/min"), 5)
    assert let_in == 10


def test_limits_of_other_names_rates_and_keys_are_their_own(store, clock):
    """Nothing is mixed up in one store."""
    assert count(limited(store, "2/min"), 3) == 2
    assert count(limited(store, "2/min", name="other"), 3) == 2
    with fresh_host(clock):
        assert count(limited(store, "3/min"), 4) == 3
    f = limited(store, "1/min", name="by", by="x")
    assert [f("a"), f("b")] == ["a", "b"]
    with pytest.raises(agentperf.RateLimitExceeded):
        f("a")


def test_a_refusal_says_what_and_when(store):
    """As it does without a store."""
    f = limited(store, ["2/s", "2/min"])
    assert count(f, 2) == 2
    with pytest.raises(agentperf.RateLimitExceeded, match=r"'shared' \(2/min requests\)") as caught:
        f()
    assert caught.value.retry_after == 30


def test_what_never_fits_is_refused(store):
    """A call larger than a burst."""
    f = limited(store, tokens="50/min", on_limit="wait")
    with pytest.raises(agentperf.RequestTooLarge, match="50/min"):
        f("text", max_tokens=1000)


def test_a_call_that_fails_gives_back(store):
    """In the store, for all."""
    f = limited(store, "1/min")
    with pytest.raises(ArithmeticError):
        f(ArithmeticError())
    assert f(1) == 1
    assert count(f, 1) == 0


def test_tokens_are_put_right(store, clock):
    """By what the answer says, for all processes; more than was taken becomes a debt."""
    f = limited(store, tokens="1000/min")
    with recorded(events.LeaseSettled) as log:
        f({"usage": {"prompt_tokens": 10, "completion_tokens": 290}}, max_tokens=500)
    assert [event.used_tokens for event in log] == [300]
    assert agentperf.handle(f).limiter.remaining() == {"tokens": 700}
    f({"usage": {"prompt_tokens": 10, "completion_tokens": 790}}, max_tokens=200)
    with fresh_host(clock):
        assert agentperf.handle(limited(store, tokens="1000/min")).limiter.remaining() == {
            "tokens": -100
        }


def test_waiting_calls_wait_as_long_as_the_store_says_and_a_little(store, clock):
    """The wait is told; only the jitter comes on top."""
    f = limited(store, "2/min", on_limit="wait")
    began = clock.now()
    with recorded(events.CallDelayed) as log:
        for _ in range(4):
            f()
    assert 60 <= clock.now() - began <= 60 * (1 + JITTER) + 0.1
    assert len(log.of(events.CallDelayed)) == 2
    assert store.asked == 6


def test_who_would_wait_too_long_is_refused_at_once(store, clock):
    """The store said how long."""
    f = limited(store, "2/min", on_limit="wait", max_wait=20)
    f(), f()
    began = clock.now()
    with pytest.raises(agentperf.RateLimitExceeded, match="max_wait is 20 s"):
        f()
    assert clock.now() == began


@pytest.mark.anyio
@pytest.mark.parametrize("awaited", [True, False])
async def test_only_the_head_of_the_queue_asks(store, clock, awaited):
    """Twenty calls that wait ask no more often than one does; they go in the order they came."""
    order = []
    place = Stores(asynchronous=Awaited(store)) if awaited else store

    @agentperf.rate_limited("1/s", store=place, name="shared", max_wait=100)
    async def f(x):
        order.append(x)

    async with anyio.create_task_group() as tasks:
        for x in range(20):
            tasks.start_soon(f, x)
            await anyio.wait_all_tasks_blocked()
        asked = store.asked
        while len(order) < 20:
            clock.advance(0.2)
            await anyio.wait_all_tasks_blocked()
    assert order == list(range(20))
    assert store.asked - asked <= 2 * 20


@pytest.mark.anyio
async def test_a_call_that_is_cancelled_leaves_the_queue(store, clock):
    """And those behind it go on."""

    @agentperf.rate_limited("1/s", store=Stores(asynchronous=Awaited(store)), name="shared")
    async def f(x):
        return x

    await f(0)
    async with anyio.create_task_group() as tasks:
        scope, done = anyio.CancelScope(), anyio.Event()

        async def waits():
            with scope:
                await f(1)

        tasks.start_soon(waits)
        await anyio.wait_all_tasks_blocked()

        async def goes_on():
            await f(2)
            done.set()

        tasks.start_soon(goes_on)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert agentperf.handle(f).limiter.waiting() == 1
        clock.advance(1.2)
        await done.wait()
    assert await agentperf.handle(f).limiter.aremaining() == {"requests": 0}


@pytest.mark.anyio
async def test_awaited_calls_put_right_by_a_task(store, clock):
    """A refund reaches the store without holding the loop up, and wakes who waits."""

    @agentperf.rate_limited("1/min", store=Stores(asynchronous=Awaited(store)), name="shared")
    async def f(gate, error):
        await gate.wait()
        if error:
            raise ArithmeticError
        return "done"

    open_gate, gate = anyio.Event(), anyio.Event()
    open_gate.set()
    answers = []

    async def fails():
        with pytest.raises(ArithmeticError):
            await f(gate, error=True)

    async def goes_after():
        answers.append(await f(open_gate, error=False))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fails)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(goes_after)
        await anyio.wait_all_tasks_blocked()
        assert answers == []
        gate.set()
    assert answers == ["done"]


def test_streams_are_settled_at_their_end(store):
    """By the usage among their items."""

    @agentperf.rate_limited(tokens="1000/min", store=store, name="shared")
    def stream(prompt, max_tokens=500):
        yield "a"
        yield {"usage": {"prompt_tokens": 10, "completion_tokens": 90}}

    answer = stream("hello")
    assert next(answer) == "a"
    left = agentperf.handle(stream).limiter.remaining()["tokens"]
    assert list(answer)
    assert left < 500
    assert agentperf.handle(stream).limiter.remaining() == {"tokens": 900}


# -- a store that is out of order


def broken(store, mode):
    """Return a limited function whose store has just failed."""
    f = limited(store, "2/min", on_store_failure=mode)
    assert f(1) == 1
    store.broken = True
    return f


def test_open_lets_everybody_in(store, clock):
    """Without a limit."""
    f = broken(store, "open")
    with recorded(events.StoreDown, events.StoreUp) as log:
        assert count(f, 9) == 9
    assert [(type(event), event.error) for event in log] == [(events.StoreDown, "Gone")]


def test_closed_lets_nobody_in(store, clock):
    """And says why."""
    f = broken(store, "closed")
    with pytest.raises(agentperf.StoreUnavailable, match="'shared' failed") as caught:
        f()
    assert isinstance(caught.value.__cause__, Gone)
    with pytest.raises(agentperf.StoreUnavailable):
        f()


def test_it_is_logged_in_one_line(store, clock, caplog):
    """What failed and how at WARNING, where from at DEBUG, and at INFO that it works again."""
    caplog.set_level("DEBUG", "agentperf")
    f = limited(store, "2/min", on_store_failure="open")
    store.broken = True
    f(), f()
    store.broken = False
    clock.advance(60)
    f()
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    failed, cause, works = (line for line in said if line[1].startswith("store."))
    assert failed[0] == "WARNING"
    assert failed[1].startswith("store.failed operation=")
    assert failed[1].endswith(" error=Gone")
    assert cause[0] == "DEBUG"
    assert works[0] == "INFO"
    assert works[1].startswith("store.works_again operation=")
    told = [bool(r.exc_info) for r in caplog.records if r.getMessage().startswith("store.")]
    assert told == [False, True, False]


def test_the_handle_has_one_kind_of_error(store, clock):
    """While the store fails, and while it is left alone for that."""
    f = limited(store, "2/min")
    store.broken = True
    limiter = agentperf.handle(f).limiter
    with pytest.raises(agentperf.BackendError, match="Gone") as first:
        limiter.remaining()
    assert isinstance(first.value.__cause__, Gone)
    with pytest.raises(agentperf.BackendError, match="left alone"):
        limiter.peek()


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["open", "closed"])
@pytest.mark.parametrize("awaited", [True, False])
async def test_all_who_wait_learn_of_an_outage_together(store, clock, mode, awaited):
    """The first that asks finds it out; what others were told before holds no more."""
    place = Stores(asynchronous=Awaited(store)) if awaited else store
    options = {"store": place, "name": "shared", "max_wait": 100, "on_store_failure": mode}
    outcomes = []

    @agentperf.rate_limited("1/s", **options)
    async def f():
        pass

    async def run():
        try:
            await f()
        except agentperf.StoreUnavailable:
            outcomes.append("closed")
        else:
            outcomes.append("open")

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        outcomes.clear()
        store.broken = True
        clock.advance(1.5)
        for _ in range(20):
            await anyio.wait_all_tasks_blocked()
        assert outcomes == [mode] * 19
        tasks.cancel_scope.cancel()


def test_local_keeps_the_limit_for_this_process(store, clock):
    """As if there were no others."""
    f = broken(store, "local")
    assert count(f, 9) == 2
    clock.advance(30)
    assert count(f, 9) == 1


def test_local_waits_as_well(store, clock):
    """In the same queue."""
    f = limited(store, "2/min", on_limit="wait")
    store.broken = True
    began = clock.now()
    for _ in range(3):
        f()
    assert 30 <= clock.now() - began <= 30 * (1 + JITTER) + 0.1


def test_one_call_pays_and_afterwards_the_store_rules_again(store, clock):
    """One call asks it each time a pause is over; each change is told once."""
    f = broken(store, "open")
    with recorded(events.StoreDown, events.StoreUp) as log:
        asked = store.asked
        assert count(f, 20) == 20
        assert store.asked == asked + 1
        store.broken = False
        clock.advance(0.6)
        assert count(f, 20) == 1
    assert [type(event) for event in log] == [events.StoreDown, events.StoreUp]


def test_what_is_owed_is_paid_when_the_store_is_back(store, clock):
    """A call that ended meanwhile is put right with the next decision."""
    f = limited(store, tokens="1000/min", on_store_failure="open")

    @agentperf.rate_limited(tokens="1000/min", store=store, on_store_failure="open", name="shared")
    def outage(x, max_tokens=500):
        store.broken = True
        f("during")
        return {"usage": {"prompt_tokens": 0, "completion_tokens": 100}}

    outage("hello")
    store.broken = False
    clock.advance(0.6)
    left = agentperf.handle(f).limiter.remaining()["tokens"]
    assert left == 900 + 10  # what 0.6 s give


def test_a_failure_that_is_ours_is_raised(clock):
    """A store that can't take the decision at all is a mistake, not an outage."""

    class Refuses(MemoryStore):
        def decide(self, *decision):
            raise agentperf.ConfigurationError("no script")

    with pytest.raises(agentperf.ConfigurationError, match="no script"):
        limited(Refuses(clock), "1/s", on_store_failure="open")()


# -- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"store": "sqlite:x"}, "needs name="),
        ({"store": "", "name": "n"}, "an address or a store"),
        ({"store": 3, "name": "n"}, "an address or a store"),
        ({"store": "sqlite:x", "name": "n", "concurrency": 3}, "one process"),
        ({"store": "data/x.db", "name": "n"}, 'did you mean store="sqlite:data/x.db"'),
        ({"store": "x.db", "name": "n"}, 'did you mean store="sqlite:x.db"'),
        ({"store": r"C:\x.db", "name": "n"}, "did you mean store="),
        ({"store": Path("x.db"), "name": "n"}, 'did you mean store="sqlite:x.db"'),
        ({"on_store_failure": "shut"}, '"local", "open" or "closed"'),
        ({"on_store_failure": "open"}, "on_store_failure='open' goes with store="),
    ],
)
def test_options_are_checked(options, message):
    """Each with what to write instead."""
    with pytest.raises(agentperf.ConfigurationError, match=message):
        agentperf.rate_limited("1/s", **options)


def test_calls_that_block_need_a_store_that_blocks(clock, store):
    """Who can't await says so at the first call."""
    f = limited(Awaited(store), "1/s")
    with pytest.raises(agentperf.ConfigurationError, match="has to be awaited"):
        f()


def test_an_unknown_store(clock):
    """Nobody offers it."""
    with pytest.raises(agentperf.PluginError):
        limited("nowhere://x", "1/s")()


def test_a_file_serves_both_colours(tmp_path):
    """By its address, in a host with real time."""
    address = f"sqlite:{tmp_path / 'limits.db'}"
    with fresh_host():
        f = limited(address, "3/hour")

        @agentperf.rate_limited("3/hour", store=address, name="shared", on_limit="raise")
        async def g():
            return 1

        assert f(1) == 1
        assert asyncio.run(g()) == 1
        assert agentperf.handle(f).limiter.remaining() == {"requests": 1}
        assert count(f, 3) == 1


def test_threads_share_one_queue(store, clock):
    """More threads than there is room get in without exceeding it."""
    f = limited(store, "5/hour")
    got = []
    threads = [threading.Thread(target=lambda: got.append(count(f, 2))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 5


def test_usage_of_a_call_inside_counts():
    """As it does without a store."""
    clock = FakeClock()
    with fresh_host(clock):
        store = MemoryStore(clock)

        @agentperf.rate_limited(tokens="1000/min", store=store, name="shared")
        def f(prompt, max_tokens=500):
            agentperf.record(Usage(input_tokens=20, output_tokens=80))
            return "text"

        f("hello")
        assert agentperf.handle(f).limiter.remaining() == {"tokens": 900}


# -- a loop for each call


def runs(kind, function, *arguments, **options):
    """Run a call on a loop of its own."""

    async def call():
        return await function(*arguments, **options)

    if kind == "trio":
        import trio

        return trio.run(call)
    if kind == "asyncio":
        return asyncio.run(call())
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    try:
        return loop.run_until_complete(call())  # it leaves its tasks where they are
    finally:
        loop.close()


def places(store):
    """Return stores of each kind."""
    awaited = Awaited(store)
    return {
        "blocking": store,
        "awaited": awaited,
        "both": Stores(sync=store, asynchronous=awaited),
    }


def awaited_by(place, *rates, **options):
    """Decorate an awaited function that answers what it is given, or raises it."""

    @agentperf.rate_limited(*rates, store=place, name="shared", on_limit="raise", **options)
    async def f(x=None, max_tokens=100):
        if isinstance(x, BaseException):
            raise x
        return x

    return f


SAID = {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}


@pytest.mark.parametrize("kind", ["asyncio", "trio", "closed"])
@pytest.mark.parametrize("place", ["blocking", "awaited", "both"])
def test_what_was_not_used_comes_back_though_the_loop_ends(store, clock, place, kind):
    """As the loop ends, or with the next decision of this process."""
    f = awaited_by(places(store)[place], tokens="1000/hour")
    for _ in range(10):
        runs(kind, f, SAID, max_tokens=900)
    limiter = agentperf.handle(f).limiter
    assert asyncio.run(limiter.aremaining())["tokens"] == 980


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
@pytest.mark.parametrize("place", ["blocking", "both"])
def test_the_last_call_of_a_program_pays_too(store, clock, place, kind):
    """Where the store can be asked without a loop."""
    f = awaited_by(places(store)[place], tokens="1000/hour")
    runs(kind, f, SAID, max_tokens=900)
    with fresh_host(clock):
        limiter = agentperf.handle(limited(store, tokens="1000/hour")).limiter
        assert limiter.remaining() == {"tokens": 998}


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
@pytest.mark.parametrize("place", ["blocking", "awaited", "both"])
def test_a_refusal_of_the_upstream_is_learned_though_the_loop_ends(store, clock, place, kind):
    """All processes pause."""
    f = awaited_by(places(store)[place], "100/s")
    with pytest.raises(Refusal):
        runs(kind, f, Refusal())
    if place == "awaited":
        with pytest.raises(agentperf.RateLimitExceeded):
            runs(kind, f)
    with fresh_host(clock), pytest.raises(agentperf.RateLimitExceeded) as caught:
        runs(kind, awaited_by(store, "100/s"))
    assert caught.value.retry_after == 30


class Refusal(Exception):
    """An upstream that asks for a pause."""

    status_code = 429

    class response:  # noqa: N801
        """What it answered."""

        status_code = 429
        headers = {"retry-after": "30"}  # noqa: RUF012


# -- calls larger than a burst


def test_a_clamped_call_takes_a_burst(store, clock):
    """It is let in at once where a burst is there, and asks for no more than that."""
    f = limited(store, tokens="1000/min", oversize="clamp")
    assert f("x", max_tokens=5000) == "x"
    with pytest.raises(agentperf.RateLimitExceeded) as caught:
        f("x", max_tokens=5000)
    assert caught.value.retry_after == 60
    assert store.asked == 2


@pytest.mark.parametrize("on_limit", ["raise", "wait"])
def test_the_store_is_not_asked_for_what_never_fits(store, on_limit):
    """The call is refused without it."""
    f = limited(store, tokens="1000/min", on_limit=on_limit)
    with pytest.raises(agentperf.RequestTooLarge, match="5001 tokens"):
        f("x", max_tokens=5000)
    assert store.asked == 0


def test_a_borrowing_call_leaves_its_debt_in_the_store(store, clock):
    """It is let in at a full burst."""
    f = limited(store, tokens="1000/min", oversize="borrow")
    assert f("x", max_tokens=5000) == "x"
    with fresh_host(clock):
        other = limited(store, tokens="1000/min", oversize="borrow")
        assert agentperf.handle(other).limiter.remaining() == {"tokens": -4001}
