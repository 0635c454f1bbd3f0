"""`agentperf config show`."""

from __future__ import annotations

import json
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


def test_defaults(show: Callable[..., tuple[int, str, str]]) -> None:
    """What nobody set is shown too."""
    assert [line.split() for line in show("")[1].splitlines()] == [
        ["enabled", "true", "default"],
        ["exporters", "[]", "default"],
        ["subscribers", "[]", "default"],
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


def test_exporters_that_nobody_offers(
    show: Callable[..., tuple[int, str, str]], monkeypatch
) -> None:
    """They are refused with the place where they are named; nothing is started to find out."""
    monkeypatch.setenv("AGENTPERF_EXPORTERS", "nobody")
    code, _, err = show("")
    assert code == 2
    assert "AGENTPERF_EXPORTERS: exporters: no plugin offers the exporter 'nobody'" in err
