"""What makes two calls the same."""

from __future__ import annotations

import dataclasses
import pickle
from collections import namedtuple

import pytest

from agentperf import Cache, ConfigurationError, cached, handle
from agentperf.errors import UncacheableArgumentError
from tests.unit.policies.cached.calls import Counted, figures, outcome

pytestmark = pytest.mark.anyio

DISTINCT = [
    *([1, 2], (1, 2), "1:2", "[1, 2]", {1, 2}, frozenset({1, 2}), {1: 2}),
    *(1, True, 1.0, "1", b"1", 0, False, 0.0, -0.0, "0"),
    *(None, "", b"", [], (), {}, "None", [None], [""], ([],)),
    *([[1], 2], [[1, 2]], [1, [2]], {"a": 1}, {"a": True}, {"a": "1"}, ["a", 1], [("a", 1)]),
]


async def test_different_arguments_never_share_an_answer(fresh_host):
    """By value and by type, in any nesting."""
    source = Counted(lambda x: len(handle(f).cache._state.store))
    f = cached(source.function("async"))
    answers = [await f(value) for value in DISTINCT]
    assert answers == list(range(len(DISTINCT)))
    assert [await f(value) for value in DISTINCT] == answers


def test_spellings_of_one_call_share_an_answer(fresh_host):
    """Positional, by name, with the default said or left out: one entry."""
    calls = []

    @cached
    def f(a, b=2, *rest, c=3, **others):
        calls.append(1)

    f(1)
    f(1, 2)
    f(1, b=2)
    f(b=2, a=1)
    f(a=1, c=3)
    assert len(calls) == 1
    f(1, 2, 3)
    f(1, 2, d=3)
    f(1, 2, e=3)
    assert len(calls) == 4


def test_a_wrong_call_raises_what_the_function_raises(fresh_host):
    """And leaves the cache alone."""
    f = cached(lambda a: a)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        f()
    assert figures(f) == (0, 0, 0)


class Agent:
    """Has cached methods of every kind; equality says nothing about identity."""

    made = 0

    def __init__(self):
        self.calls = 0

    def __eq__(self, other):
        return True

    __hash__ = None

    @cached
    def run(self, x=0):
        """Count."""
        self.calls += 1
        return (id(self), x)

    @cached
    async def arun(self, x=0):
        """Count."""
        self.calls += 1
        return (id(self), x)

    @cached
    @classmethod
    def make(cls):
        """Count per class."""
        cls.made += 1
        return cls.__name__

    @cached
    @staticmethod
    def add(a, b):
        """Without an instance."""
        return [a, b]


class Other(Agent):
    """Inherits them."""

    made = 0


@pytest.mark.parametrize("name", ["run", "arun"])
async def test_instances_do_not_share(fresh_host, name):
    """Each has answers of its own, equal or not, hashable or not."""
    one, two = Agent(), Agent()
    for agent in (one, two, one, two):
        assert await outcome(getattr(agent, name)(1)) == (id(agent), 1)
    assert (one.calls, two.calls) == (1, 1)


def test_a_new_instance_at_an_old_address_is_new(fresh_host):
    """What was kept for one that is gone is never given to its successor."""
    addresses = set()
    for _ in range(50):
        agent = Agent()
        agent.run()
        assert agent.calls == 1
        addresses.add(id(agent))
        del agent
    assert len(addresses) < 50, "no address was used twice: the test shows nothing"


def test_class_and_static_methods(fresh_host):
    """A class method is cached for each class, a static one for its arguments."""
    assert [Agent.make(), Agent.make(), Other.make(), Other().make()] == [
        *("Agent", "Agent", "Other", "Other")
    ]
    assert (Agent.made, Other.made) == (1, 1)
    assert Agent.add(1, 2) == Agent().add(1, b=2) == [1, 2]
    assert figures(Agent.add) == (1, 1, 0)


def test_a_class_can_say_what_its_instances_are_keyed_by(fresh_host):
    """Then two of them share what their keys share."""

    class Client:
        def __init__(self, url):
            self.url = url
            self.calls = 0

        def __agentperf_key__(self):
            return self.url

        @cached
        def get(self, path):
            self.calls += 1
            return path

    one, same, other = Client("a"), Client("a"), Client("b")
    for client in (one, same, other):
        client.get("/")
    assert (one.calls, same.calls, other.calls) == (1, 0, 1)


def test_a_dataclass_counts_as_itself_and_by_value_as_an_argument(fresh_host):
    """As `self` it is this very instance; handed in, what it holds."""

    @dataclasses.dataclass(frozen=True)
    class Question:
        text: str

        @cached
        def answer(self):
            return []

    one, two = Question("q"), Question("q")
    assert one.answer() == two.answer()
    assert figures(Question.answer) == (0, 2, 0)
    f = cached(lambda question: [])
    f(one)
    f(two)
    f(Question("other"))
    assert figures(f) == (1, 2, 0)


User = namedtuple("User", "id name")  # noqa: PYI024 - what users write


@pytest.mark.parametrize(
    "options",
    [
        {"key": "user_id"},
        {"key": ("user_id",)},
        {"key": ["user_id"]},
        {"key": "{user_id}"},
        {"key": lambda user_id, text, trace=None: user_id},
        {"ignore": ("text", "trace")},
        {"ignore": ["trace", "text"]},
    ],
)
def test_what_counts_can_be_said(fresh_host, options):
    """By names of parameters, a template or a callable; or by what doesn't count."""
    f = cached(**options)(lambda user_id, text, trace=None: [])
    f(1, "a")
    f(user_id=1, text="b", trace=object())
    f(2, "a")
    f("1", "a")
    assert figures(f) == (1, 3, 0)


def test_a_template_counts_values_not_their_text(fresh_host):
    """`{a}:{b}` doesn't confuse what the text would."""
    f = cached(key="{a.id}:{b[0]}")(lambda a, b: [])
    f(User("1:2", "x"), ["3"])
    f(User("1", "x"), ["2:3"])
    f(User(1, "y"), ["2:3"])
    f(User(1, "z"), ["2:3", "more"])
    assert figures(f) == (1, 3, 0)


def test_ignore_leaves_out_what_has_no_key(fresh_host):
    """The usual case: a client handed in with the call."""
    f = cached(ignore="client")(lambda client, text: [text])
    assert f(object(), "a") == f(object(), "a") == ["a"]
    assert figures(f) == (1, 1, 0)


def test_an_argument_without_a_key_says_what_to_do(fresh_host):
    """The error names function and parameter, shows both ways out, and pickles; nothing ran."""

    def ask(client, text):
        raise AssertionError("it must not run")

    f = cached(ask)
    with pytest.raises(UncacheableArgumentError) as raised:
        f(object(), "a")
    error = raised.value
    assert isinstance(error, TypeError)
    assert error.parameter == "client"
    assert "ask" in error.function
    for part in ("ask", "client", "ignore=", "key="):
        assert part in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own
    assert figures(f) == (0, 0, 0)


def test_an_object_is_never_keyed_by_its_address(fresh_host):
    """Two objects that look alike are refused, not taken for one."""
    f = cached(lambda x: 1)
    for thing in (object(), iter([1]), lambda: 1, [object()], {"a": object()}):
        with pytest.raises(UncacheableArgumentError):
            f(thing)


def test_a_callable_with_other_parameters_says_what_to_write(fresh_host):
    """It gets the arguments as the call passes them."""

    @cached(key=lambda z: z)
    def f(x):
        return x

    assert f("a") == f("a") == "a"
    with pytest.raises(ConfigurationError, match=r"key= of .*f\(\) can't be called.*lambda x: "):
        f(x="a")


def test_a_callable_that_fails_raises_what_it_raises(fresh_host):
    """It is not the call of it that is wrong."""
    f = cached(key=len)(lambda x: x)
    with pytest.raises(TypeError, match="has no len") as raised:
        f(5)
    assert not isinstance(raised.value, ConfigurationError)


def test_the_advice_fits_where_the_argument_was_given(fresh_host):
    """An item can't be ignored, and the key of a `Cache` has no options."""

    @cached(per_item="docs")
    def f(docs):
        return [1 for _ in docs]

    with pytest.raises(UncacheableArgumentError) as raised:
        f([object()])
    assert "ignore=" not in str(raised.value)
    assert 'key="{docs.id}"' in str(raised.value)
    for call in (Cache().get, Cache().delete, lambda key: Cache().set(key, 1)):
        with pytest.raises(UncacheableArgumentError) as raised:
            call(object())
        assert "Give text, a number" in str(raised.value)
        assert "ignore=" not in str(raised.value)
        assert "key=" not in str(raised.value)
