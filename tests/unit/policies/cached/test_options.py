"""Bad options are refused before any call, by name and with a good example."""

from __future__ import annotations

import datetime as dt
import functools
import math

import pytest

from agentperf import Cache, ConfigurationError, cache_control, cached, handle
from agentperf.policies.cached.memory.backend import MemoryBackend


class Something:
    """A class."""


BAD = {
    "ttl": [0, -1, 0.0, math.nan, math.inf, True, "", "10 bananas", "-5s", b"5s", [5], object()],
    "max_entries": [0, -1, 1.5, "10", True, None, "Auto", ""],
    "max_bytes": [0, -1, 1.5, "", "10 bananas", "-1kB", True, b"1kB"],
    "backend": ["memory:", "memory:mru", "memory:lru:x"],
    "copy": ["maybe", None, True, ["auto"]],
    "scope": ["x", None, "", ["tenant"]],
    "jitter": [-0.1, 1, 1.0, "100%", "-5%", "0.1", None, True, math.nan],
    "stale": [0, -1, "soon", True],
    "stale_on_error": [0, -1, "soon", True],
    "refresh_ahead": [0, 1, 1.5, -0.1, "0.8", "0%", "100%", math.nan],
    "negative_ttl": [
        0,
        -1,
        "soon",
        True,
        {LookupError: 0},
        {"LookupError": 5},
        {KeyboardInterrupt: 5},
    ],
    "on_abandon": ["stop", None, True],
    "soft_timeout": [0, -1, "soon", True],
    "hard_timeout": [0, -1, "soon", True],
    "version": ["", 2, 2.0, b"2", True, ["auto"]],
    "per_item": ["", 5, b"a", ["a"], "nope"],
    "name": ["", 5, b"x"],
    "enabled": ["", 5, None],
    "key": [5, (), ("a", 5), [""], "nope", ("a", "nope"), "{nope}", "{a", "{a!r}", "{}", "{0}"],
    "ignore": [5, None, "nope", ("a", "nope"), (5,)],
}
EXAMPLES = {
    "ttl": '"5m"',
    "max_entries": "max_entries=10_000",
    "max_bytes": '"256MB"',
    "backend": '"memory:lru"',
    "copy": '"share"',
    "scope": '"tenant"',
    "jitter": "jitter=0.1",
    "stale": '"5m"',
    "stale_on_error": '"5m"',
    "refresh_ahead": "refresh_ahead=0.8",
    "negative_ttl": "",
    "on_abandon": '"cancel"',
    "soft_timeout": '"5m"',
    "hard_timeout": '"5m"',
    "version": 'version="2"',
    "per_item": 'per_item="texts"',
    "name": 'name="search"',
    "enabled": "lambda",
    "key": '"{user',
    "ignore": 'ignore="client"',
}


@pytest.mark.parametrize(
    ("option", "value"), [(option, value) for option, values in BAD.items() for value in values]
)
def test_a_malformed_option_is_refused(option, value):
    """The error names the parameter and shows how to write it."""

    def function(a, b=1):
        raise AssertionError("it must not run")

    with pytest.raises(ConfigurationError) as raised:
        cached(**{option: value})(function)
    assert str(raised.value).startswith(f"{option}=")
    assert EXAMPLES[option] in str(raised.value)


@pytest.mark.parametrize(
    "ttl", [1, 0.5, "250ms", "5m", "1h30m", dt.timedelta(seconds=3), None], ids=str
)
def test_a_duration_is_understood(ttl):
    """Numbers, text and `timedelta`."""
    cached(ttl)(lambda: 1)


def test_what_counts_and_what_does_not_exclude_each_other():
    """Both at once contradict."""
    with pytest.raises(ConfigurationError, match=r"key= and ignore= contradict each other"):
        cached(key="a", ignore="b")(lambda a, b: 1)


def test_an_unknown_option_is_refused():
    """Before anything is decorated."""
    with pytest.raises((ConfigurationError, TypeError), match="tll"):
        cached(tll=5)


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (Something, "Something is a class; decorate its methods"),
        (property(lambda self: 1), "put the decorator below @property"),
        (functools.cached_property(lambda self: 1), "put the decorator below @property"),
    ],
    ids=["class", "property", "cached_property"],
)
def test_what_cannot_be_decorated_is_refused(thing, message, bare):
    """With options or without."""
    with pytest.raises(ConfigurationError, match=message):
        cached(thing) if bare else cached(60)(thing)


def test_a_value_cannot_be_decorated():
    """The error shows a function that can."""
    with pytest.raises(ConfigurationError, match=r"can't be called; decorate a function"):
        cached(60)("text")


def test_a_class_method_can_be_decorated_bare():
    """The decorator may stand above `@classmethod`, although that can't be called itself."""

    class Agent:
        @cached
        @classmethod
        def name(cls):
            return "agent"

    assert Agent.name() == "agent"


async def _later(*args, **kwargs):
    return "x"


async def _one_by_one(*args, **kwargs):
    yield "x"


@pytest.mark.parametrize("option", ["key", "tags", "store_if"])
@pytest.mark.parametrize("given", [_later, _one_by_one, functools.partial(_later, 1)])
def test_what_would_never_be_awaited_is_refused(option, given):
    """The coroutine would count as the answer: always true, never the same key."""
    with pytest.raises(ConfigurationError, match=rf"^{option}=_.*: an async .*; give a plain one"):
        cached(**{option: given})(lambda x: x)


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("memory?near_ttl=2s", r"comes after a \+, such as"),
        ("answers.db", 'for a file write backend="sqlite:answers.db"'),
        ("./answers", 'for a file write backend="sqlite:./answers"'),
        ("MEMORY", "small letters, such as 'memory'"),
        ("SQLite:answers.db", "small letters, such as 'sqlite'"),
        ("Redis://user:secret@host", "small letters, such as 'redis'"),
        ("Memory+redis://user:secret@host", r"small letters, such as 'memory\+redis'"),
    ],
)
def test_a_misspelt_address_says_what_was_meant(backend, message):
    """At decoration, and without repeating what may be a password."""
    with pytest.raises(ConfigurationError, match=message) as raised:
        cached(backend=backend)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "backend",
    ["sqlite:x.db", "memory+sqlite:x.db", MemoryBackend()],
    ids=["file", "tiers", "object"],
)
@pytest.mark.parametrize("bound", [5, "auto"])
def test_entries_are_bounded_in_memory_only(backend, bound):
    """Elsewhere something else bounds them, and the error says what."""
    with pytest.raises(ConfigurationError, match=r"^max_entries=.* bounds answers in memory"):
        cached(backend=backend, max_entries=bound)


def test_a_share_may_be_text():
    """As in a configuration file."""
    options = cached(ttl="10m", jitter="10%", refresh_ahead="80%").options
    assert (options.jitter, options.refresh_ahead) == (0.1, 0.8)


def test_a_function_and_options_do_not_go_together():
    """They would be dropped, or be a TypeError of Python's own."""
    for options in ({"ttl": "1m"}, {"key": "x"}, {"name": "f"}, {"enabled": False}):
        with pytest.raises(ConfigurationError, match=r"cached\(ttl=\"10m\"\)\(f\)"):
            cached(lambda x: x, **options)
    with pytest.raises(ConfigurationError, match="one time to live is enough"):
        cached("1m", ttl="2m")


def test_a_misspelt_option_of_a_codec_is_named():
    """Its value is not: it may be the secret."""
    with pytest.raises(ConfigurationError, match="no option 'compres'; did you mean 'compress"):
        cached(backend="sqlite:x.db", codec={"compres": 1})
    with pytest.raises(ConfigurationError, match="no option 'secrt'") as raised:
        cached(backend="sqlite:x.db", codec={"secrt": "open sesame open sesame"})
    assert "sesame" not in str(raised.value)


@pytest.mark.parametrize("call", [Cache, cache_control, cached])
def test_a_misspelt_option_is_refused_everywhere(call):
    """With what was meant."""
    with pytest.raises(ConfigurationError, match=r"no option 'tll'; did you mean ttl=3"):
        call(tll=3)


@pytest.mark.parametrize(
    ("backend", "place"),
    [
        ("memory", "memory"),
        ("memory:lru", "memory"),
        ("sqlite:~anna/x.db?max_bytes=1MB", "sqlite"),
        ("redis://user:secret@host:6379/0", "redis"),
        ("memory+redis://user:secret@host", "memory+redis"),
        ("memory?near_ttl=2s+redis://user:secret@host", "memory+redis"),
        (MemoryBackend(), "MemoryBackend"),
    ],
    ids=lambda each: each if isinstance(each, str) else "object",
)
def test_a_repr_says_where_and_never_the_address(backend, place):
    """Of the policy, of its options and of a cache by name."""
    policy = cached("1m", backend=backend)
    assert f"backend={place!r}" in repr(policy)
    assert policy.options.place == place
    assert "secret" not in repr(policy)
    assert "anna" not in repr(policy)


def test_a_handle_and_a_cache_say_where(fresh_host, tmp_path):
    """Beside their figures."""
    f = cached(lambda x: x)
    assert " in memory: 0.0% hits" in repr(handle(f).cache)
    assert "<Cache.pages in memory: 0.0% hits" in repr(Cache(name="pages"))
    file = f"sqlite:{tmp_path / 'x.db'}"
    assert "<Cache.pages in sqlite: 0.0% hits" in repr(Cache(name="pages", backend=file))
