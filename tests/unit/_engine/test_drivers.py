"""Layers in both colours: gates, flows, and policies that are switched off."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

import pytest

from agentperf import ConfigurationError, Host, configure, handle, stats, timed, use
from agentperf._engine.policy import Policy
from tests.unit._engine.spies import IDS, SHAPES, Spy, Through, finish, plain, straight_on


class Refusal(Exception):
    """What a gate refuses with."""


class Refusing(Spy):
    """A gate that lets nobody in."""

    def bind(self, site, inner):
        """Refuse."""
        gate = super().bind(site, inner)
        assert gate

        class _Gate:
            watches_items = False
            settles = True

            def enter(self, args, kwargs):
                raise Refusal

            def done(self, ticket, value):
                raise AssertionError

            failed = dropped = done

        return site.driver.gate(_Gate(), inner)


@pytest.mark.parametrize("function", SHAPES, ids=IDS)
def test_a_gate_that_refuses(fresh_host, function):
    """The function isn't called, the gates outside see a failure, those inside see nothing."""
    outer, inner = Spy(), Spy()
    with pytest.raises(Refusal) as refused:
        finish(lambda: outer(Refusing()(inner(function)))(1))
    assert outer.log == [("spy", "enter"), ("spy", "failed", refused.value)]
    assert inner.log == []


async def twice(proceed, args, kwargs):
    """Flow that tries again once."""
    try:
        return await proceed(args, kwargs)
    except KeyError:
        return await proceed(args, kwargs)


@pytest.mark.parametrize("which", range(4), ids=IDS)
def test_a_flow_may_try_again(fresh_host, which):
    """Before the first item of a stream, and seen by the layers inside as calls of their own."""
    errors = [KeyError("first")]

    def fail_once():
        if errors:
            raise errors.pop()
        return 1

    async def coroutine():
        return fail_once()

    def generator():
        yield fail_once()

    async def async_generator():
        yield fail_once()

    inner = Spy()
    function = [fail_once, coroutine, generator, async_generator][which]
    assert finish(Through(run=twice)(inner(function))) in (1, [1])
    assert inner.endings() == ["failed", "done"]


def test_a_flow_that_waits_for_something_else_is_a_mistake(fresh_host):
    """A synchronous call can't be suspended, and says who tried."""

    class Suspend:
        def __await__(self):
            yield

    async def suspending(proceed, args, kwargs):
        await Suspend()

    with pytest.raises(RuntimeError, match="suspended a synchronous call"):
        Through(run=suspending)(plain)(1)


@pytest.mark.parametrize("function", SHAPES, ids=IDS)
@pytest.mark.parametrize("policy", [Spy, timed, lambda **o: Through(run=straight_on, **o)])
def test_a_policy_that_is_switched_off_lets_pass(fresh_host, function, policy):
    """`enabled=False` for good."""
    assert list(finish(lambda: policy(enabled=False)(function)(1))) == [1, 2]
    assert stats() == {}


@pytest.mark.parametrize("function", SHAPES, ids=IDS)
def test_a_policy_that_asks_at_each_call(fresh_host, function):
    """`enabled=` takes a callable: a feature flag."""
    flags = iter([True, False, True])
    spy = Spy(enabled=lambda: next(flags))
    wrapper = timed("op")(spy(function))
    for _ in range(3):
        assert list(finish(lambda: wrapper(1))) == [1, 2]
    assert spy.entered == 2
    assert stats()["op"].calls == 3


@pytest.mark.parametrize("function", SHAPES, ids=IDS)
def test_a_host_that_is_switched_off(fresh_host, function):
    """All policies of all functions, from the next call on."""
    spy = Spy()
    wrapper = timed(spy(function))
    configure(enabled=False)
    assert list(finish(lambda: wrapper(1))) == [1, 2]
    assert spy.log == []
    assert stats() == {}
    assert len(handle(wrapper).pipeline) == 2
    configure(enabled=True)
    finish(lambda: wrapper(1))
    assert spy.endings() == ["done"]


def test_switched_off_from_outside(monkeypatch):
    """AGENTPERF_DISABLED=1 holds for every host made then."""
    monkeypatch.setenv("AGENTPERF_DISABLED", "1")
    with use(Host()):
        timed(plain)(1)
        assert stats() == {}


def test_a_whole_process_that_is_switched_off():
    """The default host reads the variable when it is first needed."""
    code = "import agentperf; agentperf.timed(len)([]); print(agentperf.stats())"
    environment = {**os.environ, "AGENTPERF_DISABLED": "1"}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("{}\n", "")


async def switched_on():
    """Nobody awaits this."""
    return False


@pytest.mark.parametrize(
    ("options", "example"),
    [
        ({"name": ""}, 'name="search"'),
        ({"name": 3}, 'name="search"'),
        ({"enabled": "no"}, "lambda: flags.cache"),
        ({"enabled": None}, "lambda: flags.cache"),
        ({"enabled": switched_on}, "lambda: flags.cache"),
        ({"enabled": functools.partial(switched_on)}, "lambda: flags.cache"),
    ],
)
def test_bad_options_that_all_policies_share(options, example):
    """They name the parameter and show a good example."""
    with pytest.raises(ConfigurationError, match=f"^{next(iter(options))}=") as refused:
        Spy(**options)
    assert example in str(refused.value)


def test_a_policy_without_a_layer():
    """The base class itself binds nothing."""
    with pytest.raises(NotImplementedError):
        Policy().bind(None, None)
