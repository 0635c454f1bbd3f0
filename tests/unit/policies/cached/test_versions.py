"""Versions: other versions have other entries, and `"auto"` sees what the code is."""

from __future__ import annotations

import functools
import subprocess
import sys

import pytest

from agentperf import cached, errors, handle
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.policies.cached.versions import version_of
from agentperf.testing import fresh_host
from tests.unit.policies.cached.calls import PLAIN, Counted, outcome

pytestmark = pytest.mark.anyio


class Shared(MemoryBackend):
    """Two functions of one name share its entries."""

    shared = True


def _auto(source, name="f", **names):
    namespace = dict(names)
    exec(compile(source, "<a file>", "exec"), namespace)  # noqa: S102 - code of this file's
    return version_of(namespace[name], "auto")


@pytest.mark.parametrize("colour", PLAIN)
async def test_another_version_finds_other_entries(colour):
    """On a backend that outlives the process."""
    backend, source = Shared(), Counted()
    for version in [None, "1", "2", "auto", "1", None]:
        with fresh_host():  # another process
            f = cached(version=version, backend=backend, name="f")(source.function(colour))
            assert await outcome(f(1)) == [1]
    assert source.calls == 4


def test_a_version_counts_in_memory_too(fresh_host):
    """Where a function is defined again under the same name, as in a notebook."""

    def define(text):
        namespace = {"cached": cached}
        exec(f"@cached(name='f', version='auto')\ndef f(x):\n    return x + {text}", namespace)  # noqa: S102
        return namespace["f"]

    first, second, same = define(1), define(2), define(1)
    assert (first(1), second(1), same(1)) == (2, 3, 2)
    assert handle(same).cache.stats().misses == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(x):\n return x + 1", "def f(x):\n return x + 2"),
        ("def f(x):\n return x + 1", "def f(x):\n return x - 1"),
        ("def f(x):\n return a(x)", "def f(x):\n return b(x)"),
        ("def f(x):\n return 1", "def f(x):\n return 1.0"),
        ("def f(x):\n return 1", "def f(x):\n return True"),
        ("def f(x):\n return x in {1, 2}", "def f(x):\n return x in {1, 3}"),
        ("def f(x, y=1):\n return x", "def f(x, y=2):\n return x"),
        ("def f(x, *, y=1):\n return x", "def f(x, *, y=2):\n return x"),
        ("def f(x, *, y=1):\n return x", "def f(x, y=1):\n return x"),
        ("def f(x):\n return [y + 1 for y in x]", "def f(x):\n return [y + 2 for y in x]"),
        ("def f(x):\n return lambda: 1", "def f(x):\n return lambda: 2"),
        ("def f(x):\n return x", "async def f(x):\n return x"),
        ("def f(x):\n try:\n  a()\n except B: b()", "def f(x):\n a()\n try: pass\n except B: b()"),
    ],
)
def test_other_code_is_another_version(one, other):
    """Operators, names, constants and their types, defaults, nested code."""
    assert _auto(one) == _auto(one)
    assert _auto(one) != _auto(other)


def test_places_comments_and_names_dont_count():
    """What the function does is the same."""
    assert _auto("def f(x):\n return x") == _auto("# hello\n\ndef g(x):  # x\n    return x", "g")


def test_what_a_function_closes_over_counts():
    """Two functions of one code may give other answers."""
    source = "def make(y):\n def f(x):\n  return x + y\n return f\nf = make({})"
    assert _auto(source.format(1)) == _auto(source.format(1))
    assert _auto(source.format(1)) != _auto(source.format(2))
    late = "def make():\n def f(x):\n  return y\n if 0:\n  y = 1\n return f\nf = make()"
    assert _auto(late) == _auto(late)


def test_what_has_no_value_counts_by_its_type():
    """Never by its address."""
    source = "def f(x, y=Thing(), z=lambda: 1):\n return x"

    class Thing:
        __slots__ = ()

        def __iter__(self):
            return self

        def __next__(self):
            raise StopIteration

    assert _auto(source, Thing=Thing) == _auto(source, Thing=Thing)


def test_foreign_decorators_are_seen_through():
    """What they wrap counts, and so do they."""

    def decorated(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        return wrapper

    one, other = decorated(lambda x: x + 1), decorated(lambda x: x + 2)
    assert version_of(one, "auto") != version_of(other, "auto")
    bare = version_of(one.__wrapped__, "auto")
    assert bare != version_of(one, "auto")
    assert bare == version_of(functools.partial(one.__wrapped__, 1), "auto")


def test_a_callable_object_goes_by_its_class():
    """By the code of `__call__`."""

    class Adds:
        def __call__(self, x):
            return x + 1

    class Takes:
        def __call__(self, x):
            return x - 1

    assert version_of(Adds(), "auto") == version_of(Adds(), "auto") != version_of(Takes(), "auto")


def test_what_has_no_code_is_refused_at_decoration():
    """With what to do."""
    with pytest.raises(errors.ConfigurationError, match=r'no Python code.*version="2"'):
        cached(version="auto")(len)


def test_the_explanation_says_so(fresh_host):
    """And the keys of two versions differ in nothing else."""
    one, other = cached(version="1")(lambda x: x), cached(version="2")(lambda x: x)
    explained = handle(one).cache.explain(1)
    assert explained.made_by == "all arguments, and the version"
    assert explained.key != handle(other).cache.explain(1).key


_SCRIPT = """
from agentperf.policies.cached.versions import version_of

def f(x, y=frozenset({"a", "b", "c"}), *, z=None):
    return x in {"one", "two", "three", "four"} and [g(y) for y in x]

print(version_of(f, "auto"))
"""


def test_it_is_the_same_in_every_process():
    """Whatever the seed of its hashes."""
    versions = {
        subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in range(4)
    }
    assert len(versions) == 1
