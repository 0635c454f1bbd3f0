"""A bulkhead whose places are in a store: whom it lets in, how calls wait, and what gets lost."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading

import anyio
import pytest

import agentperf
from agentperf import BulkheadFull, ConfigurationError, events
from agentperf.abc import AsyncStore, Store, Stores
from agentperf.policies.bulkhead.shared.decision import LASTS, TURNS
from agentperf.policies.bulkhead.shared.places import LONGEST, TURN
from agentperf.testing import FakeClock, recorded
from agentperf.testing.conformance.stores import MemoryStore


class Gone(Exception):
    """The store can't be reached."""


class Door(Store):
    """The way of one process to the store that all have in common; it can be shut."""

    blocking = False

    def __init__(self, store):
        self.store = store
        self.asked = 0
        self.shut = False
        self.deaf = False

    def decide(self, *decision):
        """Decide, unless it is shut; deaf, the answer gets lost."""
        self.asked += 1
        if self.shut:
            raise Gone
        answer = self.store.decide(*decision)
        if self.deaf:
            raise Gone
        return answer

    def delete(self, key):
        """Forget."""
        return self.store.delete(key)

    def now(self):
        """Tell the time."""
        return self.store.now()


class Awaited(AsyncStore):
    """The same for calls that are awaited; `hold` keeps the next answer back."""

    def __init__(self, store):
        self.store = store
        self.hold = None

    async def decide(self, *decision):
        """Decide after a while."""
        await anyio.lowlevel.checkpoint()
        answer = self.store.decide(*decision)
        hold, self.hold = self.hold, None
        if hold is not None:
            await hold.wait()
        return answer

    async def delete(self, key):
        """Forget."""
        return self.store.delete(key)

    async def now(self):
        """Tell the time."""
        return self.store.now()


class Process:
    """A program with a bulkhead, on a host of its own."""

    def __init__(self, store, clock, places=2, *, awaited=False, **options):
        self.door = Door(store)
        self.host = agentperf.Host(clock=clock)
        self.awaited = Awaited(self.door)
        self.under_way, self.order = [], []
        options = {"queue": 0, "name": "shared", **options}
        options["store"] = Stores(asynchronous=self.awaited) if awaited else self.door
        self.policy = agentperf.bulkhead(places, **options)

        @self.policy
        def stream(value=1):
            yield value
            yield value

        @self.policy
        async def work(value=1):
            self.order.append(value)
            may_end = anyio.Event()
            self.under_way.append(may_end)
            await may_end.wait()
            return value

        @self.policy
        def call(value=1):
            if isinstance(value, BaseException):
                raise value
            return value() if callable(value) else value

        self.stream, self.work, self.call = stream, work, call

    def __call__(self):
        """Be this process for a while."""
        return agentperf.use(self.host)

    def takes(self, times):
        """Begin streams, as far as they are let in, and return them."""
        begun = []
        with self():
            for _ in range(times):
                with contextlib.suppress(BulkheadFull):
                    reading = self.stream()
                    next(reading)
                    begun.append(reading)
        return begun

    async def runs(self, value=1):
        """Make a call that ends when the test says so."""
        with self():
            return await self.work(value)

    async def end_one(self):
        """Let the oldest end."""
        self.under_way.pop(0).set()
        await idle()

    def stats(self):
        """Show limit, in use, waiting, rejected."""
        with self():
            found = agentperf.handle(self.call).bulkhead.stats()
        return found.limit, found.in_use, found.waiting, found.rejected

    def everywhere(self):
        """Tell how many places all processes have."""
        with self():
            return agentperf.handle(self.call).bulkhead.in_use()


async def idle():
    """Let everybody who can run do so."""
    for _ in range(30):
        await anyio.lowlevel.checkpoint()


@pytest.fixture
def clock():
    """Return the clock that the test moves."""
    return FakeClock()


@pytest.fixture
def store(clock):
    """Return the store that all processes share."""
    return MemoryStore(clock)


@pytest.fixture
def two(store, clock):
    """Return two processes with two places together, where nobody waits."""
    return Process(store, clock), Process(store, clock)


# -- who is let in


def test_processes_share_the_places(two):
    """Together they have as many as there are."""
    one, other = two
    first, second = one.takes(1), other.takes(3)
    assert (len(first), len(second)) == (1, 1)
    assert (one.stats(), other.stats()) == ((2, 1, 0, 0), (2, 1, 0, 2))
    assert one.everywhere() == other.everywhere() == 2
    assert list(first[0]) == [1]
    assert one.everywhere() == 1
    assert len(other.takes(1)) == 1


def test_a_call_is_two_questions(two):
    """One for the place, one to give it back."""
    one, _ = two
    with one():
        for _ in range(5):
            one.call()
    assert one.door.asked == 10
    assert one.everywhere() == 0


@pytest.mark.parametrize("error", [ValueError(), ConnectionError(), KeyboardInterrupt()])
def test_a_failed_call_gives_its_place_back(two, error):
    """However it failed."""
    one, other = two
    with one(), pytest.raises(type(error)):
        one.call(error)
    assert other.everywhere() == 0


def test_a_stream_has_its_place_until_it_ends(two):
    """Closed, or forgotten."""
    one, other = two
    begun = one.takes(2)
    begun[0].close()
    assert other.everywhere() == 1
    del begun[:]
    gc.collect()
    assert other.everywhere() == 0


@pytest.mark.anyio
@pytest.mark.parametrize("awaited", [True, False])
async def test_awaited_calls_and_streams(store, clock, awaited):
    """The other two shapes, over stores of both colours."""
    one, other = (Process(store, clock, awaited=awaited) for _ in range(2))

    @one.policy
    async def stream():
        yield 1
        yield 2

    with one():
        reading = stream()
        assert await anext(reading) == 1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other.runs)
        await idle()
        with pytest.raises(BulkheadFull):
            await one.runs()
        with other():
            assert await agentperf.handle(other.work).bulkhead.ain_use() == 2
        await other.end_one()
    await reading.aclose()
    await idle()
    with other():
        assert await agentperf.handle(other.work).bulkhead.ain_use() == 0


def test_processes_with_other_numbers_share_all_the_same(store, clock):
    """Each keeps to its own, as during a deployment."""
    old, new = Process(store, clock, places=2), Process(store, clock, places=3)
    assert len(begun := old.takes(3)) == 2
    assert len(new.takes(3)) == 1
    assert len(begun) == 2


def test_other_names_have_other_places(store, clock):
    """In one store."""
    one, other = Process(store, clock), Process(store, clock, name="other")
    begun = one.takes(2), other.takes(2)
    assert [len(each) for each in begun] == [2, 2]


def test_a_refusal_says_when_to_come_again(store, clock):
    """By how long calls take, once that is known."""
    one = Process(store, clock, places=1)
    (reading,) = one.takes(1)
    with one(), pytest.raises(BulkheadFull, match="1 calls are under way") as caught:
        one.call()
    assert caught.value.retry_after is None
    clock.advance(4)
    assert list(reading) == [1]
    (reading,) = one.takes(1)
    with one(), recorded(events.CallRefused) as log:
        with pytest.raises(BulkheadFull, match="perhaps in 4 s") as caught:
            one.call()
        assert [event.retry_after for event in log] == [4.0]
    assert caught.value.retry_after == 4.0


# -- waiting


@pytest.mark.anyio
@pytest.mark.parametrize("awaited", [True, False])
async def test_calls_of_one_process_wait_in_the_order_they_came(store, clock, awaited):
    """And a place that comes free is handed on without a question."""
    one = Process(store, clock, queue=None, awaited=awaited)
    async with anyio.create_task_group() as tasks:
        for value in range(20):
            tasks.start_soon(one.runs, value)
            await idle()
        assert one.stats()[1:3] == (2, 18)
        asked = one.door.asked
        for _ in range(20):
            await one.end_one()
    assert one.order == list(range(20))
    assert one.door.asked - asked <= 3
    await idle()
    assert one.stats()[1:3] == (0, 0)


@pytest.mark.anyio
async def test_only_the_head_of_the_line_asks(store, clock):
    """And less and less often."""
    one, other = (Process(store, clock, queue=None) for _ in range(2))
    begun = other.takes(2)
    async with anyio.create_task_group() as tasks:
        for value in range(50):
            tasks.start_soon(one.runs, value)
        await idle()
        asked = one.door.asked
        await clock.aadvance(10)
        assert 10 / LONGEST <= one.door.asked - asked <= 2 * 10 / LONGEST + 10
        for reading in begun:
            assert list(reading) == [1]
        await clock.aadvance(LONGEST)
        assert one.stats()[1] == 2
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_one_question_is_for_all_who_wait(store, clock):
    """A crowd gets its places with few of them."""
    one = Process(store, clock, places=30, queue=None, awaited=True)
    async with anyio.create_task_group() as tasks:
        for value in range(30):
            tasks.start_soon(one.runs, value)
        for _ in range(10):  # each one in line wakes the next
            await idle()
        assert one.stats()[1:3] == (30, 0)
        assert one.door.asked <= 3
        for _ in range(30):
            one.under_way.pop().set()


@pytest.mark.anyio
@pytest.mark.parametrize("awaited", [True, False])
async def test_a_queue_that_is_full(store, clock, awaited):
    """Of those who come at once, so many get places, so many wait, and the others are refused."""
    one, ended = Process(store, clock, queue=3, awaited=awaited), []

    async def run(value):
        try:
            ended.append(await one.runs(value))
        except BulkheadFull:
            ended.append("refused")

    async with anyio.create_task_group() as tasks:
        for value in range(9):
            tasks.start_soon(run, value)
        await idle()
        await clock.aadvance(LONGEST)
        assert ended == ["refused"] * 4
        assert one.stats() == (2, 2, 3, 4)
        await run(9)
        assert ended == ["refused"] * 5
        for _ in range(5):
            await one.end_one()
            await clock.aadvance(LONGEST)
    assert sorted(ended[5:]) == sorted(one.order)


@pytest.mark.anyio
async def test_a_process_that_never_rests_lets_others_in(store, clock):
    """It hands places on to itself for a moment only while another one waits."""
    busy, other = (Process(store, clock, places=1, queue=None) for _ in range(2))
    async with anyio.create_task_group() as tasks:
        for value in range(200):
            tasks.start_soon(busy.runs, value)
        await idle()
        tasks.start_soon(other.runs)
        await idle()
        began = clock.now()
        while not other.under_way and clock.now() - began < 60:
            if busy.under_way:
                await busy.end_one()
            await clock.aadvance(0.05)
        assert clock.now() - began <= 2 * TURN + 2 * LONGEST
        assert busy.stats()[1] == 0
        assert len(busy.order) > 10
        await other.end_one()
        await clock.aadvance(LONGEST)
        assert busy.stats()[1] == 1
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
@pytest.mark.parametrize("awaited", [True, False])
async def test_cancelled_calls_leave_nothing_behind(store, clock, awaited):
    """Neither those that wait nor those that run nor those that ask."""
    one, other = (Process(store, clock, queue=None, awaited=awaited) for _ in range(2))
    async with anyio.create_task_group() as tasks:
        for value in range(5):
            tasks.start_soon(one.runs, value)
        await idle()
        tasks.cancel_scope.cancel()
    await idle()
    assert one.stats()[1:3] == (0, 0)
    with other():
        assert await agentperf.handle(other.work).bulkhead.ain_use() == 0
    async with anyio.create_task_group() as tasks:
        for value in range(2):
            tasks.start_soon(other.runs, value)
        await idle()
        assert other.stats()[1] == 2
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_cancelled_while_the_store_answers(store, clock):
    """What it granted is given back, and the next in line goes on."""
    one = Process(store, clock, places=1, queue=None, awaited=True)
    one.awaited.hold = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.runs, "cancelled")
        await idle()
        tasks.cancel_scope.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.runs, "next")
        await idle()
        await clock.aadvance(LONGEST)
        assert one.order == ["next"]
        await one.end_one()
    await idle()
    with one():
        assert await agentperf.handle(one.work).bulkhead.ain_use() == 0


def test_blocking_calls_wait(store, clock):
    """They sleep between their questions."""
    one, other = (Process(store, clock, places=1, queue=None) for _ in range(2))
    (reading,) = other.takes(1)
    clock.alarm(3.0, lambda: list(reading), blocking=False)
    with one(), recorded(events.CallDelayed) as log:
        assert one.call("late") == "late"
        assert [event.policy for event in log] == ["bulkhead"]
    assert 3.0 <= clock.now() - 1_000_000 <= 3.0 + LONGEST


def test_threads_wait_for_each_other():
    """Two processes, some threads, real time: never more than two at once."""
    store = MemoryStore()
    processes = [Process(store, None, queue=None) for _ in range(2)]
    inside, most, lock = [], [], threading.Lock()

    def work():
        with lock:
            inside.append(1)
            most.append(len(inside))
        with lock:
            inside.pop()

    def many(process):
        with process():
            for _ in range(30):
                process.call(work)

    threads = [threading.Thread(target=many, args=(one,)) for one in processes for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) == 180
    assert max(most) <= 2
    assert [process.stats()[1:3] for process in processes] == [(0, 0)] * 2


def test_a_synchronous_call_does_not_hold_up_a_loop(store, clock):
    """Who has the place may need that loop to give it back."""
    one = Process(store, clock, places=1, queue=None)

    async def main():
        with one():
            assert one.call() == 1
            task = asyncio.ensure_future(one.work())
            await idle()
            with pytest.raises(BulkheadFull, match="event loop"):
                one.call()
            one.under_way[0].set()
            await task

    asyncio.run(main())
    assert one.stats() == (1, 0, 0, 1)


def test_a_loop_that_ends_leaves_no_places_behind(store, clock):
    """What its last tasks had to tell the store is told."""
    one = Process(store, clock, queue=None)

    async def main():
        with one():
            one.under_way = _Open()
            await one.work()

    asyncio.run(main())
    assert one.everywhere() == 0


class _Open(list):
    """Lets every call end at once."""

    def append(self, event):
        event.set()


# -- leases


def holding(store, clock, awaited):
    """Return a process that is at work, and another one."""
    return (Process(store, clock, places=1, awaited=awaited) for _ in range(2))


@pytest.mark.anyio
@pytest.mark.parametrize("awaited", [True, False])
async def test_places_are_kept_while_a_process_works(store, clock, awaited):
    """It says so three times in a lease."""
    one, other = holding(store, clock, awaited)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.runs)
        await idle()
        asked = one.door.asked
        for _ in range(20):
            await clock.aadvance(LASTS / TURNS)
            with pytest.raises(BulkheadFull):
                await other.runs()
        assert 10 <= one.door.asked - asked <= 21
        await one.end_one()
    await clock.aadvance(LASTS)
    asked = one.door.asked
    await clock.aadvance(10 * LASTS)
    assert one.door.asked == asked


@pytest.mark.anyio
async def test_a_question_that_is_held_up_ends_no_lease(store, clock):
    """As by a loop that is busy: what has a place keeps it."""
    one, other = holding(store, clock, awaited=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.runs, "works")
        await idle()
        hold = one.awaited.hold = anyio.Event()

        async def refused():
            with pytest.raises(BulkheadFull):
                await one.runs("asks")

        tasks.start_soon(refused)
        await idle()
        for _ in range(10):
            await clock.aadvance(LASTS / TURNS)
        with pytest.raises(BulkheadFull):
            await other.runs()
        hold.set()
        await idle()
        await one.end_one()


def test_a_blocking_call_keeps_its_place(store, clock):
    """A thread renews it."""
    one, other = Process(store, clock, places=1), Process(store, clock, places=1)
    with one():
        assert one.call(lambda: (clock.advance(10 * LASTS), len(other.takes(1)))[1]) == 0
    assert len(other.takes(1)) == 1


def test_places_of_a_process_that_is_gone_come_back(two, clock):
    """After the time of a lease."""
    one, other = two
    begun = one.takes(2)
    one.door.shut = True  # it is dead
    clock.advance(LASTS)
    assert len(other.takes(1)) == 0
    clock.advance(0.01)
    assert len(other.takes(2)) == 2
    assert len(begun) == 2


def test_a_process_that_stood_still_is_counted_again(two, clock):
    """Others took its places: nobody gets one before there is room again, and none is lost."""
    one, other = two
    mine = one.takes(2)
    one.door.shut = True
    clock.advance(LASTS + 1)
    theirs = other.takes(2)
    one.door.shut = False
    clock.advance(LASTS)  # it renews, and has four of two together
    assert other.everywhere() == 4
    assert list(theirs.pop()) == [1]
    assert len(other.takes(1)) == 0
    for reading in mine:
        assert list(reading) == [1]
    assert other.everywhere() == 1
    assert len(one.takes(2)) == 1


def test_a_release_of_what_lapsed_takes_nothing_from_others(two, clock):
    """The others have their places as before."""
    one, other = two
    mine = one.takes(2)
    one.door.shut = True
    clock.advance(LASTS + 1)
    theirs = other.takes(2)
    for reading in mine:
        reading.close()
    one.door.shut = False
    clock.advance(LASTS)
    assert other.everywhere() == len(theirs) == 2
    assert len(one.takes(1)) == 0


def test_an_answer_that_got_lost(two, clock):
    """What the store granted meanwhile comes back as soon as it can be told."""
    one, other = two
    one.door.deaf = True
    with one():
        one.call()  # the store may count two places by now
    one.door.deaf = False
    clock.advance(LASTS / TURNS)
    assert other.everywhere() == 0
    assert len(other.takes(2)) == 2


# -- a store that is out of order


def failing(store, clock, mode, **options):
    """Return a process whose store has just gone, and another one."""
    one, other = (Process(store, clock, on_store_failure=mode, **options) for _ in range(2))
    one.door.shut = True
    return one, other


def test_open_lets_everybody_in(store, clock):
    """Without a limit; and when the store is back it knows of them."""
    one, other = failing(store, clock, "open")
    with one(), recorded(events.StoreDown, events.StoreUp) as log:
        begun = one.takes(5)
        assert len(begun) == 5
        assert [event.error for event in log] == ["Gone"]
        one.door.shut = False
        clock.advance(LASTS / TURNS)
        assert log.names() == ["StoreDown", "StoreUp"]
    assert other.everywhere() == 5
    assert len(other.takes(1)) == 0
    for reading in begun:
        reading.close()
    assert other.everywhere() == 0


def test_closed_lets_nobody_in(store, clock):
    """And says why."""
    one, _ = failing(store, clock, "closed")
    with one():
        with pytest.raises(agentperf.StoreUnavailable, match="'shared' failed") as caught:
            one.call()
        assert isinstance(caught.value.__cause__, Gone)
    assert one.stats() == (2, 0, 0, 0)


def test_local_keeps_the_limit_for_this_process(store, clock):
    """As if there were no others; what is taken meanwhile is told when the store is back."""
    one, other = failing(store, clock, "local")
    theirs = other.takes(1)
    mine = one.takes(5)
    assert len(mine) == 2
    mine.pop().close()
    mine += one.takes(2)
    assert len(mine) == 2
    one.door.shut = False
    clock.advance(LASTS / TURNS)
    assert other.everywhere() == 3
    theirs.pop().close()
    assert len(other.takes(1)) == 0
    mine.pop().close()
    assert len(other.takes(1)) == 1
    assert len(theirs) == 0


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["open", "closed"])
async def test_all_who_wait_learn_of_an_outage_together(store, clock, mode):
    """The first that asks finds it out; the others don't wait for their own questions."""
    one, other = (Process(store, clock, queue=None, on_store_failure=mode) for _ in range(2))
    begun, refused = other.takes(2), []

    async def run(value):
        try:
            await one.runs(value)
        except agentperf.StoreUnavailable:
            refused.append(value)

    async with anyio.create_task_group() as tasks:
        for value in range(20):
            tasks.start_soon(run, value)
            await idle()
        one.door.shut = True
        await clock.aadvance(LONGEST)
        await idle()
        assert (one.order if mode == "open" else refused) == list(range(20))
        for may_end in one.under_way:
            may_end.set()
    assert [list(reading) for reading in begun] == [[1], [1]]


@pytest.mark.anyio
async def test_local_waits_as_well(store, clock):
    """In the same line, in the same order; those who don't fit the queue are refused."""
    one, _ = failing(store, clock, "local", queue=2)
    refused = []

    async def run(value):
        try:
            await one.runs(value)
        except BulkheadFull:
            refused.append(value)

    async with anyio.create_task_group() as tasks:
        for value in range(6):
            tasks.start_soon(run, value)
            await idle()
        assert (one.order, refused) == ([0, 1], [4, 5])
        for _ in range(4):
            await one.end_one()
    assert one.order == [0, 1, 2, 3]
    assert one.stats()[1:3] == (0, 0)


def test_one_call_pays_and_afterwards_the_store_rules_again(store, clock):
    """One call asks it each time a pause is over."""
    one, other = failing(store, clock, "open")
    theirs = other.takes(2)
    with one():
        for _ in range(20):
            assert one.call() == 1
        assert one.door.asked == 1
        one.door.shut = False
        clock.advance(0.6)
        with pytest.raises(BulkheadFull):
            one.call()
    assert len(theirs) == 2


def test_a_failure_that_is_ours_is_raised(clock):
    """A store that can't take the decision at all is a mistake, not an outage."""

    class Refuses(MemoryStore):
        def decide(self, *decision):
            raise ConfigurationError("no script")

    one = Process(Refuses(clock), clock, on_store_failure="open")
    with one(), pytest.raises(ConfigurationError, match="no script"):
        one.call()
    assert one.stats() == (2, 0, 0, 0)


# -- together with by= and priority=


def test_each_value_has_its_own_places(store, clock):
    """For all processes; what is told of it is a digest."""
    one, other = (Process(store, clock, places=1, by="value") for _ in range(2))
    with one():
        first = one.stream("tea")
        next(first)
        second = one.stream("milk")
        next(second)
    with other():
        with pytest.raises(BulkheadFull, match=r"of the key [0-9a-f]{12}") as caught:
            other.call("tea")
        assert caught.value.key
        assert "tea" not in str(caught.value)
        bulkhead = agentperf.handle(other.call).bulkhead
        assert bulkhead.in_use("tea") == bulkhead.in_use("milk") == 1
        assert bulkhead.in_use("wine") == 0


@pytest.mark.anyio
async def test_the_urgent_go_first(store, clock):
    """Of those who wait in one process."""
    one = Process(store, clock, places=1, queue=None, priority="value")
    async with anyio.create_task_group() as tasks:
        for value in (0, 0, 1, 5, -3):
            tasks.start_soon(one.runs, value)
            await idle()
        for _ in range(5):
            await one.end_one()
            await clock.aadvance(LONGEST)
    assert one.order == [0, 5, 1, 0, -3]


# -- options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": None}, "store= needs name=, which all processes know the places by"),
        ({"store": 3}, "store=3: an address or a store"),
        ({"store": ""}, "store=''"),
        ({"on_store_failure": "shut"}, "on_store_failure='shut'"),
        ({"on_store_failure": "open", "store": None}, "on_store_failure='open' goes with store="),
        ({"adaptive": True}, r"adaptive= doesn't go with store="),
        ({"adaptive": (1, 9)}, r"adaptive= doesn't go with store="),
    ],
)
def test_bad_options_are_refused_before_any_call(options, said):
    """The error shows how to write it."""
    with pytest.raises(ConfigurationError, match=said):
        agentperf.bulkhead(8, **{"store": "sqlite:x.db", "name": "shared", **options})


def test_a_store_that_has_to_be_awaited_is_not_for_blocking_calls(store, clock):
    """The error says what to give."""
    one = Process(store, clock, awaited=True)
    with one(), pytest.raises(ConfigurationError, match="make the function async def"):
        one.call()


def test_the_same_name_with_other_options(store, clock):
    """Is refused in one process."""
    one = Process(store, clock)
    with one():
        one.call()
        with pytest.raises(ConfigurationError, match="in use with other options"):
            agentperf.bulkhead(3, store=one.door, name="shared")(lambda: 1)()
