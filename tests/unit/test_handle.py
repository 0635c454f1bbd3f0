"""The typed handle."""

from __future__ import annotations

import functools

import pytest

from agentperf import ConfigurationError, Host, cached, handle, timed, use


@pytest.fixture(autouse=True)
def _host(fresh_host):
    """Every test on a host of its own."""


@timed
@cached(ttl=60)
def both(x):
    """Timed and cached."""
    return [x]


class Agent:
    """Everything a class can hold."""

    @timed
    @cached(ttl=60)
    def method(self, x):
        """Remember per instance."""
        return [x]

    @classmethod
    @timed
    def of_class(cls):
        """Of the class."""

    @staticmethod
    @timed
    def static():
        """Of nobody."""


def test_it_tells_the_pipeline_and_the_operation():
    """Outermost first."""
    assert [type(policy).__name__ for policy in handle(both).pipeline] == ["Timed", "Cached"]
    assert handle(both).operation == f"{__name__}.both"
    assert handle(timed("mine")(both)).operation == "mine"
    assert repr(handle(both)) == f"<handle of {__name__}.both: Timed, Cached>"


def test_it_tells_the_figures_of_the_current_host():
    """Whichever that is when it is asked."""
    asked = handle(both)
    assert asked.stats().calls == 0
    both(1)
    assert asked.stats().calls == 1
    with use(Host()):
        assert asked.stats().calls == 0


@pytest.mark.parametrize("find", [lambda a: a.method, lambda a: a.of_class, lambda a: a.static])
def test_on_methods(find):
    """Bound or through the class."""
    agent = Agent()
    assert handle(find(agent)).operation == handle(find(Agent)).operation


def test_a_bound_methods_cache_is_that_instances():
    """Its entries are reached without naming the instance."""
    one, two = Agent(), Agent()
    assert one.method(1) == two.method(1)
    handle(one.method).cache.invalidate(1)
    one.method(1)
    two.method(1)
    assert handle(Agent.method).cache.stats().misses == 3


def test_on_other_callables():
    """Partials and objects."""
    partial = timed("partial")(functools.partial(both, 1))
    partial()
    assert handle(partial).stats().calls == 1


@pytest.mark.parametrize(
    "thing",
    [
        len,
        lambda: None,
        functools.partial(both, 1),
        Agent,
        Agent(),
        42,
        functools.wraps(both)(lambda: 1),
    ],
)
def test_what_has_no_handle(thing):
    """It says what to hand in instead."""
    with pytest.raises(ConfigurationError, match="not decorated by agentperf"):
        handle(thing)


def test_what_a_function_was_not_decorated_with():
    """It says which decorator is missing."""
    only_timed, only_cached = timed(lambda: 1), cached(ttl=1)(lambda: 1)
    with pytest.raises(ConfigurationError, match=r"not cached; decorate it with @cached\(ttl=60\)"):
        _ = handle(only_timed).cache
    with pytest.raises(ConfigurationError, match="not timed; decorate it with @timed"):
        handle(only_cached).stats()
