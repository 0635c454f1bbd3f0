"""Some of those who wait go first, and nobody waits for ever."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentperf
from agentperf import ConfigurationError, bulkhead, rate_limited
from agentperf._engine.places import Line
from agentperf.testing import FakeClock, fresh_host
from agentperf.testing.conformance.stores import MemoryStore


async def served(arrivals, **options):
    """Let calls `(pause, size, urgency)` come one after the other; return who was served when."""
    clock = FakeClock()
    with fresh_host(clock):
        order, began = [], clock.now()
        options = {"max_wait": "1d", "cost": "size", "priority": "urgency", **options}

        @rate_limited("1/s", burst=5, **options)
        async def work(number: int, size: int, urgency: float) -> None:
            order.append((number, round(clock.now() - began, 6)))

        await work(-1, 5, 0)
        order.clear()
        async with anyio.create_task_group() as tasks:
            for number, (pause, size, urgency) in enumerate(arrivals):
                await clock.aadvance(pause)
                tasks.start_soon(work, number, size, urgency)
                await clock.aadvance(0)
            for _ in range(sum(size for _, size, _ in arrivals)):
                await clock.aadvance(1)
        return order


@pytest.mark.anyio
async def test_the_urgent_go_first_and_equals_in_their_order():
    """Whoever came first among those of one priority."""
    calls = [(0, 1, urgency) for urgency in (0, 0, -1, 2, 2, 0)]
    assert [number for number, _ in await served(calls)] == [3, 4, 0, 1, 5, 2]


@pytest.mark.anyio
async def test_a_large_call_of_no_importance_is_served_all_the_same():
    """Urgent calls that use all there is come for a minute; it waits ten seconds and its own."""
    calls = [(0, 5, 0), *((1, 1, 1) for _ in range(60))]
    when = dict(await served(calls))
    assert when[0] <= 10 + 5 + 1
    assert len(when) == 61


@pytest.mark.anyio
async def test_a_callable_decides():
    """From the arguments of the call."""
    calls = [(0, 3, 0), (0, 1, 0), (0, 2, 0)]
    order = await served(calls, priority=lambda number, size, urgency: -size)
    assert [number for number, _ in order] == [1, 2, 0]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=30))
def test_nobody_is_overtaken_by_who_came_later_than_its_head_start(arrivals):
    """The line is in the order of ranks, and of arrival among equals."""
    line, now, joined = Line(), 0, []
    for number, (pause, lead) in enumerate(arrivals):
        now += pause
        waiter = line.join(number, now - lead * 10)
        joined.append((now - lead * 10, number, waiter))
    assert list(line) == [waiter for _, _, waiter in sorted(joined, key=lambda one: one[:2])]


@pytest.mark.anyio
async def test_looking_ahead_knows_who_would_be_overtaken():
    """Only those who would be served before count."""
    clock = FakeClock()
    with fresh_host(clock):

        @rate_limited("1/s", burst=1, priority="urgency", max_wait="1h")
        async def work(urgency: int) -> None: ...

        await work(0)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(work, 0)
                await clock.aadvance(0)
            peek = agentperf.handle(work).limiter.peek
            assert [peek(urgency).wait for urgency in (0, 1)] == [4.0, 1.0]
            tasks.cancel_scope.cancel()


POLICIES = {
    "rate_limited": lambda priority: rate_limited("100/s", priority=priority),
    "bulkhead": lambda priority: bulkhead(8, priority=priority),
    "shared limit": lambda priority: rate_limited(
        "100/s", priority=priority, store=MemoryStore(), name="n"
    ),
    "shared places": lambda priority: bulkhead(8, priority=priority, store=MemoryStore(), name="n"),
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("urgency", [11, -11, "high", None, True, float("nan")])
def test_what_is_no_priority(policy, urgency):
    """Every call says so, also one that needn't wait; the error shows what is one."""
    with fresh_host(FakeClock()):
        for priority in ("urgency", lambda urgency: urgency):
            work = policy(priority)(lambda urgency: None)
            with pytest.raises(ConfigurationError, match="from -10 to 10"):
                work(urgency)
            work(0)
            work(urgency=-1.5)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_a_priority_that_raises(policy):
    """Its caller gets what it raised, with or without waiting."""
    with fresh_host(FakeClock()):
        work = policy(lambda urgency: 1 // urgency)(lambda urgency: None)
        work(1)
        with pytest.raises(ZeroDivisionError):
            work(0)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_a_priority_with_other_parameters(policy):
    """The error says which it needs; a wrong call is told as without any policy."""
    with fresh_host(FakeClock()):
        work = policy(lambda urgency: urgency)(lambda urgency, b=0: None)
        with pytest.raises(ConfigurationError, match=r"priority= of .*same parameters.*urgency, b"):
            work(1, b=2)
        with pytest.raises(TypeError, match="missing"):
            work()


def test_names_are_checked_at_decoration():
    """As those of other options."""
    with pytest.raises(ConfigurationError, match="priority='urgent' is no parameter"):
        rate_limited("1/s", priority="urgent")(lambda urgency: None)
    with pytest.raises(ConfigurationError, match="priority=3"):
        rate_limited("1/s", priority=3)

    async def awaited(**_):
        """Nobody awaits this."""

    for option in ("priority", "cost"):
        with pytest.raises(ConfigurationError, match=f"^{option}=.*would never be awaited"):
            rate_limited("1/s", **{option: awaited})
