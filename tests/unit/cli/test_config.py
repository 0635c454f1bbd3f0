"""`agentperf config show`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentperf.cli import main

TEXT = """
[tool.agentperf.policies."app.search"]
timed = true
retry = {attempts = 4, budget = "80%"}
"""


@pytest.fixture
def show(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Show what a file configures."""
    monkeypatch.chdir(tmp_path)

    def show(text: str, *arguments: str) -> tuple[int, str, str]:
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        with pytest.raises(SystemExit) as ended:
            main(["config", "show", *arguments])
        code: Any = ended.value.code
        return code or 0, *capsys.readouterr()

    return show


def test_every_value_and_where_it_came_from(
    show: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Aligned, one per line."""
    monkeypatch.setenv("AGENTPERF_DISABLED", "1")
    code, out, err = show(TEXT)
    file = tmp_path / "pyproject.toml"
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["enabled", "false", "AGENTPERF_DISABLED"],
        ['policies."app.search".timed', "true", f"{file}:3"],
        ['policies."app.search".retry.attempts', "4", f"{file}:4"],
        ['policies."app.search".retry.budget', "0.8", f"{file}:4"],
        ["exporters", "[]", "default"],
        ["subscribers", "[]", "default"],
        ["classifiers", "[]", "default"],
        ["cache_secret", "not", "set", "default"],
    ]
    columns = {line.index(line.split()[1], 36) for line in out.splitlines()}
    assert len(columns) == 1


def test_passwords_do_not_show(show: Callable[..., tuple[int, str, str]]) -> None:
    """The address of a backend is shown without them."""
    address = "redis://anna:hunter2@cache:6379/0?prefix=a"
    text = f'[tool.agentperf.policies."app.f"]\ncached = {{ backend = "{address}" }}\n'
    for out in (show(text)[1], show(text, "--json")[1]):
        assert "hunter2" not in out
        assert "redis://REDACTED:REDACTED@cache:6379/0?prefix=a" in out


def test_a_misspelt_password_does_not_show(show: Callable[..., tuple[int, str, str]]) -> None:
    """Nobody knows what an option is that the address has not got."""
    address = "memory?near_ttl=2s+redis://cache:6379/0?prefix=a&pasword=hunter2"
    text = f'[tool.agentperf.policies."app.f"]\ncached = {{ backend = "{address}" }}\n'
    for out in (show(text)[1], show(text, "--json")[1]):
        assert "hunter2" not in out
        assert "memory?near_ttl=2s+redis://cache:6379/0?prefix=a&pasword=***" in out


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nobody://x", "nobody"),
        ("sqlite:", 'store="sqlite:/var/lib/app/limits.db"'),
        ("sqlite:a.db?timeout=5", "has no options"),
        ("data/a.db", "sqlite:data/a.db"),
    ],
)
def test_a_bad_store_is_found(
    show: Callable[..., tuple[int, str, str]], address: str, said: str
) -> None:
    """Before any call asks it."""
    text = (
        '[tool.agentperf.policies."app.f"]\n'
        f'rate_limited = {{ requests = "1/s", store = "{address}", name = "f" }}\n'
    )
    code, _, complaint = show(text)
    assert code
    assert said in complaint


def test_defaults(show: Callable[..., tuple[int, str, str]]) -> None:
    """What nobody set is shown too."""
    assert [line.split() for line in show("")[1].splitlines()] == [
        ["enabled", "true", "default"],
        ["exporters", "[]", "default"],
        ["subscribers", "[]", "default"],
        ["classifiers", "[]", "default"],
        ["cache_secret", "not", "set", "default"],
    ]


def test_as_json(show: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """For programs."""
    code, out, _ = show(TEXT, "--json")
    assert code == 0
    assert json.loads(out)[:2] == [
        {"key": "enabled", "value": True, "origin": "default"},
        {
            "key": 'policies."app.search".timed',
            "value": True,
            "origin": f"{tmp_path / 'pyproject.toml'}:3",
        },
    ]


def test_values_that_json_does_not_know(show: Callable[..., tuple[int, str, str]]) -> None:
    """Are shown as text, such as a date that TOML can write."""
    text = "[tool.agentperf.policies.f]\ntimed = {attributes = {since = 2026-01-02}}\n"
    assert "2026-01-02" in show(text)[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TEXT.replace("timed", "tmied"), ':3: policies."app.search".tmied: no such policy'),
        (TEXT.replace("attempts", "tries"), ':4: policies."app.search".retry.tries'),
        (TEXT.replace("4", "0"), "attempts=0"),
    ],
)
def test_mistakes(show: Callable[..., tuple[int, str, str]], text: str, says: str) -> None:
    """All is checked, the options of policies too; the exit code is that of wrong usage."""
    code, out, err = show(text)
    assert (code, out) == (2, "")
    assert says in err


PROGRAM = """
import agentperf

@agentperf.timed
def {search}(query):
    return query

class Agent:
    @agentperf.timed("reply")
    def reply(self, text):
        return text

    @staticmethod
    @agentperf.cached
    def tell(text):
        return text

    @property
    @agentperf.timed
    def mood(self):
        return "calm"
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Write a program under a name that no other test has imported."""

    def program() -> str:
        name = f"program_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{name}.py").write_text(PROGRAM.format(search="search"), encoding="utf-8")
        (tmp_path / f"{name}_main.py").write_text(f"import {name}\n", encoding="utf-8")
        monkeypatch.setattr(sys, "path", [*sys.path])
        for module in (name, f"{name}_main"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        return name

    return program


def test_operations_of_a_program(
    show: Callable[..., tuple[int, str, str]], program: Callable[[], str]
) -> None:
    """Functions, methods and names of `timed` are known, in what the module imports as well."""
    name = program()
    operations = [f"{name}.search", "reply", f"{name}.Agent.tell", f"{name}.Agent.mood"]
    text = "".join(f'[tool.agentperf.policies."{each}"]\nretry = true\n' for each in operations)
    code, out, err = show(text, f"{name}_main")
    assert (code, err) == (0, "")
    assert f"{name}.search" in out


def test_an_operation_that_nobody_has(
    show: Callable[..., tuple[int, str, str]], program: Callable[[], str], tmp_path: Path
) -> None:
    """Would be ignored for ever."""
    name = program()
    text = f'[tool.agentperf.policies."{name}.serch"]\nretry = true\n'
    assert show(text)[0] == 0
    code, out, err = show(text, name)
    assert code == 1
    assert f"{name}.serch" in out
    assert f"{tmp_path / 'pyproject.toml'}:1" in err
    assert f"did you mean '{name}.search'" in err


@pytest.mark.parametrize(
    "options", ['cached = {key = "qery"}', "rate_limited = {by='usr', requests='1/s'}"]
)
def test_an_option_that_does_not_fit_the_function(
    show: Callable[..., tuple[int, str, str]], program: Callable[[], str], options: str
) -> None:
    """Would be found at the first call only."""
    name = program()
    text = f'[tool.agentperf.policies."{name}.search"]\n{options}\n'
    code, _, err = show(text, name)
    assert code == 2
    assert "has no parameter" in err


def test_what_a_decorator_of_the_function_overrides(
    show: Callable[..., tuple[int, str, str]], program: Callable[[], str], tmp_path: Path
) -> None:
    """It is told, and is no mistake: the file may be for another program too."""
    name = program()
    text = f'[tool.agentperf.policies."{name}.Agent.tell"]\ncached = {{ttl = "1h"}}\nretry = true\n'
    code, _, err = show(text, name)
    assert code == 0
    assert err.startswith(f"Note: {tmp_path / 'pyproject.toml'}:2: policies.")
    assert "the function has a @cached of its own, which holds instead" in err
    assert "retry" not in err


def test_a_module_that_is_not_there(show: Callable[..., tuple[int, str, str]]) -> None:
    """Is wrong usage."""
    code, _, err = show("", "no_such_module_anywhere")
    assert code == 2
    assert "no_such_module_anywhere can't be imported" in err


def test_exporters_that_nobody_offers(
    show: Callable[..., tuple[int, str, str]], monkeypatch
) -> None:
    """They are refused with the place where they are named; nothing is started to find out."""
    monkeypatch.setenv("AGENTPERF_EXPORTERS", "nobody")
    code, _, err = show("")
    assert code == 2
    assert "AGENTPERF_EXPORTERS: exporters: no plugin offers the exporter 'nobody'" in err


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ("sqltie:answers.db", "no plugin offers the cache backend 'sqltie'; did you mean 'sqlite'"),
        ("sqlite:answers.db?max=3", "max"),
    ],
)
def test_backends_that_cannot_be(
    show: Callable[..., tuple[int, str, str]], tmp_path: Path, backend: str, says: str
) -> None:
    """They would be met at the first call only; no file is made to find out."""
    cached = f"[tool.agentperf.policies.f]\ncached = {{backend = '{backend}'}}\n"
    code, _, err = show(cached)
    assert code == 2
    assert "pyproject.toml:2: policies.f.cached.backend: " in err
    assert says in err
    assert show(cached.replace(backend, "sqlite:answers.db"))[0] == 0
    assert not (tmp_path / "answers.db").exists()
