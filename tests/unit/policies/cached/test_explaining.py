"""How a key is made, told to those who wonder why two calls do or don't share an answer."""

from __future__ import annotations

import pytest

import agentperf
from agentperf import UncacheableArgumentError, cached, handle
from agentperf.testing import FakeClock
from tests.unit.policies.cached.test_freshness import place

SECRET = "s3cret"


def _ask(user, question, client=None):
    return question


def counted(explanation):
    """By what each part counts."""
    return {argument.name: argument.counts for argument in explanation.arguments}


@pytest.mark.parametrize(
    ("options", "expected", "made_by"),
    [
        ({}, {"user": "value", "question": "value", "client": "value"}, "all arguments"),
        (
            {"ignore": "client"},
            {"user": "value", "question": "value", "client": "nothing"},
            "all arguments but client",
        ),
        (
            {"key": ("user",)},
            {"user": "value", "question": "nothing", "client": "nothing"},
            "key=('user',)",
        ),
        (
            {"key": "question"},
            {"user": "nothing", "question": "value", "client": "nothing"},
            "key='question'",
        ),
        (
            {"key": "{user[id]}:{question}"},
            {"user[id]": "value", "question": "value", "client": "nothing"},
            "key='{user[id]}:{question}'",
        ),
        (
            {"key": lambda user, question, client=None: question},
            {"user": "nothing", "question": "nothing", "client": "nothing"},
            "what key= gives",
        ),
    ],
)
@pytest.mark.parametrize("where", ["memory", "bytes"])
def test_it_says_by_what_each_argument_counts(fresh_host, options, expected, made_by, where):
    """Whatever makes the key, wherever it is kept."""
    f = cached(backend=place(where, FakeClock()), name="x", **options)(_ask)
    explanation = handle(f).explain({"id": SECRET}, question=SECRET)
    assert counted(explanation) == expected
    assert explanation.made_by == made_by
    assert explanation.scope == ()
    assert SECRET not in str(explanation)
    assert SECRET not in repr(explanation)


@pytest.mark.parametrize("where", ["memory", "bytes"])
def test_equal_keys_are_what_the_cache_shares_by(fresh_host, where):
    """The same answer exactly where the keys are equal; else it says why not."""
    f = cached(backend=place(where, FakeClock()), name="x", ignore="client")(_ask)
    explain = handle(f).explain
    one = explain({"id": 1}, "a", 5)
    assert one.against(explain({"id": 1}, question="a")) == ()
    assert one.against(explain({"id": 1}, "b")) == ("question: another value",)
    assert one.against(explain([1], 1)) == ("user: another type", "question: another type")


def test_under_a_backend_the_key_is_the_one_there(fresh_host):
    """So that it can be found."""
    backend = place("bytes", FakeClock())
    f = cached(backend=backend, name="x")(_ask)
    f(1, "a")
    assert backend.keys == [handle(f).explain(1, "a").key]


def test_a_scope_is_part_of_it(fresh_host):
    """By digest too."""
    f = cached(_ask)
    outside = handle(f).explain(1, "a")
    with agentperf.scope(tenant=SECRET, user="u"):
        inside = handle(f).explain(1, "a")
    assert [name for name, _ in inside.scope] == ["tenant"]
    assert inside.against(outside) == ("another scope",)
    assert "kept apart by tenant" in str(inside)
    assert SECRET not in str(inside)


def test_self_counts_by_identity(fresh_host):
    """Unless its class says by what."""

    class Agent:
        @cached
        def ask(self, x):
            return x

    class Keyed(Agent):
        def __agentperf_key__(self):
            return "k"

    first, second = (handle(Agent().ask).explain(1) for _ in range(2))
    assert counted(first) == {"self": "identity", "x": "value"}
    assert first.against(second) == ("what counts by identity, or what key= gives, is another",)
    first, second = (handle(Keyed().ask).explain(1) for _ in range(2))
    assert counted(first) == {"self": "value", "x": "value"}
    assert first.against(second) == ()


def test_another_function_has_other_keys(fresh_host):
    """That is said as well."""

    @cached(key="x")
    def f(x): ...

    @cached
    def g(x): ...

    reasons = handle(f).explain(1).against(handle(g).explain(2))
    assert reasons == ("another function or another way to make the key", "x: another value")


def test_what_has_no_key_cannot_be_explained(fresh_host):
    """The error is that of the call."""
    with pytest.raises(UncacheableArgumentError, match="client"):
        handle(cached(_ask)).explain(1, 2, client=object())


def test_nothing_is_looked_up_or_computed(fresh_host):
    """It only tells."""
    f = cached(_ask)
    handle(f).explain(1, 2)
    assert handle(f).cache.stats().misses == 0


def test_arguments_at_their_defaults_are_counted_not_listed():
    """A model client's method has forty of them."""

    @cached
    def ask(question, model="small", limit=10):
        return question

    explanation = handle(ask).explain("hi", limit=10)
    assert {argument.name: argument.given for argument in explanation.arguments} == {
        "question": True,
        "model": False,
        "limit": True,
    }
    assert "model:" not in str(explanation)
    assert str(explanation).endswith("and 1 more at their defaults")
    assert handle(ask).explain("hi", "small").against(explanation) == ()
    assert handle(ask).explain("ho", "small").against(explanation) == ("question: another value",)
