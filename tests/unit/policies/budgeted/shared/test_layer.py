"""A budget in a store at work: in all colours, nested, and with a store that fails."""

from __future__ import annotations

import contextvars
import os
import threading

import anyio
import anyio.lowlevel
import pytest

import agentperf
from agentperf import BudgetExceeded, ConfigurationError, StoreUnavailable, budget, events
from agentperf.abc import AsyncStore, Stores
from agentperf.policies.budgeted.shared.account import Account
from agentperf.testing import FakeClock, fresh_host, recorded
from agentperf.testing.conformance.stores import MemoryStore


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
        self.held_up = None

    async def decide(self, *decision):
        """Decide after a while."""
        await anyio.lowlevel.checkpoint()
        if self.held_up is not None:
            await self.held_up.wait()
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


@agentperf.timed("leaf")
def leaf(tokens=10, usd=0.01):
    """Spend what is said."""
    agentperf.record(input_tokens=tokens, cost_usd=usd)


@agentperf.timed("aleaf")
async def aleaf(tokens=10):
    """The same, awaited."""
    await anyio.lowlevel.checkpoint()
    agentperf.record(input_tokens=tokens)


@agentperf.timed("items")
def items(count):
    """Give items, and spend for each."""
    for item in range(count):
        agentperf.record(input_tokens=1)
        yield item


@agentperf.timed("aitems")
async def aitems(count):
    """The same, asynchronously."""
    for item in range(count):
        agentperf.record(input_tokens=1)
        yield item


@agentperf.timed("model")
def model(prompt):
    """Answer a prompt."""
    agentperf.record(input_tokens=1)


def admitted(call, times=100):
    """Tell how many calls are let in before one is refused."""
    for done in range(times):
        try:
            call()
        except BudgetExceeded:
            return done
    return times


def elsewhere(clock, work, **options):
    """Do something in a budget of another process; return what comes of it."""

    def run():
        with fresh_host(clock), budget(name="team", **options):
            return work()

    return contextvars.Context().run(run)


# -- what is shared


def test_processes_spend_one_budget(clock, store):
    """Each host is a process; the last call of all alone goes beyond."""
    counts = []
    for _ in range(3):
        with fresh_host(clock), budget(usd=0.05, store=store, name="team") as team:
            counts.append(admitted(leaf, 2))
    assert counts == [2, 2, 1]
    assert team.shared.left() == {"usd": 0}
    assert team.shared.spent().calls == 5
    assert team.spent.cost_usd == 0.01


def test_a_refusal_says_what_is_spent_and_when_it_is_worth_asking_again(clock, store):
    """By the limit, over all processes."""
    with budget(usd=0.02, tokens=10_000, calls=50, store=store, name="team", per="1h"):
        leaf()
        clock.advance("10m")
        leaf()
        with (
            recorded(events.CallRefused) as log,
            pytest.raises(
                BudgetExceeded, match=r"'team', over all processes, of 0\.02 usd"
            ) as told,
        ):
            leaf()
    error = told.value
    assert (error.limit, error.spent, error.allowed, error.retry_after) == ("usd", 0.02, 0.02, 3000)
    assert [(event.policy, event.retry_after) for event in log] == [("budgeted", 3000)]


@pytest.mark.parametrize("limits", [{"calls": 1}, {"tokens": 10}])
def test_a_refusal_counts_in_whole_numbers(clock, store, limits):
    """Calls and tokens have no halves."""
    with budget(**limits, store=store, name="team"):
        leaf()
        with pytest.raises(BudgetExceeded) as told:
            leaf()
    assert isinstance(told.value.spent, int)
    assert isinstance(told.value.allowed, int)


def test_the_handle_has_one_kind_of_error(clock, store):
    """While the store fails, and while it is left alone for that."""
    with budget(calls=1, store=store, name="team") as team:
        store.broken = True
        with pytest.raises(agentperf.BackendError, match="Gone") as first:
            team.shared.left()
        assert isinstance(first.value.__cause__, Gone)
        with pytest.raises(agentperf.BackendError, match="left alone"):
            team.shared.reset()


def test_a_period_ends(clock, store):
    """And the budget is whole again."""
    with budget(calls=2, store=store, name="team", per="1d") as team:
        assert admitted(leaf) == 2
        clock.advance(86399)
        assert admitted(leaf) == 0
        assert team.shared.spent().renews_in == 1
        clock.advance(1)
        assert team.shared.left() == {"calls": 2}
        assert team.shared.spent().renews_in is None
        assert admitted(leaf) == 2


def test_it_is_reset(clock, store):
    """For everybody."""
    with budget(calls=2, store=store, name="team") as team:
        assert admitted(leaf) == 2
        with fresh_host(clock), budget(calls=2, store=store, name="team") as other:
            other.shared.reset()
        assert admitted(leaf) == 2
        assert team.remaining() == {"calls": 0}


@pytest.mark.parametrize("shape", ["function", "generator"])
def test_blocking_calls(store, shape):
    """A stream is settled when it ends."""
    with budget(tokens=3, calls=5, store=store, name="team") as team:
        if shape == "function":
            leaf(2)
            leaf(2)
        else:
            reading = items(3)
            assert next(reading) == 0
            assert team.shared.left() == {"tokens": 2, "calls": 4}
            assert list(reading) == [1, 2]
        assert team.shared.left()["tokens"] <= 0
        with pytest.raises(BudgetExceeded, match="tokens"):
            list(items(1))


@pytest.mark.anyio
@pytest.mark.parametrize("shape", ["function", "generator"])
@pytest.mark.parametrize("colour", ["both", "sync"])
async def test_awaited_calls(store, shape, colour):
    """Also where the store itself blocks."""
    kept = store if colour == "sync" else Stores(sync=store, asynchronous=Awaited(store))
    with budget(tokens=3, calls=5, store=kept, name="team") as team:
        if shape == "function":
            await aleaf(2)
            await aleaf(2)
        else:
            assert [item async for item in aitems(3)] == [0, 1, 2]
        with anyio.fail_after(20):
            while (await team.shared.aleft())["tokens"] > 0:
                await anyio.lowlevel.checkpoint()
        with pytest.raises(BudgetExceeded, match="tokens"):
            await aleaf()
    assert (await team.shared.aspent()).calls == (2 if shape == "function" else 1)
    await team.shared.areset()
    assert await team.shared.aleft() == {"tokens": 3, "calls": 5}


@pytest.mark.anyio
async def test_an_awaited_call_has_told_what_it_spent_when_it_returns(store):
    """A program that ends then loses nothing."""
    with budget(tokens=100, store=Stores(asynchronous=Awaited(store)), name="team"):
        await aleaf(10)
        with fresh_host(), budget(tokens=100, store=store, name="team") as other:
            assert other.shared.left() == {"tokens": 90}


def test_a_function_that_turns_out_to_be_awaited_is_one_call(store):
    """It is made again, as the asynchronous call it is."""

    @agentperf.timed("turned")
    def turned():
        return aleaf()

    async def main():
        with budget(calls=2, store=store, name="team") as team:
            await turned()
            return await team.shared.aspent()

    assert anyio.run(main).calls == 1


# -- counting once


def test_a_pipeline_around_a_leaf_counts_nothing(store):
    """However deep; it takes over its place and what was kept free for it."""

    @agentperf.timed("outer")
    def outer(prompt):
        model(prompt)

    @agentperf.timed("outermost")
    def outermost(prompt):
        outer(prompt)

    with budget(tokens=1000, calls=2, store=store, name="team") as team:
        outermost("word " * 600)
        assert team.shared.left() == {"tokens": 999, "calls": 1}
        outermost("word " * 600)
        assert team.shared.left() == {"tokens": 998, "calls": 0}


def test_the_same_budget_within_itself_counts_once(store):
    """As where an agent calls itself."""

    @agentperf.budgeted(calls=3, store=store, name="team")
    def agent(depth):
        return agent(depth - 1) if depth else leaf()

    agent(3)
    shared = agentperf.handle(agent).budget.shared
    assert shared.left() == {"calls": 2}
    assert shared.spent().tokens == 10


def test_two_shared_budgets_around_each_other(clock, store):
    """Both count; one that refuses takes nothing of the other."""
    with (
        budget(calls=5, store=store, name="company") as company,
        budget(calls=2, store=store, name="team") as team,
    ):
        assert admitted(leaf) == 2
        assert team.shared.left() == {"calls": 0}
        assert company.shared.left() == {"calls": 3}
        assert team.remaining() == {"calls": 0}


def test_a_local_budget_around_and_within(clock, store):
    """The narrowest holds, and a call that one refuses counts in none."""
    with budget(calls=4) as whole, budget(calls=10, store=store, name="firm") as team:
        with budget(calls=1, deadline="1m"):
            assert admitted(leaf) == 1
        assert admitted(leaf) == 3
        assert team.shared.left() == {"calls": 6}
        assert whole.remaining() == {"calls": 0}
    with budget(calls=4) as whole, budget(calls=7, store=store, name="team"):
        assert elsewhere(clock, lambda: admitted(leaf, 5), calls=7, store=store) == 5
        assert admitted(leaf) == 2
        assert whole.calls == 2


def test_deadlines_are_those_of_each_region(clock, store):
    """The inner one shrinks to the outer one, shared or not."""
    with budget(calls=9, deadline="10s", store=store, name="team"):
        clock.advance("6s")
        with budget(calls=9, deadline="10s") as inner:
            assert inner.remaining()["seconds"] == 4
            clock.advance("4s")
            with pytest.raises(BudgetExceeded, match="deadline"):
                leaf()


def test_what_a_call_needs_is_kept_free_while_it_runs(clock, store):
    """For its prompt, also before other processes."""

    @agentperf.timed("asking")
    def asking(prompt):
        with fresh_host(clock), budget(tokens=1000, store=store, name="team") as other:
            seen.append(other.shared.left()["tokens"])
            with pytest.raises(BudgetExceeded, match="the call needs about"):
                model(prompt)

    seen = []
    with budget(tokens=1000, store=store, name="team") as team:
        asking("word " * 600)
        assert seen[0] < 500
        assert team.shared.left() == {"tokens": 1000}
        assert team.shared.spent().held_tokens == 0


# -- cancellation


@pytest.mark.anyio
async def test_a_call_that_is_cancelled_keeps_nothing_free(store):
    """It was made, and counts; what was kept free for it is free."""

    @agentperf.timed("slow")
    async def slow(prompt):
        started.set()
        await anyio.sleep_forever()

    started = anyio.Event()
    both = Stores(sync=store, asynchronous=Awaited(store))
    with budget(tokens=1000, calls=5, store=both, name="team") as team:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(slow, "word " * 600)
            await started.wait()
            assert (await team.shared.aspent()).held_tokens > 500
            tasks.cancel_scope.cancel()
        assert await team.shared.aleft() == {"tokens": 1000, "calls": 4}


@pytest.mark.anyio
async def test_a_call_that_is_cancelled_while_it_asks_was_none(clock, store):
    """Whether the store heard of it or not."""
    awaited = Awaited(store)
    with budget(calls=5, store=Stores(sync=store, asynchronous=awaited), name="team") as team:
        await aleaf()
        awaited.held_up = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(aleaf)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        awaited.held_up = None
        assert await team.shared.aleft() == {"calls": 4}
        assert team.calls == 1


# -- without the store


def test_local_goes_on_with_what_was_known(clock, store):
    """And tells what was spent meanwhile as soon as it can."""
    with (
        recorded(events.StoreDown, events.StoreUp) as log,
        budget(calls=6, store=store, name="team") as team,
    ):
        assert elsewhere(clock, lambda: admitted(leaf, 2), calls=6, store=store) == 2
        leaf()
        store.broken = True
        assert team.remaining() == {"calls": 3}
        assert admitted(leaf) == 3
        asked = store.asked
        assert admitted(leaf) == 0
        assert store.asked == asked  # it is left alone
        store.broken = False
        clock.advance("1m")
        assert team.shared.spent().calls == 6
        assert team.shared.spent().tokens == 60
        assert log.names() == ["StoreDown", "StoreUp"]


def test_local_renews_by_itself(clock, store):
    """A period that ends meanwhile ends."""
    with budget(calls=2, store=store, name="team", per="1h") as team:
        leaf()
        clock.advance("30m")
        store.broken = True
        assert admitted(leaf) == 1
        clock.advance("30m")
        assert admitted(leaf) == 2
        store.broken = False
        clock.advance("1m")
        assert team.shared.left() == {"calls": -1}  # what was told late counts now


def test_open_lets_in_and_tells_later(clock, store):
    """Beyond the limit, if need be."""
    with budget(calls=2, store=store, name="team", on_store_failure="open") as team:
        store.broken = True
        assert admitted(leaf, 5) == 5
        store.broken = False
        clock.advance("1m")
        assert team.shared.left() == {"calls": -3}


def test_closed_refuses(clock, store):
    """With an error that says so; a call that is under way is told of later."""
    with (
        recorded(events.CallRefused) as log,
        budget(tokens=100, calls=5, store=store, name="team", on_store_failure="closed") as team,
    ):
        leaf()
        store.broken = True
        with pytest.raises(StoreUnavailable, match="'closed'") as told:
            leaf()
        assert isinstance(told.value.__cause__, Gone)
        assert [(event.policy, event.name) for event in log] == [("budgeted", "team")]
        store.broken = False
        clock.advance("1m")
        assert team.shared.left() == {"calls": 4, "tokens": 90}


def test_spending_that_could_not_be_told_goes_along_later(clock, store):
    """Nothing is lost between the end of a call and the return of the store."""

    @agentperf.timed("breaking")
    def breaking():
        store.broken = True
        agentperf.record(input_tokens=30)

    with budget(tokens=100, store=store, name="team") as team:
        breaking()
        assert team.remaining() == {"tokens": 70}
        store.broken = False
        clock.advance("1m")
        leaf(5)
        with fresh_host(clock), budget(tokens=100, store=store, name="team") as other:
            assert other.shared.left() == {"tokens": 65}


def test_a_store_that_has_to_be_awaited_can_not_serve_blocking_calls(store):
    """The error says so."""
    with budget(calls=1, store=Awaited(store), name="team") as team:
        with pytest.raises(ConfigurationError, match="has to be awaited"):
            leaf()
        with pytest.raises(ConfigurationError, match="has to be awaited"):
            team.shared.left()
        assert team.remaining() == {"calls": 1}


# -- threads and processes


def test_threads_never_exceed_it(store):
    """Calls are exact."""
    counts = []

    def work():
        with budget(calls=50, store=store, name="team"):
            counts.append(admitted(leaf))

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(work,)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_is_a_process_of_its_own(tmp_path):
    """A region that is open at a fork goes on in both."""
    with fresh_host(), budget(calls=10, store=f"sqlite:{tmp_path / 'b.db'}", name="team") as team:
        leaf()
        if not (child := os.fork()):
            try:
                leaf()
                leaf()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        leaf()
        assert team.shared.spent().calls == 4
        assert team.shared.spent().tokens == 40


# -- options and handles


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"store": ""}, "an address or a store"),
        ({"store": 7}, "an address or a store"),
        ({"store": "sqlite:x", "name": None}, "needs name="),
        ({"store": "sqlite:x", "calls": None, "deadline": 5}, "keeps usd=, tokens= or calls="),
        ({"store": "sqlite:x", "usd": 2_000_000}, "1,000,000 at most"),
        ({"store": "sqlite:x", "usd": 1e-12}, "a billionth of a dollar at least"),
        ({"store": "sqlite:x", "per": "soon"}, "per="),
        ({"store": "sqlite:x", "per": 1e-6}, "a second at least"),
        ({"per": "1d"}, "per='1d' goes with store="),
        ({"on_store_failure": "open"}, "goes with store="),
        ({"on_store_failure": "no"}, '"local", "open" or "closed"'),
    ],
)
def test_bad_options(options, message):
    """Each is named, with a good example."""
    options = {"calls": 3, "name": "team", **options}
    with pytest.raises(ConfigurationError, match=message):
        agentperf.budgeted(**options)
    with pytest.raises(ConfigurationError, match=message), budget(**options):
        pass


def test_a_name_means_one_thing(clock, store):
    """In one process; others may have other limits, as during a deployment."""
    with budget(calls=2, store=store, name="team"):
        with (
            pytest.raises(ConfigurationError, match="other options"),
            budget(calls=3, store=store, name="team"),
        ):
            pass
        leaf()
        with fresh_host(clock), budget(calls=3, store=store, name="team") as other:
            assert other.shared.left() == {"calls": 2}


def test_the_handle(clock, store):
    """It tells of all processes, and what this one spent by operation."""

    @agentperf.budgeted(usd=1, store=store, name="team", per="1d")
    def agent():
        running.extend(agentperf.handle(agent).budget.running())
        leaf()

    running = []
    agent()
    handle = agentperf.handle(agent).budget
    assert [one.name for one in running] == ["team"]
    assert handle.shared.left() == {"usd": 0.99}
    assert list(handle.shared.by_operation()) == ["leaf"]
    assert handle.shared.name == "team"
    assert repr(handle.shared) == "<shared budget 'team': 0.99 usd left>"
    assert "in a store" in repr(handle)
    handle.shared.reset()
    assert handle.shared.left() == {"usd": 1}


def test_the_handle_of_a_budget_of_each_call(clock):
    """It has those that are under way."""

    @agentperf.budgeted(calls=5)
    def agent(depth=0):
        leaf()
        seen.append([one.calls for one in agentperf.handle(agent).budget.running()])
        if depth:
            agent(depth - 1)

    seen = []
    for _ in range(100):
        agent()
    agent(1)
    assert seen[0] == [1]
    assert seen[-1] == [2, 1]
    assert agentperf.handle(agent).budget.running() == ()
    with pytest.raises(ConfigurationError, match=r"running\(\)"):
        _ = agentperf.handle(agent).budget.shared
    with budget(calls=1) as mine, pytest.raises(ConfigurationError, match="in no store"):
        _ = mine.shared
    with pytest.raises(ConfigurationError, match="not budgeted"):
        _ = agentperf.handle(leaf).budget


def test_nothing_can_be_read_from_the_key(clock, store):
    """It is a digest."""
    with budget(calls=2, store=store, name="team"):
        leaf()
    assert (
        Account(
            "team", agentperf.budgeted(calls=2, store=store, name="team").options.shared, clock.now
        ).key
        in store._records
    )
    assert not any("team" in key for key in store._records)
