"""Tests for what tells a cached function from others in the same backend."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import openai
import pytest

import agentperf
from agentperf.errors import ConfigurationError
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import FakeLLM, fresh_host


class Shared(MemoryBackend):
    """Entries that others are said to see too."""

    shared = True


@pytest.fixture
def shared():
    """Give a backend of that kind."""
    return Shared()


def add(a, b):
    """Write a sum."""
    return f"{a}+{b}"


class Greeter:
    """Is no value."""

    def __init__(self, name):
        self.name = name

    def greet(self, whom):
        """Greet somebody."""
        return f"{self.name} greets {whom}"

    __call__ = greet

    @classmethod
    def meet(cls, whom):
        """Meet somebody."""
        return f"{cls.__name__} meets {whom}"


class Known(Greeter):
    """Says what it is keyed by."""

    def __agentperf_key__(self):
        return self.name


@pytest.mark.parametrize("kind", [Shared, MemoryBackend])
def test_partials_of_one_function_are_two(kind):
    """What a partial holds counts, in a backend of one's own too."""
    backend = kind()
    cached = agentperf.cached(backend=backend)
    one, two = (cached(functools.partial(add, first)) for first in (1, 2))
    assert (one(5), two(5), one(5)) == ("1+5", "2+5", "1+5")


def test_a_partial_is_the_same_in_another_process(shared):
    """An equal partial finds the answers."""
    for _ in range(2):
        with fresh_host():
            made = agentperf.cached(backend=shared)(functools.partial(add, 1))
            assert made(5) == "1+5"
            hits = agentperf.handle(made).cache.stats().hits
    assert hits == 1


@pytest.mark.parametrize("of", [lambda greeter: greeter.greet, lambda greeter: greeter])
def test_what_an_object_says_it_is_keyed_by_counts(shared, of):
    """Methods taken from objects, and objects that can be called."""
    anna, bert, again = (
        agentperf.cached(backend=shared)(of(Known(name))) for name in ("anna", "bert", "anna")
    )
    assert anna("you") == "anna greets you"
    assert bert("you") == "bert greets you"
    assert again("you") == "anna greets you"
    assert agentperf.handle(again).cache.stats().hits == 1


@pytest.mark.parametrize(
    "function",
    [Greeter("anna").greet, Greeter("anna"), functools.partial(add, Greeter("anna"))],
    ids=["method", "object", "partial"],
)
def test_what_nobody_else_can_know_needs_a_name(shared, function):
    """It would give the answers of another object otherwise."""
    with pytest.raises(ConfigurationError, match=r'name="search"'):
        agentperf.cached(backend=shared)(function)
    assert agentperf.cached(backend=shared, name="greet")(function)


def test_what_nobody_else_can_know_is_kept_apart_where_nobody_else_is():
    """Each gets a place of its own in a backend of the process."""
    backend = MemoryBackend()
    one, two = (agentperf.cached(backend=backend)(Greeter(name).greet) for name in "ab")
    assert (one("x"), two("x")) == ("a greets x", "b greets x")


def test_a_class_goes_by_its_name(shared):
    """A class method taken from its class, or from a class below it."""
    mine, theirs = (agentperf.cached(backend=shared)(kind.meet) for kind in (Greeter, Known))
    assert (mine("x"), theirs("x")) == ("Greeter meets x", "Known meets x")


def client(llm, **options):
    """Make a client of the fake model."""
    return openai.OpenAI(**{"base_url": llm.base_url, "api_key": "sk-secret-1", **options})


def ask(create):
    """Ask the fake model something."""
    return create(model="small", messages=[{"role": "user", "content": "hi"}])


def test_a_model_client_counts_by_where_and_for_whom_it_calls(shared):
    """Another key, organisation, project or address makes another cache; an equal client shares."""
    with FakeLLM() as llm:
        others = [
            {},
            {"api_key": "sk-secret-2"},
            {"organization": "acme"},
            {"project": "roof"},
            {"base_url": llm.base_url.replace("127.0.0.1", "localhost")},
            {"default_query": {"api-version": "2"}},
            {"default_headers": {"x-tenant": "7"}},
        ]
        for made, options in enumerate(others, 1):
            for _ in range(2):
                with client(llm, **options) as one:
                    ask(agentperf.cached(backend=shared)(one.chat.completions.create))
            assert llm.stats().calls == made
        with client(llm) as one:
            partial = functools.partial(one.chat.completions.create, model="small")
            for _ in range(2):
                agentperf.cached(backend=shared)(partial)(
                    messages=[{"role": "user", "content": "hi"}]
                )
            assert llm.stats().calls == len(others) + 1


def test_the_secrets_of_a_client_are_in_no_key(shared):
    """They count, as part of a digest."""
    with FakeLLM() as llm, client(llm) as one:
        create = agentperf.cached(backend=shared)(one.chat.completions.create)
        ask(create)
        explained = agentperf.handle(create).cache.explain(model="small", messages=[])
        assert "secret" not in str(explained) + explained.key


def test_a_client_can_be_self_in_a_shared_backend(shared):
    """A method of the client's class, called with a client."""

    class Completions:
        def __init__(self, base_url):
            self._client = SimpleNamespace(base_url=base_url, api_key="x")

        def create(self, prompt):
            return f"{self._client.base_url} {prompt}"

    Completions.create.__qualname__ = "Completions.create"
    create = agentperf.cached(backend=shared)(Completions.create)
    assert create(Completions("a"), "x") == "a x"
    assert create(Completions("b"), "x") == "b x"
    create(Completions("a"), "x")
    assert agentperf.handle(create).cache.stats().hits == 1
