"""Several policies as one decorator."""

from __future__ import annotations

import pytest

from agentperf import ConfigurationError, cached, handle, resilient, stack, stats, timed
from tests.unit._engine.spies import IDS, SHAPES, Spy, finish


@pytest.mark.parametrize("function", SHAPES, ids=IDS)
def test_a_stack_decorates_as_its_policies_would(fresh_host, function):
    """Outermost first, in one wrapper."""
    log = []
    a, b = Spy(log=log, label="a"), Spy(log=log, label="b")
    wrapper = stack(timed("op"), a, b)(function)
    assert wrapper.__wrapped__ is function
    assert list(finish(lambda: wrapper(1))) == [1, 2]
    assert [label for label, event in log if event == "enter"] == ["a", "b"]
    assert stats()["op"].calls == 1


def test_stacks_in_stacks():
    """Are as flat as if they were written out."""
    a, b, c = Spy(), Spy(), Spy()
    assert stack(a, stack(b, stack(c))).policies == (a, b, c)
    assert handle(stack(a)(stack(b, c)(len))).pipeline == (a, b, c)


def test_a_stack_is_used_again(fresh_host):
    """Its policies stay the same objects, with what they share."""
    spy = Spy()
    upstream = stack(spy)
    upstream(lambda: None)()
    upstream(lambda: None)()
    assert spy.entered == 2


@pytest.mark.parametrize("wrong", [timed, cached, len, None, "timed", [timed()]])
def test_what_is_not_a_policy(wrong):
    """A decorator that wasn't called is the usual mistake."""
    with pytest.raises(ConfigurationError, match=r"stack\(timed\(\), cached\(ttl=60\)\)"):
        stack(timed(), wrong)


def test_an_empty_stack():
    """It would do nothing."""
    with pytest.raises(ConfigurationError, match="needs policies"):
        stack()


def test_it_shows_what_is_in_it():
    """In order."""
    assert repr(stack(timed(), cached(ttl=1))) == "stack(Timed, Cached)"


def test_a_stack_without_parentheses():
    """The error shows how to write it, under the name that was written."""
    with pytest.raises(ConfigurationError, match=r"@resilient\(\) or @resilient\(retry"):

        @resilient
        def search(query): ...

    with pytest.raises(ConfigurationError, match=r"@stack\(timed\(\), cached\(ttl=60\)\)"):
        stack(timed)


@pytest.mark.parametrize("make", [resilient, stack])
def test_options_belong_to_the_policies(make):
    """Not to what puts them together."""
    with pytest.raises(ConfigurationError, match=r"attempts=3 is an option of a policy"):
        make(attempts=3)
