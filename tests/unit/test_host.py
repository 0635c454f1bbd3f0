"""The host: time, state, events, figures and settings of one world."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentperf import ConfigurationError, Host, configure, stats, timed, use
from agentperf.config import Settings
from agentperf.testing import FakeClock


class Owner:
    """Somebody that state belongs to."""


class Kind:
    """A kind of state."""


@pytest.fixture
def host():
    """A host of its own."""
    return Host(clock=FakeClock())


def state(host, *owners, name=None, options=None, make=object, kind=Kind):
    """Ask for state."""
    return host.state(kind, make, owners=owners, name=name, options=options)


def test_unnamed_state_belongs_to_its_owners(host):
    """To exactly these, on this host."""
    a, b, c = Owner(), Owner(), Owner()
    assert state(host, a, b) is state(host, a, b)
    assert len({id(state(host, *owners)) for owners in ((a, b), (a, c), (b, c), (b, a))}) == 4
    assert state(Host(), a, b) is not state(host, a, b)


@pytest.mark.parametrize("first", [True, False])
def test_unnamed_state_goes_with_its_owners(host, first):
    """With whichever goes first."""
    owners = [Owner(), Owner()]
    held = [state(host, *owners, make=Kind)]
    import weakref

    reference = weakref.ref(held.pop())
    assert reference() is not None
    del owners[0 if first else 1]
    gc.collect()
    assert reference() is None


def test_named_state_is_shared_by_all_who_name_it(host):
    """Per kind of state, whoever asks."""
    a, b = Owner(), Owner()
    assert state(host, a, name="x") is state(host, b, name="x")
    assert state(host, a, name="x") is not state(host, a, name="y")
    assert state(host, a, name="x") is not state(host, a, name="x", kind=Owner)
    assert state(host, name="nobody's") is state(host, name="nobody's")


def test_the_same_name_with_other_options(host):
    """Is refused while anybody lives who uses it, then starts anew."""
    a, b = Owner(), Owner()
    first = state(host, a, name="x", options=1)
    with pytest.raises(ConfigurationError, match=r"name='x' is in use with other options; .*x-2"):
        state(host, b, name="x", options=2)
    assert state(host, b, name="x", options=1) is first
    del a
    with pytest.raises(ConfigurationError):
        state(host, Owner(), name="x", options=2)
    del b
    gc.collect()
    assert state(host, Owner(), name="x", options=2) is not first


@pytest.mark.parametrize("name", [None, "shared"])
def test_threads_that_ask_at_once_get_one_state(host, name):
    """It is made once."""
    owners, made, together = (Owner(), Owner()), [], threading.Barrier(4)

    def ask(_):
        together.wait(10)
        return state(host, *owners, name=name, make=lambda: made.append(1) or object())

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(ask, range(4)))
    assert len({id(result) for result in results}) == len(made) == 1


def test_making_state_may_ask_for_other_state(host):
    """A cache asks for what all caches share."""
    owner = Owner()
    both = state(host, owner, make=lambda: [state(host, name="inner")])
    assert both == [state(host, name="inner")]


def test_threads_share_a_host_exactly(host):
    """No call is lost, however many threads make it."""
    from contextvars import copy_context

    function = timed("op")(lambda: None)

    def many():
        for _ in range(500):
            function()

    with use(host):
        contexts = [copy_context() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda context: context.run(many), contexts))
    assert host.operation_stats("op").calls == 2000


def test_figures_of_an_operation(host):
    """All zero where it was never called."""
    assert host.operation_stats("op").calls == 0
    assert host.stats() == {}
    with use(host):
        timed("op")(lambda: None)()
        assert stats().keys() == host.stats().keys() == {"op"}


def test_settings(host):
    """Given, from the environment, or changed later; a bad change changes nothing."""
    assert not Host(settings=Settings(enabled=False)).settings.enabled
    with use(host):
        configure(enabled=False)
        with pytest.raises(ConfigurationError):
            configure(enabled="perhaps")
    assert not host.settings.enabled


def test_a_bad_environment_is_told(monkeypatch):
    """By name, when a host is made."""
    monkeypatch.setenv("AGENTPERF_DISABLED", "perhaps")
    with pytest.raises(ConfigurationError, match="AGENTPERF_DISABLED"):
        Host()


def test_beginning_anew(host):
    """As in a forked child: no figures, no subscribers, no state, the same clock and settings."""
    owner = Owner()
    function = timed("op")(lambda: None)
    with use(host):
        seen, before, clock = [], state(host, owner), host.clock
        host.subscribe(seen.append)
        function()
        host.begin_anew()
        function()
        assert len(seen) == 1
        assert stats()["op"].calls == 1
        assert state(host, owner) is not before
        assert host.clock is clock


def test_it_shows_how_much_it_knows(host):
    """For a look in the debugger."""
    assert repr(host) == "<Host of 0 operations>"


@pytest.mark.parametrize(
    ("argument", "says"),
    [({"clock": 3}, r"clock=3: a Clock is needed"), ({"settings": {}}, r"Settings\(enabled=")],
)
def test_a_host_of_something_else(argument, says):
    """Is refused at once, not at the first call."""
    with pytest.raises(ConfigurationError, match=says):
        Host(**argument)
