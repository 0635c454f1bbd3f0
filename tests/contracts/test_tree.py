"""The tree is fit to be published: nothing leaks, every module says what it is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from scripts.check_leaks import leaks, main
from tests.contracts.source_tree import ROOT, SRC

MODULES = sorted(
    path
    for folder in (SRC, ROOT / "scripts", ROOT / "examples", ROOT / "tests", ROOT / "plugins")
    for path in folder.rglob("*.py")
)


def test_nothing_leaks(capsys):
    """No file names a package index, a machine's path, or is a lock file."""
    assert main() == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("uv.lock", ""),
        ("requirements/dev.txt", "thing @ https" + "://example.com/thing.whl"),
        ("docs/index.md", "see " + "/home" + "/somebody/code"),
        ("Makefile", "pip install --index" + "-url=x"),
        ("README.md", "https://files.python" + "hosted.org/x"),
    ],
)
def test_the_check_sees_a_leak(name, line):
    """Each kind of leak is recognised."""
    assert list(leaks(Path(name), line + "\n")) != []


@pytest.mark.parametrize("line", ["a path such as src/home/page", "https://example.com/root/x", ""])
def test_the_check_leaves_the_harmless_alone(line):
    """Ordinary addresses and relative paths are no leak."""
    assert list(leaks(Path("docs/index.md"), line)) == []


def test_the_package_is_typed():
    """The marker that tells type checkers to use our annotations is there."""
    assert (SRC / "agentperf" / "py.typed").is_file()


def test_every_module_says_what_it_is_in_a_sentence():
    """The first line of every module's docstring is a sentence that stands alone."""
    sentence = re.compile(r"([A-Z`]|agentperf ).*[.!?]$")
    unfit = []
    for path in MODULES:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if not sentence.match(text.partition("\n")[0]):
            unfit.append(str(path.relative_to(ROOT)))
    assert MODULES
    assert unfit == []
