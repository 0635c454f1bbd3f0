"""`agentperf doctor`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from agentperf.cli import doctor as command
from agentperf.cli import main
from tests.unit._plugins.conftest import install as install  # noqa: PLC0414 - a fixture
from tests.unit._plugins.test_registry import offering


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run the command and return its exit code and what it printed."""
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *arguments])
    code: Any = ended.value.code
    return code, capsys.readouterr().out


def test_it_says_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    """Versions, settings, what can be measured, extras, vocabularies."""
    code, out = doctor(capsys)
    assert code == 0
    for word in ("agentperf ", "Python 3.", "wrapt", "openai", "extras", "o200k_base", "no file"):
        assert word in out
    assert "no problem found" in out
    assert max(map(len, out.splitlines())) <= 100


def test_columns_stand_in_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a name is."""
    monkeypatch.setattr(command, "INSTRUMENTABLE", ("openai", "a-library-of-a-very-long-name"))
    monkeypatch.setattr(command, "_version", lambda _: "1.2.3")
    _, out = doctor(capsys)
    lines = [line for line in out.splitlines() if line.endswith(" 1.2.3")]
    assert any("a-library-of-a-very-long-name  1.2.3" in line for line in lines)
    assert len({line.index("1.2.3") for line in lines if "agentperf " not in line}) == 1


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The same as data."""
    Path("agentperf.toml").write_text("enabled = false\n")
    code, out = doctor(capsys, "--json")
    data = json.loads(out)
    assert (code, data["problems"], data["disabled"]) == (0, [], True)
    assert data["configuration"].endswith("agentperf.toml")
    assert data["needed"]["wrapt"]
    assert set(data["extras"]) == set(command.PURPOSES)


def test_a_missing_extra_is_told_and_is_no_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what it is for; what is needed always is one."""
    there = command._version
    monkeypatch.setattr(command, "_version", lambda name: None if name == "pyyaml" else there(name))
    code, out = doctor(capsys)
    assert code == 0
    assert "missing: pyyaml (for settings in a YAML file)" in out
    monkeypatch.setattr(command, "_version", lambda name: None if name == "wrapt" else there(name))
    code, out = doctor(capsys)
    assert code == 1
    assert "wrapt is needed and not installed" in out


def test_wrong_settings_are_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    """With the file and what is wrong."""
    Path("agentperf.toml").write_text("enabeld = true\n")
    code, out = doctor(capsys)
    assert code == 1
    assert "enabeld" in out


def test_what_no_plugin_offers_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    """All of it is told at once, with the place where it is named; nothing is started."""
    Path("agentperf.toml").write_text(
        'exporters = ["nope"]\nsubscribers = ["nobody"]\n'
        '[policies."x.f".cached]\nbackend = "nowhere:1"\n'
    )
    code, out = doctor(capsys, "--json")
    exporters, subscribers, backend = json.loads(out)["problems"]
    assert code == 1
    assert "agentperf.toml:1: exporters: no plugin offers the exporter 'nope'" in exporters
    assert "agentperf.toml:2: subscribers: no plugin offers" in subscribers
    assert 'agentperf.toml:4: policies."x.f".cached.backend: no plugin' in backend
    Path("agentperf.toml").write_text('[policies."x.f".cached]\nttl = "soon"\n')
    code, out = doctor(capsys)
    assert code == 1
    assert "ttl='soon'" in out


@pytest.mark.parametrize("settings", ["", "enabeld = true\n"])
def test_plugins_that_are_wrong_are_a_problem(
    install: Any, capsys: pytest.CaptureFixture[str], settings: str
) -> None:
    """Failures, clashes and names that nobody goes by, whatever the settings are."""
    Path("agentperf.toml").write_text(settings)
    install(bad=ImportError("no redis"), one=offering(x=object), two=offering(x=object))
    code, out = doctor(capsys)
    assert code == 1
    assert "plugin 'bad' (dist-bad 1.0): ImportError: no redis" in out
    assert "offer the same tokenizer 'x'" in out


def test_what_a_newer_python_brings_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra whose requirement is for older ones is there."""
    lines = ["small>=1; python_version < '3.2' and extra == 'old'", "big; extra == 'new'"]
    monkeypatch.setattr(command, "requires", lambda _: lines)
    assert command._requirements() == ([], {"old": [], "new": ["big"]})


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("import agentperf\n@agentperf.retry\n@agentperf.cached\ndef f(x): ...", 1, "app_1.py:2: "),
        ("import agentperf\n@agentperf.cached\n@agentperf.retry\ndef f(x): ...", 0, "no problem"),
        ("1 / 0", 1, "app_1 can't be imported: ZeroDivisionError"),
        ("import nowhere_to_be_found", 1, "ModuleNotFoundError"),
        ("import warnings; warnings.warn('another')", 0, "no problem"),
    ],
)
def test_a_module_is_looked_at(
    capsys: pytest.CaptureFixture[str], text: str, code: int, says: str
) -> None:
    """Policies in a harmful order are a problem, and so is a module that can't be imported."""
    Path("app_1.py").write_text(text)
    try:
        found, out = doctor(capsys, "-m", "app_1")
    finally:
        sys.modules.pop("app_1", None)
    assert found == code
    assert says in out
