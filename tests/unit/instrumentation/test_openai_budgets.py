"""Model calls of an undecorated program keep within the budgets that it opens."""

from __future__ import annotations

import pytest

import agentperf
from agentperf import BudgetExceeded, budget
from agentperf.events import CallRefused
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.unit.instrumentation.wire import ASK, CHUNKS, COMPLETION, OPERATION, Body, Wire

PRICE = (16 * 0.15 + 4 * 0.075 + 5 * 0.60) / 1e6


@pytest.mark.parametrize("colour", ["sync", "asynchronous"])
@pytest.mark.parametrize(
    ("limit", "made"), [({"calls": 2}, 2), ({"tokens": 40}, 2), ({"usd": 2 * PRICE}, 2)]
)
@pytest.mark.anyio
async def test_a_call_beyond_a_limit_is_not_made(instrumented, host, colour, limit, made):
    """It is refused before a request goes out, and counts nowhere."""
    wire = Wire("httpx", COMPLETION)
    client = getattr(wire.clients(), colour)
    with budget(**limit) as mine, recorded(CallRefused) as log:
        with pytest.raises(BudgetExceeded):  # noqa: PT012
            for _ in range(9):
                reply = client.chat.completions.create(**ASK)
                if colour == "asynchronous":
                    await reply
        assert (mine.calls, mine.spent.total_tokens) == (made, made * 25)
    assert mine.by_operation().keys() == {OPERATION}
    assert mine.spent.cost_usd == pytest.approx(made * PRICE)
    assert host.operation_stats(OPERATION).calls == made
    assert [(event.operation, event.policy) for event in log] == [(OPERATION, "budgeted")]


def test_a_decorated_function_around_it_counts_once(instrumented, host):
    """And tokens that are noted once more are spent once."""
    client = Wire("httpx", COMPLETION).clients().sync

    @agentperf.timed
    def ask():
        reply = client.chat.completions.create(**ASK)
        agentperf.record(reply.usage)

    with budget() as mine:
        ask()
        ask()
    assert (mine.calls, mine.spent.total_tokens) == (2, 50)


def test_a_stream_is_settled_at_its_end(instrumented, host):
    """The tokens are known then, and belong to the budget it was begun in."""
    client = Wire("httpx", Body(CHUNKS)).clients().sync
    with budget() as mine:
        stream = client.chat.completions.create(**ASK, stream=True)
        assert mine.spent.total_tokens == 0
    list(stream)
    assert (mine.calls, mine.spent.total_tokens) == (1, 25)


def test_a_prompt_that_is_too_long_is_refused_beforehand(instrumented, host):
    """Nothing is spent on it."""
    client = Wire("httpx", COMPLETION).clients().sync
    ask = ASK | {"messages": [{"role": "user", "content": "many words " * 200}]}
    with budget(tokens=100) as mine:
        with pytest.raises(BudgetExceeded, match="needs about"):
            client.chat.completions.create(**ask)
        client.chat.completions.create(**ASK)
    assert mine.calls == 1


def test_after_the_deadline_no_call_begins(instrumented):
    """Whatever is left otherwise."""
    client = Wire("httpx", COMPLETION).clients().sync
    clock = FakeClock()
    with fresh_host(clock), budget(deadline=5):
        client.chat.completions.create(**ASK)
        clock.advance(5)
        with pytest.raises(BudgetExceeded, match="deadline"):
            client.chat.completions.create(**ASK)


def test_outside_of_a_budget_nothing_is_refused(instrumented, host):
    """A budget that has ended binds nobody who came later."""
    client = Wire("httpx", COMPLETION).clients().sync
    with budget(calls=1):
        client.chat.completions.create(**ASK)
    client.chat.completions.create(**ASK)
    with fresh_host(enabled=False), budget(calls=1):
        for _ in range(3):
            client.chat.completions.create(**ASK)
