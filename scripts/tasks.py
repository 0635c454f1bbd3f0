"""The tasks of this repository: the one place that knows their commands.

Run by `make <task>` or `python scripts/bootstrap.py <task>`, in the environment made for it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
UV = str(Path(PYTHON).parent / "uv")

COVERAGE_FLOOR = 90
COMPAT = ROOT / ".compat"
OTHER_PYTHONS = ("3.12", "3.13", "3.14")


def run(*command: str | Path, **variables: str) -> bool:
    """Show and run a command in the checkout; tell whether it succeeded."""
    words = [str(word) for word in command]
    shown = shlex.join(words).replace(f"{ROOT}{os.sep}", "")
    print(f"$ {shown}", flush=True)
    env = os.environ | variables
    return subprocess.run(words, cwd=ROOT, env=env, check=False).returncode == 0


def sources() -> list[str]:
    """List the source folders: the core's and each plugin's."""
    return ["src", *(str(p.relative_to(ROOT)) for p in sorted(ROOT.glob("plugins/*/src")))]


def demo(*arguments: str) -> bool:
    """Show what agentperf does, offline."""
    return run(PYTHON, "-m", "agentperf", "demo", *arguments)


def test(*arguments: str) -> bool:
    """Run the tests of the core and of each plugin, with branch coverage.

    Arguments go to pytest; the floor under the coverage holds for the whole suite only.
    """
    suite = ["-m", "pytest", "-n", "2", "-m", "not load", *arguments]
    run(PYTHON, "-m", "coverage", "erase")
    passed = run(PYTHON, "-m", "coverage", "run", f"--source={','.join(sources())}", *suite)
    drop_torn_figures()
    run(PYTHON, "-m", "coverage", "combine", "--quiet")
    floor = [] if arguments else [f"--fail-under={COVERAGE_FLOOR}"]
    return run(PYTHON, "-m", "coverage", "report", *floor) and passed


def drop_torn_figures() -> None:
    """Remove the coverage figures of processes that a test killed while they wrote them."""
    for file in ROOT.glob(".coverage.*"):
        with contextlib.closing(sqlite3.connect(file)) as figures:
            try:
                whole = figures.execute("PRAGMA quick_check").fetchone() == ("ok",)
                whole = whole and bool(figures.execute("SELECT 1 FROM meta").fetchone())
            except sqlite3.DatabaseError:
                whole = False
        if not whole:
            print(f"torn, left out: {file.name}")
            file.unlink()


def load(*arguments: str) -> bool:
    """Run the long and heavy tests, one after another."""
    return run(PYTHON, "-m", "pytest", "-m", "load", "--timeout=600", *arguments)


def check() -> bool:
    """Hold the code to its rules: lint, format, types, documentation, links, leaks."""
    typed = [*sources(), "tests/typing"]
    checks: dict[str, list[str]] = {
        "lint": ["ruff", "check"],
        "format": ["ruff", "format", "--check"],
        "types (mypy)": ["mypy", *typed],
        "types (pyright)": ["basedpyright", *typed],
        "documentation": ["zensical", "build", "--strict", "--clean"],
        "links": ["python", "-m", "scripts.check_links"],
        "leaks": ["python", "-m", "scripts.check_leaks"],
    }
    failed: list[str] = []
    for name, command in checks.items():
        began = time.monotonic()
        passed = run(*command)
        print(f"{name}: {'ok' if passed else 'FAILED'}, {time.monotonic() - began:.1f} s\n")
        if not passed:
            failed.append(name)
    print(f"check: failed: {', '.join(failed)}" if failed else "check: all passed")
    return not failed


def bench(*arguments: str) -> bool:
    """Measure the speed floors beside the peers, and ask what each of them does."""
    return run(PYTHON, "tests/benchmarks/run.py", *arguments)


def docs() -> bool:
    """Build the documentation into `.site/`."""
    return run("zensical", "build", "--strict", "--clean")


def lock() -> bool:
    """Choose the newest versions and write `requirements/*.txt`: names and hashes, no address."""
    exports = {
        "uv": ["--only-group=uv"],
        "demo": ["--extra=demo", "--no-default-groups", "--group=build"],
        "bench": ["--extra=demo", "--extra=bench", "--no-default-groups", "--group=build"],
        "dev": [
            "--all-extras",
            "--no-extra=bench",
            "--all-groups",
            "--no-group=uv",
            "--no-group=frameworks",
        ],
    }
    return run(UV, "lock", "--upgrade") and all(export(*item) for item in exports.items())


def export(name: str, options: list[str]) -> bool:
    """Write one flat list of what `uv lock` chose."""
    command = [UV, "export", "--quiet", "--all-packages", "--no-emit-workspace"]
    command += ["--no-header", "--no-annotate", *options]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    if "://" in listed:
        print(f"lock: the list {name} names an address; nothing written")
        return False
    file = ROOT / "requirements" / f"{name}.txt"
    file.write_text(f"# Made by `make lock` from pyproject.toml; not to be edited.\n{listed}")
    packages = sum(line[:1].isalnum() for line in listed.splitlines())
    print(f"lock: {file.relative_to(ROOT)}, {packages} packages")
    return True


def test_compat(*arguments: str) -> bool:
    """Run the unit tests on other Pythons, with openai 2, and with the oldest versions allowed.

    `PYTHONS` names interpreters, separated by spaces; else those on PATH are used.
    """
    dev = ["--require-hashes", "-r", "requirements/dev.txt"]
    loose = ["--group", "test", "--editable", ".[demo]"]
    cases = {f"Python {name}": (name, dev) for name in OTHER_PYTHONS}
    if chosen := os.environ.get("PYTHONS", "").split():
        cases = {f"Python {name}": (name, dev) for name in chosen}
    cases["openai 2"] = (PYTHON, [*loose, "openai<3"])
    cases["oldest versions"] = (PYTHON, ["--resolution", "lowest-direct", *loose])
    results = {
        name: compatible(name, python, install, arguments)
        for name, (python, install) in cases.items()
    }
    print("\ntest-compat:")
    for name, result in results.items():
        print(f"  {name:18} {result}")
    return "FAILED" not in results.values()


def compatible(name: str, python: str, install: list[str], arguments: tuple[str, ...]) -> str:
    """Run the unit tests in an environment of their own."""
    return tested(name, python, install, "tests/unit", *arguments)


def test_frameworks(*arguments: str) -> bool:
    """Run the code on the pages about frameworks, which the other tests skip.

    litellm wants an older openai than the others, so it has an environment of its own.
    """
    # litellm takes so long to compile that its page would run out of time.
    loose = ["--compile-bytecode", "--group", "test", "--editable", ".[demo]"]
    cases = {"frameworks": [*loose, "--group", "frameworks"], "litellm": [*loose, "litellm"]}
    pages = ["tests/contracts/test_pages.py", "-k", "test_code_on_pages_runs and how-to"]
    results = {
        name: tested(name, PYTHON, install, *pages, *arguments) for name, install in cases.items()
    }
    print("\ntest-frameworks:")
    for name, result in results.items():
        print(f"  {name:18} {result}")
    return set(results.values()) == {"passed"}


def tested(name: str, python: str, install: list[str], *tests: str) -> str:
    """Run some tests in an environment of their own."""
    found = interpreter(python)
    if found is None:
        return "SKIPPED: no such Python here; name its path in PYTHONS"
    place = COMPAT / "".join(c if c.isalnum() else "-" for c in name)
    inside = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [UV, "pip", "install", "--quiet", "--python", inside]
    core = ["--no-deps", "--no-build-isolation", "--editable", "."]
    ready = run(UV, "venv", "--quiet", "--clear", "--python", found, place) and run(*pip, *install)
    if ready and "--require-hashes" in install:
        ready = run(*pip, *core)
    suite = ["-m", "pytest", "-n", "2", "-m", "not load", *tests]
    return "passed" if ready and run(inside, *suite) else "FAILED"


def interpreter(python: str) -> str | None:
    """Find a Python by its version or path; it must really start."""
    versioned = f"python{python}" if python[:1].isdigit() else python
    found = shutil.which(versioned)
    if found is None:
        return None
    # What is on PATH may be a version manager's stand-in, in front of nothing.
    question = [found, "-c", "import sys; print(sys.executable)"]
    answer = subprocess.run(question, check=False, capture_output=True, text=True)
    return answer.stdout.strip() if answer.returncode == 0 else None


TASKS: dict[str, Callable[..., bool]] = {
    "demo": demo,
    "test": test,
    "check": check,
    "bench": bench,
    "load": load,
    "test-compat": test_compat,
    "test-frameworks": test_frameworks,
    "lock": lock,
    "docs": docs,
}


def main() -> int:
    """Run the task that is named."""
    name, *arguments = sys.argv[1:] or [""]
    if name not in TASKS:
        print(f"tasks: {name!r} is none of: {', '.join(TASKS)}")
        return 2
    return 0 if TASKS[name](*arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
