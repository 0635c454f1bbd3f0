"""Digests and names agree between processes, hash seeds and Pythons."""

# ruff: noqa: D103 -- what runs the script needs no words
from __future__ import annotations

import datetime as dt
import decimal
import os
import pathlib
import shutil
import subprocess
import sys
import uuid
from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf._base import keys
from agentperf._base.keys import digest, digester, freeze

SOURCE = pathlib.Path(keys.__file__).parents[3]

SCRIPT = """
import collections, dataclasses, datetime, decimal, enum, fractions, functools, ipaddress
import json, pathlib, re, sys, types, uuid
from agentperf._base.keys import digest, freeze, qualified_name

class Colour(enum.Enum):
    RED = "red"

@dataclasses.dataclass
class Query:
    text: str
    tags: object

class Outer:
    class Inner(dict):
        pass

def function(): ...

def local():
    @dataclasses.dataclass
    class Local:
        text: str
    return Local("a")

moment = datetime.datetime(2026, 3, 1, 12, 30, 15, 250)
VALUES = [
    "text", "", "\\ud800\\U0001f600", None, True, 1, -1, 10**40, -(10**5000),
    1.5, -0.0, float("nan"), 2 + 1j,
    b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), b"x" * 100_000,
    [1, [2]], (1, (2,)), range(1, 9, 2), slice(1),
    {"a", "b", "c", 1, None, True}, frozenset("hello"), {float("nan"), float("nan")},
    {"b": 1, "a": {"d", "e"}, 3: None}, {}, {frozenset("xyz"): {"k": {"l", "m"}}},
    collections.OrderedDict(b=1, a=2), collections.deque([1], 3), collections.Counter("hello"),
    types.MappingProxyType({"a": 1, "b": 2}), types.SimpleNamespace(a=1, b=2),
    Colour.RED, Query("a", {"x", "y"}), Outer.Inner(a=1), local(),
    function, Query, Outer.Inner, len, str.upper, "a".upper,
    functools.partial(function, {"a", "b"}), list[int], dict[str, int | None],
    moment, moment.replace(tzinfo=datetime.timezone.utc), moment.replace(fold=1),
    moment.date(), moment.time(), datetime.timedelta(1, 2, 3),
    datetime.timezone(datetime.timedelta(hours=1), "CET"),
    decimal.Decimal("1.00"), decimal.Decimal("-Infinity"), fractions.Fraction(1, 3),
    uuid.UUID(int=5), pathlib.PurePosixPath("a/b"), pathlib.PureWindowsPath("a\\b"),
    ipaddress.ip_network("10.0.0.0/8"), re.compile("a", re.I), re.compile(b"a"), ...,
    NotImplemented,
]

def report():
    names = [qualified_name(function), qualified_name(Query)]
    return [digest(freeze(value)) for value in VALUES] + names

if __name__ == "__main__":
    print(json.dumps(report()))
"""


def run(arguments: list[str], *, seed: str, path: pathlib.Path) -> str:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": os.pathsep.join([str(SOURCE), str(path)]),
        "PYTHONIOENCODING": "utf-8",
    }
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def script(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "agent_script.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def test_digests_dont_depend_on_the_hash_seed(script: pathlib.Path) -> None:
    """The order of sets in memory leaves no trace in a digest."""
    reports = {run([sys.executable, str(script)], seed=seed, path=script.parent) for seed in "0123"}
    assert len(reports) == 1


def test_a_script_and_a_process_that_imports_it_agree(script: pathlib.Path) -> None:
    """What a script defines has the same name and key where a worker imports the script's file."""
    as_main = run([sys.executable, str(script)], seed="1", path=script.parent)
    code = "import json, agent_script; print(json.dumps(agent_script.report()))"
    assert run([sys.executable, "-c", code], seed="2", path=script.parent) == as_main
    assert '"agent_script.function"' in as_main


def test_a_module_run_with_m_has_its_dotted_name(script: pathlib.Path) -> None:
    """`python -m package.module` agrees with importing `package.module`."""
    package = script.parent / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(script, package / "job.py")
    as_main = run([sys.executable, "-m", "package.job"], seed="1", path=script.parent)
    code = "import json; from package import job; print(json.dumps(job.report()))"
    assert run([sys.executable, "-c", code], seed="1", path=script.parent) == as_main
    assert '"package.job.function"' in as_main


def test_a_spawned_worker_agrees_with_its_parent(script: pathlib.Path) -> None:
    """`multiprocessing` imports the main file under a name of its own; keys don't notice."""
    script.write_text(
        SCRIPT
        + """
    import multiprocessing
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(report) == report())
""",
        encoding="utf-8",
    )
    assert run([sys.executable, str(script)], seed="1", path=script.parent).split()[-1] == "True"


def interpreter(version: str) -> str | None:
    """Find a working interpreter of that version; a launcher on the path may lead nowhere."""
    found = shutil.which(f"python{version}")
    if found is None:
        return None
    asked = [found, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return found if done.stdout.strip() == version else None


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_digests_agree_between_python_versions(version: str, script: pathlib.Path) -> None:
    """An upgrade of Python keeps every shared cache."""
    other = interpreter(version)
    if other is None:
        pytest.skip(f"NOT COMPARED: there is no working python{version} on the path")
    ours = run([sys.executable, str(script)], seed="1", path=script.parent)
    assert run([other, "-S", str(script)], seed="2", path=script.parent) == ours


PINNED: list[tuple[Any, str]] = [
    ("text", "bddcd19cd2a0010ce2bfef7db87c8212f12717c6"),
    (None, "ef10aa9c5f2ffc6991a62db3447235eb8fa219eb"),
    (True, "a8baedebee0aca6a474733d57799c7b221bd7a83"),
    (1, "8b12f6ee42d253736a1004b8398bd01f301ecd09"),
    (1.5, "d503a8432115d00663c84e422a1be4ba2e9ef5c5"),
    (b"x", "1a8474f978fdf96f1881f9fed265695e06da763c"),
    (("a", 1), "528bd97cb4fe44cfa570b8c2746f89f106a9a1ce"),
    (["a", 1], "bda7c43485c64c91d5e49ebd2623578f30eb02e3"),
    ({"b": [1], "a": None}, "e58865d2f03ebde0417a00ecd5c6fdc0dee5cafb"),
    ({"a", "b"}, "c923810fd5af5890d0037d7aae8e524210057602"),
    (decimal.Decimal("1.0"), "41d5d0bfaa556cac1f17e69c82214ed9f2623182"),
    (uuid.UUID(int=1), "71fc7ca7bfa91a5a148313defe055e4fb48bd669"),
    (dt.date(2026, 3, 1), "f660e1f8ec2c3469377b0ec935b6336baa23809c"),
    (dt.datetime(2026, 3, 1, tzinfo=dt.UTC), "d404e3507b6ecb05785b4820b121bc0558f9426f"),
    (dt.timedelta(1), "4d9c60def2bdb2bbf0790dd6bc6d23bb0bcfe0ac"),
    (pathlib.PurePosixPath("a/b"), "3aa5b850f0856b3e7e39caf00812ab980110a68a"),
    (dt.UTC, "5f159532bfc2630e6b71ad4a721bc70c7846f31c"),
    (b"x" * 5000, "d79ab06b73f3bc0d206486bcf6ced9a9ac16f4c3"),
]


@pytest.mark.parametrize(
    ("value", "expected"),
    PINNED,
    # Not their text: that of a set differs from one process to the next.
    ids=[f"{at}-{type(value).__name__}" for at, (value, _) in enumerate(PINNED)],
)
def test_digests_stay_what_they_were(value: object, expected: str) -> None:
    """A change here empties every shared cache on upgrade: it must be meant."""
    assert digest(freeze(value)) == expected


atoms = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.binary(max_size=3)
)
structures = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple), st.frozensets(inner, max_size=3)
    ),
    max_leaves=8,
)


def typed(value: Any) -> Hashable:
    """Tell `1` and `True` apart, which Python's own equality doesn't."""
    if isinstance(value, tuple | frozenset):
        return (type(value), type(value)(map(typed, value)))
    return (type(value), value)


@given(structures, structures)
def test_digests_are_equal_exactly_when_the_structures_are(left: Hashable, right: Hashable) -> None:
    """Neither groups nor lengths can be confused in what is digested."""
    assert (digest(left) == digest(right)) is (typed(left) == typed(right))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (("a", "b"), ("ab",)),
        (("a", ("b",)), (("a",), "b")),
        (((),), ((), ())),
        (frozenset({("a",)}), frozenset({"a"})),
        ("1", 1),
        (1, True),
        (b"a", "a"),
        (None, "n"),
        ("s1:a", ("a",)),
        (16, "10"),
        (-1, 1),
    ],
)
def test_digests_of_near_misses_differ(left: Hashable, right: Hashable) -> None:
    """Structures that a careless encoding would run together stay apart."""
    assert digest(left) != digest(right)


def test_a_digest_is_forty_hexadecimal_digits() -> None:
    """160 bits, whatever the size of the value."""
    for value in ("", ["x" * 100_000], 10**5000):
        assert len(digest(freeze(value))) == 40
        int(digest(freeze(value)), 16)


@pytest.mark.parametrize("foreign", [1.5, ["a"], ("a", {"b": 1}), object])
def test_only_frozen_values_have_digests(foreign: Any) -> None:
    """Digesting something unfrozen is a mistake that shows at once."""
    with pytest.raises(TypeError, match="a frozen value holds no"):
        digest(foreign)


@given(st.integers(0, 4))
def test_a_head_start_changes_nothing(known: int) -> None:
    """What is read once makes the same digest as what is read each time."""
    parts: tuple[Hashable, ...] = (("operation", "f"), None, (1, "a"), frozenset({b"x"}))
    assert digester(*parts[:known])(*parts[known:]) == digest(parts)
