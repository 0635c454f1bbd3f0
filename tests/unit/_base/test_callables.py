"""What kind of callable a thing is."""

from __future__ import annotations

import functools
from unittest.mock import AsyncMock, Mock

import pytest

from agentperf._base.callables import (
    Shape,
    is_decorated_bare,
    shape_of,
    signature_of,
    undressed,
)


class Agent:
    """One of everything."""

    def plain(self, x):
        """Return."""

    async def coroutine(self, x):
        """Await."""

    def generator(self, x):
        """Give."""
        yield

    async def async_generator(self, x):
        """Give asynchronously."""
        yield


def callable_with(call):
    """Make an object whose `__call__` is this function."""
    return type("Callable", (), {"__call__": call})()


EXPECTED = {
    "plain": Shape.FUNCTION,
    "coroutine": Shape.COROUTINE,
    "generator": Shape.GENERATOR,
    "async_generator": Shape.ASYNC_GENERATOR,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_shape_is_seen_through_what_is_around_it(name):
    """Functions, bound methods, partials, callable objects, and partials of these."""
    function, shape = getattr(Agent, name), EXPECTED[name]
    assert shape_of(function) is shape
    assert shape_of(getattr(Agent(), name)) is shape
    assert shape_of(functools.partial(function, 1)) is shape
    assert shape_of(functools.partial(functools.partial(function, 1), 2)) is shape
    assert shape_of(callable_with(function)) is shape
    assert shape_of(functools.partial(callable_with(function), 1)) is shape
    assert shape_of(callable_with(function).__call__) is shape


@pytest.mark.parametrize(
    ("thing", "shape"),
    [
        (len, Shape.FUNCTION),
        (str.upper, Shape.FUNCTION),
        (lambda: None, Shape.FUNCTION),
        (Mock(), Shape.FUNCTION),
        (AsyncMock(), Shape.COROUTINE),
    ],
)
def test_builtins_lambdas_and_mocks(thing, shape):
    """What has no code to look at is a plain function, unless it says otherwise."""
    assert shape_of(thing) is shape


def test_what_shapes_mean():
    """Two of them run on an event loop, two of them give streams."""
    assert [shape.is_async for shape in Shape] == [False, True, False, True]
    assert [shape.streams for shape in Shape] == [False, False, True, True]


def test_undressing():
    """The function in partials and bound methods; a function is itself."""
    agent = Agent()
    assert undressed(Agent.plain) is Agent.plain
    assert undressed(functools.partial(functools.partial(agent.plain), 1)) is Agent.plain
    assert undressed(agent) is agent


@pytest.mark.parametrize(
    ("thing", "bare"),
    [
        (len, True),
        (Agent, True),
        (classmethod(len), True),
        (staticmethod(len), True),
        (property(len), True),
        (functools.partialmethod(len), True),
        ("name", False),
        (60, False),
        (0.5, False),
        (None, False),
    ],
)
def test_what_a_decorator_is_put_on_without_parentheses(thing, bare):
    """Everything that stands in a class body; never the value of an option."""
    assert is_decorated_bare(thing) is bare


def test_a_signature_there_is_and_one_there_isnt():
    """Where Python knows none, anything goes."""
    assert str(signature_of(lambda x, *, y=1: None)) == "(x, *, y=1)"
    unknown = signature_of(dict.update)
    assert unknown.bind(1, 2, a=3)
