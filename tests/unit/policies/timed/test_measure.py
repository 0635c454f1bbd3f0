"""Regions, and what a call used."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agentperf import ConfigurationError, Usage, configure, handle, measure, record, stats, timed
from agentperf.events import CallEnded
from agentperf.testing import recorded
from tests.unit.policies.cached.calls import COLOURS, PLAIN, Counted, outcome

pytestmark = pytest.mark.anyio


async def test_a_region_is_a_call(fresh_host, fake_clock):
    """Counted and measured under its name, together with functions of that name."""
    with measure("plan"):
        fake_clock.advance(2)
    timed("plan")(lambda: fake_clock.advance(4))()
    assert (stats()["plan"].calls, stats()["plan"].mean) == (2, 3.0)


async def test_a_region_that_fails(fresh_host):
    """An error is a failure, an interrupt is not; both pass."""
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), measure("plan"):
            raise error
    assert (dict(stats()["plan"].errors), stats()["plan"].cancelled) == ({"ValueError": 1}, 1)


async def test_a_region_is_told(fresh_host, fake_clock):
    """To who listens, as any call."""
    with recorded(CallEnded) as log, measure("plan"):
        fake_clock.advance(1)
    assert [(event.operation, event.seconds) for event in log] == [("plan", 1.0)]


async def test_a_region_that_is_switched_off(fresh_host):
    """Runs as it is."""
    configure(enabled=False)
    with measure("plan"):
        pass
    assert "plan" not in stats()


@pytest.mark.parametrize("colour", PLAIN)
async def test_usage_belongs_to_the_innermost_call(fresh_host, colour):
    """Those around it show it as inclusive; totals count it once."""

    def use_some(_):
        record(input_tokens=100, output_tokens=20, cached_tokens=10, cost_usd=0.5)
        record(Usage(1, 2, 0, None))

    inside = timed("inside")(Counted(use_some).function(colour))
    with measure("outside"):
        await outcome(inside())
        record(input_tokens=1000)
    spent = Usage(101, 22, 10, 0.5)
    assert handle(inside).stats().own_usage == handle(inside).stats().usage == spent
    assert stats()["outside"].own_usage == Usage(1000, 0, 0, None)
    assert stats()["outside"].usage == Usage(1101, 22, 10, 0.5)


async def test_usage_outside_of_any_call_is_ignored(fresh_host):
    """There is nothing it could belong to."""
    record(input_tokens=5)
    assert stats() == {}


async def test_usage_of_a_stream_belongs_to_it(fresh_host):
    """Also when the consumer reads it in a call of its own."""

    @timed("model")
    def stream():
        yield "a"
        record(output_tokens=7)

    with measure("page"):
        list(stream())
    assert stats()["model"].own_usage.output_tokens == 7


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_region_needs_a_name(fresh_host, name):
    """The error shows one."""
    with pytest.raises(ConfigurationError, match=r'measure\("plan"\)'), measure(name):
        raise AssertionError("it must not run")


@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "cached_tokens", "cost_usd"])
@pytest.mark.parametrize("figure", [-1, "5", float("nan"), float("inf"), [1]])
def test_a_malformed_figure_is_refused(fresh_host, name, figure):
    """By name; it would spoil every figure that comes after it."""
    with measure("plan"), pytest.raises(ConfigurationError, match=f"^{name}=.* {name}="):
        record(**{name: figure})
    assert stats()["plan"].usage == Usage()


@pytest.mark.parametrize("tokens", [None, 1.5, True])
def test_tokens_are_whole_numbers(fresh_host, tokens):
    """What a provider left out is not a number of tokens; a cost may be left out."""
    with pytest.raises(ConfigurationError, match="a whole number from 0 up"):
        record(cached_tokens=tokens)
    record(cost_usd=None)


def test_something_else_than_usage_is_refused(fresh_host):
    """The error shows how to write it."""
    with pytest.raises(ConfigurationError, match=r"Usage\(input_tokens=120\)"):
        record(5)


@pytest.mark.parametrize(
    "figures",
    [{"input_tokens": -5}, {"output_tokens": 1.5}, {"cached_tokens": True}, {"cost_usd": -0.1}],
)
def test_a_usage_below_zero_is_refused(fresh_host, figures):
    """It would give tokens back that nobody has."""
    [name] = figures
    with pytest.raises(ConfigurationError, match=f"^{name}="):
        record(Usage(**figures))


def test_usage_as_a_client_reports_it(fresh_host):
    """A reply, its usage, and the chunks of a stream, most of which have none."""
    reply = SimpleNamespace(usage=SimpleNamespace(prompt_tokens=12, completion_tokens=5))
    with measure("chat"):
        record(reply)
        record(reply.usage, cost_usd=0.5)
        record(None)
    assert stats()["chat"].own_usage == Usage(24, 10, cost_usd=0.5)


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_call_that_is_told_says_what_it_spent_itself(fresh_host, colour):
    """Each call its own, those inside it not; streams whenever they note it."""

    @timed("inside")
    def inside():
        record(Usage(5, 1))

    def use_some(tokens):
        record(input_tokens=tokens)
        inside()
        record(output_tokens=7, cost_usd=0.5)
        return ["x"]

    outside = timed("outside")(Counted(use_some).function(colour))
    with recorded(CallEnded) as log:
        for tokens in (100, 200):
            await outcome(outside(tokens))
    spent = [(event.operation, event.usage) for event in log]
    assert spent[0::2] == [("inside", Usage(5, 1))] * 2
    assert spent[1::2] == [("outside", Usage(n, 7, 0, 0.5)) for n in (100, 200)]
    assert sum((usage for _, usage in spent), Usage()) == stats()["outside"].usage


async def test_a_failed_call_and_a_region_say_what_they_spent(fresh_host):
    """However they end; and None where nothing was said."""

    def fail(usage):
        with measure("plan"):
            if usage is not None:
                record(usage)
            raise KeyError

    with recorded(CallEnded) as log:
        for usage in (Usage(3), None):
            with pytest.raises(KeyError):
                fail(usage)
    assert [event.usage for event in log] == [Usage(3), None]


async def test_a_call_that_calls_itself_keeps_its_own_apart(fresh_host):
    """Each level tells what it spent, not what was spent below it."""

    @timed("deep")
    def deep(left):
        record(input_tokens=10**left)
        if left:
            deep(left - 1)

    with recorded(CallEnded) as log:
        deep(2)
    assert [event.usage.input_tokens for event in log] == [1, 10, 100]
    assert stats()["deep"].usage == stats()["deep"].own_usage == Usage(111)
