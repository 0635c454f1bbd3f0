"""Importing agentperf is light: counted in modules, which are the same on every machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.contracts.source_tree import PACKAGE, SRC

HEAVY = {
    "anyio",
    "asyncio",
    "click",
    "httpx",
    "httpx2",
    "msgspec",
    "numpy",
    "openai",
    "opentelemetry",
    "pydantic",
    "redis",
    "rich",
    "sqlite3",
    "structlog",
    "tiktoken",
    "wrapt",
}

IMPORT = "import agentperf"
DECORATE = """
import agentperf

@agentperf.cached(ttl=1)
def f(x):
    return x

assert f(1) == f(1) == 1
"""
BUDGET = {IMPORT: 25, DECORATE: 130}
"""How many modules each may load beyond bare Python."""

REPORT = """
import json, sys, threading
print(json.dumps([sorted(sys.modules), threading.active_count()]))
"""


def loaded(code: str) -> tuple[set[str], int]:
    """Run code in a fresh Python; return the modules loaded and the threads running at its end."""
    kept = {"PATH", "SYSTEMROOT", "HOME", "USERPROFILE"}
    env = {name: value for name, value in os.environ.items() if name in kept}
    env["PYTHONPATH"] = str(SRC)
    command = [sys.executable, "-c", code + REPORT]
    ran = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    names, threads = json.loads(ran.stdout)
    return set(names), threads


@pytest.mark.parametrize("code", [IMPORT, DECORATE], ids=["import", "decorate"])
def test_nothing_heavy_is_imported(code):
    """Neither the import nor a first sync decoration and call loads a heavy package."""
    names, threads = loaded(code)
    assert PACKAGE in names
    assert HEAVY & {name.partition(".")[0] for name in names} == set()
    assert threads == 1


@pytest.mark.parametrize("code", [IMPORT, DECORATE], ids=["import", "decorate"])
def test_few_modules_are_imported(code):
    """The number of modules beyond bare Python stays within the budget."""
    bare, _ = loaded("")
    extra = loaded(code)[0] - bare
    assert len(extra) <= BUDGET[code], sorted(extra)


def test_the_import_leaves_the_rest_of_the_package_alone():
    """Policies, telemetry, host and command are loaded when they are used, not with the face."""
    rooms = {name.split(".")[1] for name in loaded(IMPORT)[0] if name.startswith(f"{PACKAGE}.")}
    assert rooms <= {"_engine", "_base", "errors"}
