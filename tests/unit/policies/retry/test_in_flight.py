"""How many of the calls under way may be made again at the same moment."""

from __future__ import annotations

import contextvars
import threading

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentperf
from agentperf._engine.attempts import Budget
from agentperf._engine.current import current_host
from agentperf._engine.pipeline import pipeline_of
from agentperf.events import HedgeSkipped, RetryGaveUp
from agentperf.policies.hedged import hedged
from agentperf.policies.retry import retry
from agentperf.testing import FakeClock, cut, fail, faulty, fresh_host, recorded


@pytest.fixture
def clock():
    """A clock that the test moves, on a fresh host."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


def budget_of(function):
    """Return the budget of a function's retries."""
    pipeline = pipeline_of(function)
    policy = agentperf.handle(function).pipeline[0]
    return policy.budget(current_host(), pipeline.target)


@given(st.lists(st.sampled_from(["call", "end", "retry", "over"]), max_size=300))
def test_never_more_than_a_share_or_ten(steps):
    """Whatever comes: an attempt is taken only within the share of the calls that are known."""
    budget, calls = Budget(0.2), []
    for step in steps:
        budget.earn()
        if step == "call":
            calls.append(budget.under_way.call())
            calls[-1].__enter__()
        elif step == "end" and calls:
            calls.pop().__exit__(None, None, None)
        elif step == "over" and budget.under_way.extra:
            budget.over()
        elif step == "retry":
            before = len(budget.under_way.extra)
            if budget.spend() is None:
                assert before < max(10, 0.2 * len(calls))
        assert len(budget.under_way.calls) == len(calls)


def test_without_a_bound_any_number_is_made():
    """As with `budget=None`."""
    budget = Budget(None)
    assert all(budget.spend() is None for _ in range(100))
    budget.over()
    budget.give_back()
    assert not budget.under_way.extra


@pytest.mark.anyio
async def test_slow_retries_do_not_pile_up():
    """Ten are made at once, or a fifth of the calls that are under way, however many earn."""

    async def call(number):
        if number in failing:
            failing.discard(number)
            raise ConnectionError
        if number >= 0:
            await waiting.wait()

    failing: set[int] = set()
    with fresh_host(), recorded(RetryGaveUp) as log:
        waiting = anyio.Event()
        work = retry(backoff=0)(call)
        budget = budget_of(work)

        async def fails(number):
            for _ in range(5):
                await work(-1)  # what works earns another retry
            failing.add(number)
            try:
                await work(number)
            except ConnectionError:
                refused.append(number)

        refused: list[int] = []
        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(fails, number)
                await anyio.wait_all_tasks_blocked()
            assert refused == [10, 11]
            assert [gave_up.reason for gave_up in log] == ["in_flight"] * 2
            assert len(budget.under_way.extra) == 10
            for number in range(100, 152):
                tasks.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
            # Those that failed once retrying was counted are known too, as calls.
            assert len(budget.under_way.calls) == 52 + 9
            for number in range(12, 16):
                tasks.start_soon(fails, number)
                await anyio.wait_all_tasks_blocked()
            assert refused == [10, 11, 15]
            waiting.set()
        assert (budget.under_way.extra, budget.under_way.calls) == ([], [])


def test_threads_are_counted_too(clock):
    """By the same lists, whichever thread it is."""

    def call(number):
        if number == 0 and not failed:
            failed.append(1)
            raise ConnectionError
        entered.release()
        assert leave.wait(20)

    failed, entered, leave = [], threading.Semaphore(0), threading.Event()
    work = retry(backoff=0)(call)
    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(work, number))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
        assert entered.acquire(timeout=20)
    flight = budget_of(work).under_way
    assert (len(flight.extra), len(flight.calls)) == (1, 3)
    leave.set()
    for thread in threads:
        thread.join()
    assert (flight.extra, flight.calls) == ([], [])


@pytest.mark.parametrize("options", [{}, {"total": "1h"}])
def test_whatever_becomes_of_them_they_end(clock, options):
    """Attempts that work, that fail again, that are given up; bounded or not."""
    work = retry(attempts=3, **options)(faulty(str, *[fail(ConnectionError)] * 2))
    assert work(1) == "1"
    broken = retry(attempts=3, **options)(faulty(str, fail(ConnectionError), repeat=True))
    with pytest.raises(ConnectionError):
        broken(1)
    assert not budget_of(work).under_way.extra
    assert not budget_of(broken).under_way.extra


@pytest.mark.anyio
async def test_one_that_is_cancelled_in_its_pause_is_over():
    """Its place is free."""

    async def call():
        raise ConnectionError

    with fresh_host(FakeClock()):
        work = retry(backoff="1h", max_backoff="1h")(call)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            await anyio.wait_all_tasks_blocked()
            assert len(budget_of(work).under_way.extra) == 1
            tasks.cancel_scope.cancel()
        assert not budget_of(work).under_way.extra


def test_streams_that_begin_anew(clock):
    """A stream is a retry until it gives its first item again."""

    def stream():
        yield from range(4)

    work = retry(restart=True)(faulty(stream, cut(2), cut(1)))
    read = list(work())
    assert read[-4:] == [0, 1, 2, 3]
    assert not budget_of(work).under_way.extra
    work = retry(resume=lambda items: None)(faulty(stream, cut(2)))
    reading = work()
    with pytest.raises(ConnectionError):
        list(reading)
    assert not budget_of(work).under_way.extra


@pytest.mark.anyio
async def test_hedges_share_it():
    """An extra attempt beside a slow one is one of those under way, also for the retries."""

    async def call(number):
        calls.append(number)
        await waiting.wait()

    calls: list[int] = []
    clock = FakeClock()
    with fresh_host(clock), recorded(HedgeSkipped) as log:
        waiting = anyio.Event()
        inner = retry()
        work = hedged(after="1s", budget=None)(inner(call))
        budget = inner.budget(current_host(), pipeline_of(work).target)
        async with anyio.create_task_group() as tasks:
            for number in range(11):
                tasks.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()
            clock.advance("1s")
            await anyio.wait_all_tasks_blocked()
            assert len(calls) == 11 + 10
            assert len(budget.under_way.extra) == 10
            assert [skipped.reason for skipped in log] == ["budget"]
            assert agentperf.handle(work).hedges.stats().refused == 1
            waiting.set()
        assert not budget.under_way.extra
        stats = agentperf.handle(work).hedges.stats()
        assert stats.hedged == 10
        assert stats.delay == 1.0
        assert not stats.resting
