"""Keys of calls: bound arguments, `ignore=`, `key=`, templates, methods and errors."""

# ruff: noqa: D101, D102, D103, D106 -- the things to be keyed need no words
from __future__ import annotations

import functools
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import wrapt
from hypothesis import given
from hypothesis import strategies as st

from agentperf._base.keys import (
    InstanceTokens,
    Unkeyable,
    digest,
    freeze,
    key_maker,
    method_self,
    parse_fields,
)
from agentperf.errors import ConfigurationError, UncacheableArgumentError


class Client:
    """Has no value of its own."""


class User:
    def __init__(self, name: object) -> None:
        self.name = name


def key_of(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Make the function that gives the key of a call written as a call."""
    make = key_maker(function.__qualname__, inspect.signature(function), **options)
    return lambda *args, **kwargs: make(args, kwargs)


def no_parameters() -> None: ...
def one(prompt): ...
def pair(a, b): ...
def with_default(a, b=2): ...
def positional_only(a, b=2, /, c=3): ...
def keyword_only(a, *, b=2, c): ...
def variadic(a, *rest, b=2, **options): ...
def only_variadic(*rest): ...
def only_options(**options): ...
def internal_names(_freeze, __type, args, kwargs, _args, key, str, type, locals): ...  # noqa: A002, PLR0917
def four(a, b, c, d): ...


FUNCTIONS = [
    *(no_parameters, one, pair, with_default, positional_only, keyword_only, variadic),
    *(only_variadic, only_options, four, functools.partial(four, 1, c=2)),
]


@pytest.mark.parametrize(
    "call",
    [
        lambda key: key(1, 2),
        lambda key: key(1, b=2),
        lambda key: key(a=1, b=2),
        lambda key: key(b=2, a=1),
    ],
)
@pytest.mark.parametrize("function", [pair, with_default], ids=lambda each: each.__name__)
def test_every_way_to_write_a_call_shares_its_key(function: Any, call: Any) -> None:
    """What counts are the bound arguments."""
    assert call(key_of(function)) == (("int", 1), ("int", 2))


def test_defaults_are_applied() -> None:
    """A default that is passed and one that is left out are the same call."""
    assert key_of(with_default)(1) == key_of(with_default)(1, 2) == key_of(with_default)(1, b=2)
    assert key_of(keyword_only)(1, c=4) == key_of(keyword_only)(c=4, a=1, b=2)
    assert key_of(positional_only)(1) == key_of(positional_only)(1, 2, c=3)
    assert key_of(with_default)(1) != key_of(with_default)(1, 3)


def test_a_mutable_default_counts_as_it_is_when_called() -> None:
    """The function sees what a default has become, and so does the key."""
    shared: list[int] = []

    def collect(a, into=shared): ...

    key = key_of(collect)
    before = key(1)
    shared.append(1)
    assert key(1) != before
    assert key(1) == key(1, [1])


def test_one_parameter_is_keyed_by_its_value_alone() -> None:
    """The commonest call has the cheapest key: a prompt is its own key."""
    prompt = str(b"prompt", "ascii")
    assert key_of(one)(prompt) is prompt
    assert key_of(one)(prompt=prompt) is prompt
    assert key_of(one)([prompt]) == freeze([prompt])
    assert key_of(no_parameters)() == ()


def test_a_proxy_doesnt_pass_for_text() -> None:
    """An object that claims to be a `str` is not taken for one."""
    with pytest.raises(UncacheableArgumentError, match="ObjectProxy"):
        key_of(one)(wrapt.ObjectProxy("text"))


def test_variable_arguments() -> None:
    """Extra positions count in order, extra keywords in any order."""
    key = key_of(variadic)
    assert key(1, 2, 3) != key(1, 3, 2)
    assert key(1, x=1, y=2) == key(1, y=2, x=1) == key(y=2, x=1, a=1)
    assert key(1, x=1) != key(1, y=1)
    assert key(1, 2) != key(1, x=2) != key(1, b=3)
    assert key_of(only_options)(a=1, b=2) == key_of(only_options)(b=2, a=1)
    assert key_of(only_variadic)("a", "b") != key_of(only_variadic)("ab")


@given(
    st.sampled_from([pair, with_default, keyword_only, variadic, positional_only, four]),
    st.lists(st.integers(0, 2) | st.sampled_from("ab"), max_size=5),
    st.dictionaries(st.sampled_from("abcdxy"), st.integers(0, 2) | st.text(max_size=1), max_size=4),
)
def test_binding_agrees_with_inspect(
    function: Any, args: list[object], kwargs: dict[str, object]
) -> None:
    """The compiled binder and `Signature.bind` take and refuse the same calls alike."""
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        with pytest.raises(TypeError):
            key_of(function)(*args, **kwargs)
        return
    bound.apply_defaults()
    expected = tuple(freeze(value) for value in bound.arguments.values())
    assert key_of(function)(*args, **kwargs) == expected


WRONG_CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    ((1, 2, 3, 4, 5), {}),
    ((), {"promt": 1}),
    ((1,), {"a": 1}),
    ((1,), {"prompt": 1}),
    ((), {"a": 1, "c": 1}),
    ((1, 2), {}),
    ((1,), {"zzz": 1}),
]


@pytest.mark.parametrize("options", [{}, {"key": lambda *_, **__: 1}], ids=["plain", "key"])
@pytest.mark.parametrize(("args", "kwargs"), WRONG_CALLS)
@pytest.mark.parametrize(
    "function",
    [each for each in FUNCTIONS if hasattr(each, "__qualname__")] + [lambda a: None],
    ids=lambda each: each.__qualname__,
)
def test_a_wrong_call_raises_what_the_function_itself_would(
    function: Any, args: Any, kwargs: Any, options: Any
) -> None:
    """The TypeError has its very text, also where a function for `key=` would take the call."""
    own = wrong = None
    try:
        function(*args, **kwargs)
    except TypeError as error:
        own = error
    try:
        key_of(function, **options)(*args, **kwargs)
    except TypeError as error:
        wrong = error
    assert (type(wrong), str(wrong)) == (type(own), str(own))


def test_any_signature_can_be_compiled() -> None:
    """Partials, names that the compiled code uses itself, and odd defaults do no harm."""
    key = key_of(internal_names)
    assert key(1, 2, 3, 4, 5, "a", "b", "c", "d") == (
        *[("int", number) for number in (1, 2, 3, 4, 5)],
        *"abcd",
    )
    assert key(*"abcdefgh", locals="i") == tuple("abcdefghi")
    with pytest.raises(UncacheableArgumentError) as caught:
        key(*"abcdefgh", locals=Client())
    assert caught.value.parameter == "locals"
    part = functools.partial(four, 1, c=3)
    make = key_maker("four", inspect.signature(part))
    assert make((), {"b": 2, "d": 4}) == tuple(freeze(value) for value in (2, 3, 4))

    def odd(a="it's {_} {0}", *, b=Client): ...

    assert key_of(odd)() == ("it's {_} {0}", freeze(Client))


def test_makers_share_nothing() -> None:
    """Two functions of one name and signature have makers of their own."""
    first, second = key_of(one), key_of(one, key=len)
    assert (first("ab"), second("ab")) == ("ab", ("int", 2))


@pytest.mark.parametrize("ignore", ["b", ("b",), ["b"], {"b"}])
def test_ignored_parameters_dont_count(ignore: Any) -> None:
    """What is ignored may even have no key at all."""
    key = key_of(with_default, ignore=ignore)
    assert key("x") == key("x", 3) == key("x", b=Client()) == "x"


def test_ignoring_everything_leaves_one_key() -> None:
    """A function may be cached as a whole."""
    assert key_of(pair, ignore=("a", "b"))(1, 2) == key_of(pair, ignore=("a", "b"))(3, 4)


@pytest.mark.parametrize("key", ["b", ("b",), ["b"], {"b"}])
def test_named_parameters_alone_count(key: Any) -> None:
    """`key=` with one name or several says what counts; all else is left out."""
    made = key_of(with_default, key=key)
    assert made(1) == made(2, 2) == made(Client(), b=2) == ("int", 2)
    assert made(1, 3) != made(1, 2)


def test_the_order_of_names_doesnt_matter() -> None:
    """Names are a set, so a process that lists them otherwise agrees."""
    assert key_of(pair, key=("b", "a"))(1, 2) == key_of(pair, key=("a", "b"))(1, 2)


def test_a_template_stays_injective() -> None:
    """Fields count with their values and types, never by the text they would be formatted to."""
    key = key_of(pair, key="{a}:{b}")
    assert key("x", "y") == ("{a}:{b}", "x", "y")
    assert key("x:y", "z") != key("x", "y:z")
    assert key(1, "y") != key("1", "y") != key(True, "y")
    assert key([1, 2], 0) != key((1, 2), 0) != key("[1, 2]", 0)
    assert key(b=1, a=2) == key(2, 1)


def test_a_template_reads_attributes_and_items() -> None:
    """Fields reach into arguments as in `str.format`; the argument itself needs no key."""
    key = key_of(pair, key="{a.name}/{b[0][role]}")
    assert key(User("ann"), [{"role": "user"}, Client()]) == (
        "{a.name}/{b[0][role]}",
        "ann",
        "user",
    )
    assert key(User("ann"), [{"role": "user"}]) != key(User("bob"), [{"role": "user"}])


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((object(), [{}]), "{a.name} isn't there (AttributeError"),
        ((User("x"), []), "{b[0][role]} isn't there (IndexError"),
        ((User("x"), [{}]), "{b[0][role]} isn't there (KeyError"),
        ((User("x"), 5), "{b[0][role]} isn't there (TypeError"),
        ((User(Client()), [{"role": 1}]), "the argument a.name can't be keyed: a Client object"),
    ],
)
def test_a_field_that_cant_be_read_is_named(args: Any, words: str) -> None:
    """The error shows the field and what went wrong."""
    with pytest.raises(UncacheableArgumentError) as caught:
        key_of(pair, key="{a.name}/{b[0][role]}")(*args)
    assert words in str(caught.value)


def test_a_key_function_gets_the_call_as_it_was_made() -> None:
    """It sees positions and keywords as passed, and its result is frozen."""
    seen = []

    def by_length(*args, **kwargs):
        seen.append((args, kwargs))
        return [len(args), kwargs.get("b")]

    key = key_of(with_default, key=by_length)
    assert key(1, b=2) == freeze([1, 2])
    assert key(7, b=2) == key(1, b=2)
    assert seen[0] == ((1,), {"b": 2})


def test_errors_of_a_key_function_pass_through() -> None:
    """Its own TypeError is not taken for a wrong call."""

    def broken(prompt):
        return prompt + 1

    with pytest.raises(TypeError, match="concatenate"):
        key_of(one, key=broken)("text")
    with pytest.raises(ZeroDivisionError):
        key_of(one, key=lambda prompt: 1 / 0)("text")


def test_a_key_function_must_give_something_keyable() -> None:
    """The error says that it was `key=` that gave it."""
    with pytest.raises(UncacheableArgumentError) as caught:
        key_of(one, key=lambda prompt: {"client": Client()})("text")
    assert "one(): what key= gave can't be keyed at ['client']: a Client object" in str(
        caught.value
    )
    assert (caught.value.function, caught.value.parameter) == ("one", "")


@pytest.mark.parametrize(
    ("function", "args", "kwargs", "parameter", "path"),
    [
        (one, (Client(),), {}, "prompt", "prompt"),
        (one, (), {"prompt": [0, 1, 2, {"client": Client()}]}, "prompt", "prompt[3]['client']"),
        (pair, ("a", {"x": Client()}), {}, "b", "b['x']"),
        (with_default, (1, (Client(),)), {}, "b", "b[0]"),
        (variadic, (1, "a", Client()), {}, "rest", "rest[1]"),
        (variadic, (1,), {"client": Client()}, "options", "options['client']"),
        (keyword_only, (1,), {"c": Client()}, "c", "c"),
    ],
)
def test_an_argument_without_key_is_named_with_the_ways_out(
    function: Any, args: Any, kwargs: Any, parameter: str, path: str
) -> None:
    """The error leads to function, parameter and place, and shows all three ways out."""
    with pytest.raises(UncacheableArgumentError) as caught:
        key_of(function)(*args, **kwargs)
    error, text = caught.value, str(caught.value)
    name = function.__qualname__
    assert text.startswith(f"{name}(): the argument {path} can't be keyed: a Client object")
    for way_out in (f"ignore=({parameter!r},)", "key=(", "__agentperf_key__"):
        assert way_out in text
    assert (error.function, error.parameter) == (name, parameter)
    assert type(error) is UncacheableArgumentError
    assert str(pickle.loads(pickle.dumps(error))) == text  # noqa: S301


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ignore": "promt"}, ["ignore='promt'", "one()", "did you mean 'prompt'?", "ignore=("]),
        ({"ignore": ["zzz"]}, ["ignore=['zzz']", "no parameter 'zzz'; write ignore="]),
        ({"ignore": 5}, ["ignore=5", "doesn't name parameters"]),
        ({"ignore": [5]}, ["ignore=[5]", "doesn't name parameters"]),
        ({"key": "promt"}, ["key='promt'", "did you mean 'prompt'?", 'key="user_id"']),
        ({"key": ("promt",)}, ["key=('promt',)", "did you mean 'prompt'?"]),
        ({"key": "{promt}"}, ["key='{promt}'", "did you mean 'prompt'?", "{user.id}"]),
        ({"key": ()}, ["key=()", "is empty", 'key="user_id"']),
        ({"key": []}, ["key=[]", "is empty"]),
        ({"key": ""}, ["key=''", "no parameter ''"]),
        ({"key": 5}, ["key=5", "doesn't name parameters"]),
        ({"key": b"prompt"}, ["key=b'prompt'", "doesn't name parameters"]),
        ({"key": "{{}}"}, ["key='{{}}'", "has no fields"]),
        ({"key": "{}"}, ["key='{}'", "{} begins with no parameter's name"]),
        ({"key": "{0}"}, ["key='{0}'", "{0} begins with no parameter's name"]),
        ({"key": "{prompt!r}"}, ["has a format or a conversion"]),
        ({"key": "{prompt:>10}"}, ["has a format or a conversion"]),
        ({"key": "{prompt"}, ["key='{prompt'", "expected '}'"]),
        ({"key": "prompt}"}, ["key='prompt}'", "Single '}'"]),
        ({"key": "{prompt.}"}, ["key='{prompt.}'"]),
        ({"key": "prompt", "ignore": "prompt"}, ["key='prompt'", "ignore='prompt'", "exclude"]),
    ],
    ids=str,
)
def test_bad_options_are_refused_at_once(options: Any, words: list[str]) -> None:
    """The error names the option, shows a good example, and guesses at misspellings."""
    with pytest.raises(ConfigurationError) as caught:
        key_of(one, **options)
    for word in words:
        assert word in str(caught.value)
    assert "write " in str(caught.value)


def test_fields_of_a_template() -> None:
    """Whoever renders templates reads them with the same parser."""
    fields = parse_fields("profile:{user.id}:{items[0][name]}:{plain}:{{x}}", "tags")
    assert [(field.parameter, field.path) for field in fields] == [
        ("user", ".id"),
        ("items", "[0][name]"),
        ("plain", ""),
    ]
    assert fields[1].read([{"name": "a"}]) == "a"
    assert fields[2].read(5) == 5
    assert parse_fields("no fields") == ()
    with pytest.raises(ConfigurationError, match="tags="):
        parse_fields("{a!r}", "tags")


class Agent:
    def __init__(self, model: str = "m") -> None:
        self.model = model

    def ask(self, prompt): ...

    def other(this, prompt): ...  # noqa: N805

    @classmethod
    def build(cls, prompt): ...

    class Inner:
        def ask(self): ...


class Tenant(Agent):
    def __agentperf_key__(self) -> str:
        return self.model


def test_instances_have_keys_of_their_own() -> None:
    """Two instances never share, one instance always does, alive or made anew."""
    key = key_of(Agent.ask, instance=InstanceTokens())
    first, second = Agent(), Agent()
    assert key(first, "x") == key(first, "x") == key(self=first, prompt="x")
    assert key(first, "x") != key(second, "x")
    seen = {key(Agent(), "x") for _ in range(100)}
    assert len(seen) == 100


def test_classes_have_keys_of_their_own() -> None:
    """A class method tells classes apart, also those that a function defines."""

    class Local(Agent):
        pass

    key = key_of(Agent.build.__func__, instance=InstanceTokens())
    assert key(Local, "x") == key(Local, "x") != key(Agent, "x") != key(Tenant, "x")


def test_a_class_may_say_what_its_instances_are_keyed_by() -> None:
    """`__agentperf_key__` goes before the token, so equal instances share."""
    key = key_of(Agent.ask, instance=InstanceTokens())
    assert key(Tenant("a"), "x") == key(Tenant("a"), "x") != key(Tenant("b"), "x")
    assert digest(key(Tenant("a"), "x")) == digest(key(Tenant("a"), "x"))
    plain = Agent()
    assert key(plain, "x") == key(plain, "x") != key(Tenant("m"), "x")
    assert key(Tenant("a"), "x") == key(Tenant("a"), "x"), "also after an instance without it"


def test_self_counts_with_key_only_if_named() -> None:
    """Names and templates say exactly what counts, of `self` too."""
    first, second, tokens = Agent("a"), Agent("b"), InstanceTokens()
    assert key_of(Agent.ask, key="prompt", instance=tokens)(first, "x") == "x"
    both = key_of(Agent.ask, key=("self", "prompt"), instance=tokens)
    assert both(first, "x") != both(second, "x")
    assert key_of(Agent.ask, ignore="self", instance=tokens)(first, "x") == "x"
    by_model = key_of(Agent.ask, key="{self.model}:{prompt}", instance=tokens)
    assert by_model(first, "x") == by_model(Agent("a"), "x") != by_model(second, "x")
    whole = key_of(Agent.ask, key="{self}:{prompt}", instance=tokens)
    assert whole(first, "x") != whole(second, "x")


def test_an_instance_that_cant_be_referenced_weakly_is_refused() -> None:
    """The error names the function and says what to add to the class."""

    class Small:
        __slots__ = ("model",)

        def ask(self, prompt): ...

    tokens = InstanceTokens()
    with pytest.raises(UncacheableArgumentError) as caught:
        key_of(Small.ask, instance=tokens)(Small(), "x")
    assert "'__weakref__' to the __slots__" in str(caught.value)
    assert "__agentperf_key__" in str(caught.value)
    assert (caught.value.function, caught.value.parameter) == (Small.ask.__qualname__, "self")
    with pytest.raises(Unkeyable):
        tokens(Small())


def test_without_tokens_self_is_a_value_like_any_other() -> None:
    """A function that takes something called `self` keys it by value."""
    assert key_of(Agent.ask)("a", "b") == ("a", "b")
    with pytest.raises(UncacheableArgumentError, match="the argument self can't be keyed"):
        key_of(Agent.ask)(Agent(), "b")


def test_methods_are_known_by_where_they_are_defined() -> None:
    """Only a function of a class body whose first parameter is `self` or `cls` is a method."""

    def nested(self): ...

    def free(self): ...

    free.__qualname__ = "free"
    cases = [
        (Agent.ask, True),
        (Agent.Inner.ask, True),
        (Agent.other, False),
        (Agent.build.__func__, True),
        (nested, False),
        (free, False),
        (one, False),
        (no_parameters, False),
    ]

    class Local:
        def ask(self): ...

    for function, expected in [*cases, (Local.ask, True)]:
        assert method_self(function, inspect.signature(function)) is expected, function
