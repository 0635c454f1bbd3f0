"""Configuration files: which one counts, what it says, and on which line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from agentperf import ConfigurationError, MissingExtraError
from agentperf.config import Settings, load
from agentperf.config.files import toml_lines, yaml_lines
from tests.contracts.source_tree import SRC

OFF = "enabled = false\n"
OFF_IN_PYPROJECT = "[tool.agentperf]\nenabled = false\n"
ON_IN_PYPROJECT = "[tool.agentperf]\nenabled = true\n"
STRANGER = (
    '[project]\nname = "x"\ndependencies = ["agentperf-sdk"]\n[tool.other]\nenabled = false\n'
)
PROGRAM = """
import agentperf

@agentperf.timed
def f(): ...

print("decorated")
try:
    f()
except agentperf.ConfigurationError as error:
    print(error)
"""


@pytest.fixture
def files(tmp_path):
    """Write files by their paths."""

    def write(**texts):
        for path, text in texts.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return tmp_path

    return lambda texts: write(**texts)


@pytest.mark.parametrize(
    ("texts", "enabled"),
    [
        ({"a/b/agentperf.toml": OFF}, False),
        ({"agentperf.toml": OFF}, False),
        ({"a/pyproject.toml": OFF_IN_PYPROJECT}, False),
        ({"a/agentperf.yaml": "enabled: no"}, False),
        ({"a/agentperf.yml": "enabled: false"}, False),
        ({"a/b/agentperf.toml": "enabled = true", "a/agentperf.toml": OFF}, True),
        ({"a/b/agentperf.toml": "", "a/agentperf.toml": OFF}, True),
        ({"a/b/pyproject.toml": STRANGER, "a/pyproject.toml": OFF_IN_PYPROJECT}, False),
        ({"a/b/agentperf.toml": OFF, "a/b/pyproject.toml": ON_IN_PYPROJECT}, False),
        ({"a/b/pyproject.toml": "[tool]\nagentperf.enabled = false"}, False),
        ({"a/b/pyproject.toml": "tool.agentperf.enabled = false"}, False),
        ({"a/b/pyproject.toml": '[tool."agentperf"]\nenabled = "no"'}, False),
        ({"a/b/pyproject.toml": '[ "tool" ]\nagentperf = {enabled = false}'}, False),
        ({"a/b/pyproject.toml": STRANGER}, True),
        ({"a/b/c/agentperf.toml": OFF}, True),
        ({}, True),
    ],
)
def test_the_nearest_file_counts(files, texts, enabled):
    """From the folder upward; a pyproject.toml without our table is none."""
    folder = files(texts)
    (folder / "a/b").mkdir(parents=True, exist_ok=True)
    assert load({}, folder / "a/b").enabled is enabled


def test_a_file_that_is_named(files):
    """Counts instead of the nearest; `~` is the user's folder."""
    folder = files({"agentperf.toml": "", "else/off.toml": OFF})
    assert not load({"AGENTPERF_CONFIG": str(folder / "else/off.toml")}, folder).enabled
    assert load({"AGENTPERF_CONFIG": " "}, folder).enabled


def test_a_file_in_the_users_folder(files, monkeypatch):
    """May be named by `~`."""
    folder = files({"off.toml": OFF})
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))
    assert not load({"AGENTPERF_CONFIG": "~/off.toml"}, folder).enabled


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nowhere.toml", "there is no such file"),
        ("pyproject.toml", "no table"),
        ("settings.ini", "a .toml, .yaml or .yml file"),
    ],
)
def test_a_named_file_must_be_good(files, name, hint):
    """What somebody asked for is not passed over."""
    folder = files({"pyproject.toml": STRANGER, "settings.ini": ""})
    with pytest.raises(ConfigurationError, match=f"AGENTPERF_CONFIG=.*{hint}"):
        load({"AGENTPERF_CONFIG": str(folder / name)}, folder)


def test_no_current_folder(tmp_path, monkeypatch):
    """Where the current folder was deleted, there is no file."""

    def gone():
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", gone)
    assert load({}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("agentperf.toml", "x = 1\nenabled = = 1", "agentperf.toml:2: no valid TOML"),
        ("agentperf.toml", "\n\nenabeld = true", "agentperf.toml:3: enabeld: no such setting; did"),
        ("agentperf.toml", "\nenabled = 3", "agentperf.toml:2: enabled=3: true or false"),
        ("agentperf.toml", OFF_IN_PYPROJECT, "here leave `tool.agentperf` out"),
        ("agentperf.toml", "policies.f = 1", "agentperf.toml:1: policies.f=1: a table by policy"),
        ("pyproject.toml", "[tool.agentperf]\n\nx = 1", "pyproject.toml:3: x: no such setting"),
        ("pyproject.toml", "[tool]\nagentperf = 1", "a table of settings is needed"),
        ("pyproject.toml", "[tool.agentperf]\nx\n", "pyproject.toml:2: no valid TOML"),
        ("agentperf.yaml", "enabled: true\n\nx: 1", "agentperf.yaml:3: x: no such setting"),
        ("agentperf.yaml", "policies:\n  f:\n    retry: 3", "agentperf.yaml:3: policies.f.retry=3"),
        ("agentperf.yaml", "a: 1\nb: [", "agentperf.yaml:.*: no valid YAML"),
        ("agentperf.yaml", "- a", "a table of settings is needed"),
        ("agentperf.yaml", "1: 2", "agentperf.yaml:1: 1: no such setting"),
    ],
)
def test_mistakes_are_told_with_their_line(files, name, text, says):
    """The file, the line, the key, and what may have been meant."""
    with pytest.raises(ConfigurationError, match=says):
        load({}, files({name: text}))


def test_a_file_that_is_no_text(tmp_path):
    """Is an error that names it."""
    (tmp_path / "agentperf.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"agentperf.toml can't be read"):
        load({}, tmp_path)


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    """Some editors write one."""
    (tmp_path / "agentperf.toml").write_bytes(b"\xef\xbb\xbf" + OFF.encode())
    assert not load({}, tmp_path).enabled


def test_an_empty_yaml_file(files):
    """Says nothing."""
    assert load({}, files({"agentperf.yaml": "# nothing\n"})) == Settings()


def test_yaml_cannot_make_objects(files):
    """A file holds data only."""
    text = "enabled: !!python/object/apply:os.getcwd []"
    with pytest.raises(ConfigurationError, match="no valid YAML"):
        load({}, files({"agentperf.yaml": text}))


def test_yaml_without_its_package(files, monkeypatch):
    """The error names the extra."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match=r"\[yaml\]") as caught:
        load({}, files({"agentperf.yaml": "enabled: false"}))
    assert caught.value.extra == "yaml"


def test_toml_is_not_parsed_for_strangers(files, monkeypatch):
    """A pyproject.toml that says nothing about us costs a program no parser."""
    monkeypatch.setitem(sys.modules, "tomllib", None)
    assert load({}, files({"pyproject.toml": STRANGER})) == Settings()
    with pytest.raises(ImportError):
        load({}, files({"pyproject.toml": OFF_IN_PYPROJECT}))


def test_lines_of_toml():
    """Whatever way it is written: tables, dotted keys, values of several lines, look-alikes."""
    text = '''# [no.table]
a = 1
b.c = """
[not.a.table]
d = 2
"""
list = [
  1, # [x]
]
[t."u.v"]
# w = 1
w = {x = 1, y = {z = 2}}
[t.other]
[[many]]
k = 1
[[many]]
l = 2
'''
    assert toml_lines(text) == {
        ("a",): 2,
        ("b",): 3,
        ("b", "c"): 3,
        ("list",): 7,
        ("t",): 10,
        ("t", "u.v"): 10,
        ("t", "u.v", "w"): 12,
        ("t", "u.v", "w", "x"): 12,
        ("t", "u.v", "w", "y"): 12,
        ("t", "u.v", "w", "y", "z"): 12,
        ("t", "other"): 13,
        ("many",): 14,
        ("many", "k"): 15,
        ("many", "l"): 17,
    }


def test_lines_of_yaml():
    """Every key where it stands."""
    assert yaml_lines("a: 1\nb:\n  c:\n    d: {e: 1}\n") == {
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "c", "d"): 4,
        ("b", "c", "d", "e"): 4,
    }
    assert yaml_lines("") == {}


def test_importing_and_decorating_read_nothing(files):
    """A broken file is told at the first call, and hurts nobody who only imports us."""
    folder = files({"agentperf.toml": "= =", "program.py": PROGRAM})
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    ran = subprocess.run(
        [sys.executable, "program.py"],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.startswith("decorated"), ran.stderr
    assert "agentperf.toml:1: no valid TOML" in ran.stdout
