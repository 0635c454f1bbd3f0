"""The two versions of the agent."""

from __future__ import annotations

import ast
import difflib
import re
from pathlib import Path

from agentperf.demo import before

ROOT = Path(__file__).parents[3]
FOLDER = Path(before.__file__).parent


def source(version: str) -> str:
    """Return the source of a version."""
    return (FOLDER / f"{version}.py").read_text(encoding="utf-8")


def functions(version: str) -> list[str]:
    """Name the functions of a version in their order."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.name for node in ast.parse(source(version)).body if isinstance(node, kinds)]


def test_both_have_the_same_functions_in_the_same_order() -> None:
    """Whoever reads one knows the other."""
    assert functions("before") == functions("after")


def test_the_difference_is_small() -> None:
    """Two of three lines of the first version stand unchanged in the second."""
    old, new = source("before").splitlines(), source("after").splitlines()
    kept = sum(size for *_, size in difflib.SequenceMatcher(a=old, b=new).get_matching_blocks())
    assert kept / len(old) > 0.66


def test_the_tutorial_shows_the_difference_as_it_is() -> None:
    """Every changed line of the tutorial's diffs is one of the real difference."""
    old, new = source("before").splitlines(), source("after").splitlines()
    real = set(difflib.ndiff(old, new))
    page = (ROOT / "docs/tutorial/demo.md").read_text(encoding="utf-8")
    shown = [
        line
        for block in re.findall(r"```diff\n(.*?)```", page, re.DOTALL)
        for line in block.splitlines()
    ]
    changed = [f"{line[0]} {line[1:]}" for line in shown if line[0] in "+-"]
    assert len(changed) > 20
    assert [line for line in changed if line not in real] == []


def test_the_first_version_uses_nothing_of_agentperf() -> None:
    """Besides the parts both share, it imports no agentperf."""
    for node in ast.walk(ast.parse(source("before"))):
        if isinstance(node, ast.Import):
            assert all(not alias.name.startswith("agentperf") for alias in node.names)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("agentperf"):
            assert str(node.module).startswith("agentperf.demo")
