"""One wrapper per function: decorators flatten, copies leave what is beneath, calls count once."""

from __future__ import annotations

import functools

import pytest

from agentperf import cached, handle, timed
from agentperf._engine.pipeline import pipeline_of
from tests.unit._engine.spies import Spy


def foreign(function):
    """A decorator that isn't ours and knows nothing of us."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@pytest.fixture(autouse=True)
def _host(fresh_host):
    """Every test on a host of its own."""


def one(x=1):
    """Return it."""
    return x


def test_stacked_decorators_make_one_wrapper():
    """Whatever their number, the function itself is right beneath."""
    spies = [Spy(label=label) for label in "abc"]
    wrapper = spies[0](spies[1](spies[2](one)))
    assert wrapper.__wrapped__ is one
    assert handle(wrapper).pipeline == tuple(spies)


def test_a_pipeline_shows_what_is_in_it():
    """For a look in the debugger."""
    pipeline = pipeline_of(timed(Spy()(one)))
    assert repr(pipeline) == f"<Pipeline {__name__}.one: Timed, Spy>"


def test_the_order_is_as_written():
    """The decorator on top is entered first and settled last."""
    log = []
    a, b = Spy(log=log, label="a"), Spy(log=log, label="b")
    a(b(one))()
    assert log == [("a", "enter"), ("b", "enter"), ("b", "done"), ("a", "done")]


def test_decorating_again_leaves_the_wrapper_beneath_as_it_was():
    """Both work on, each with its own pipeline and its own state."""
    a = timed(one)
    b = cached(ttl=1)(a)
    assert [type(p).__name__ for p in handle(a).pipeline] == ["Timed"]
    assert [type(p).__name__ for p in handle(b).pipeline] == ["Cached", "Timed"]
    assert a(1) == b(1) == b(1) == 1
    assert handle(a).stats().calls == 2
    assert handle(b).cache.stats().hits == 1


def test_one_wrapper_beneath_may_get_several_on_top():
    """`b = p(a)` and `c = q(a)` know nothing of each other."""
    a = timed(one)
    p, q = Spy(), Spy()
    p(a)()
    q(a)()
    assert (p.entered, q.entered) == (1, 1)
    a()
    assert (p.entered, q.entered) == (1, 1)


def test_a_policy_can_be_used_for_many_functions():
    """One object, many pipelines."""
    spy = Spy()
    for _ in range(3):
        spy(foreign(one))()
    assert spy.entered == 3


def test_the_same_policy_twice_on_one_function():
    """It takes part twice, as written."""
    spy = Spy()
    spy(spy(one))()
    assert spy.entered == 2


def test_our_marker_on_a_stranger_does_not_count():
    """`functools.wraps` copies it; the stranger's own behaviour stays in the middle."""
    spy = Spy()
    inner = spy(one)
    middle = foreign(inner)
    assert middle.__agentperf__ is inner.__agentperf__
    assert pipeline_of(middle) is None
    outer = Spy()(middle)
    assert outer.__wrapped__ is middle
    assert len(handle(outer).pipeline) == 1
    outer()
    assert spy.entered == 1


@pytest.mark.parametrize("in_between", [foreign, functools.lru_cache, functools.partial])
def test_a_layer_of_the_same_operation_is_not_a_call_of_its_own(in_between):
    """One above and one below something foreign make one call."""
    wrapper = timed("op")(in_between(timed("op")(one)))
    wrapper()
    assert handle(wrapper).stats().calls == 1


def test_a_layer_of_another_name_is_counted():
    """`@timed("all") @retry @timed("attempt")`: both names were asked for."""

    def twice(function):
        @functools.wraps(function)
        def wrapper():
            function()
            return function()

        return wrapper

    attempt = timed("attempt")(one)
    everything = timed("all")(twice(attempt))
    everything()
    assert handle(attempt).stats().calls == 2
    assert handle(everything).stats().calls == 1


def test_the_inner_one_called_by_itself_is_a_call():
    """It is a layer only inside the outer one."""
    inner = timed(one)
    outer = timed(foreign(inner))
    outer()
    inner()
    assert handle(outer).stats().calls == 2


def test_recursion_is_counted():
    """Each call of a function to itself is a call, also through a foreign decorator."""

    @timed
    def down(n):
        return down(n - 1) if n else 0

    @timed("around")
    @foreign
    @timed("around")
    def around(n):
        return around(n - 1) if n else 0

    down(3)
    around(3)
    assert handle(down).stats().calls == 4
    assert handle(around).stats().calls == 4


@pytest.mark.anyio
async def test_async_layers_and_recursion():
    """The same in the other colour."""

    def aforeign(function):
        @functools.wraps(function)
        async def wrapper(*args):
            return await function(*args)

        return wrapper

    @timed("op")
    @aforeign
    @timed("op")
    async def down(n):
        return await down(n - 1) if n else 0

    await down(3)
    assert handle(down).stats().calls == 4


def test_a_bound_method_of_a_decorated_method_is_a_layer():
    """`timed(obj.method)` where the method is timed already: one call."""

    class Agent:
        @timed
        def run(self):
            return 1

    run = timed(Agent().run)
    assert run() == 1
    assert handle(Agent.run).stats().calls == 1


def test_a_stand_in_with_every_attribute_can_be_decorated():
    """Something remote may claim to be wrapped without end."""

    class Remote:
        def __getattr__(self, name):
            if name == "__wrapped__":
                return Remote()
            raise AttributeError(name)

        def __call__(self):
            return "there"

    assert timed(Remote())() == "there"
