"""The documents keep their word: every policy has its page, every example runs."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.source_tree import PACKAGE, ROOT, SRC, modules

HEADINGS = ["About", "Usage", "Defaults", "Telemetry", "Diagram", "Pitfalls", "Testing"]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
OFFLINE = Path(__file__).with_name("offline.py")

RUNNABLE = re.compile(
    r"^<!-- run(?:: (?P<needs>[\w, ]+))? -->\n```python\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
"""A block of Python that a comment in front of it marks as runnable.

`<!-- run: fastapi, httpx -->` marks one that needs modules which are not installed for the tests.
"""

PARTS = (name.split(".") for name in modules())
POLICIES = sorted(
    {
        parts[2]
        for parts in PARTS
        if parts[:2] == [PACKAGE, "policies"] and len(parts) > 2 and parts[2] != "compose"
    }
)


def runnable(text: str) -> str:
    """Keep a page's runnable code, every line at the number it has on the page."""
    kept = ["\n"] * text.count("\n")
    for block in RUNNABLE.finditer(text):
        first = text.count("\n", 0, block.start("code"))
        lines = block["code"].splitlines(keepends=True)
        kept[first : first + len(lines)] = lines
    return "".join(kept)


def missing(text: str) -> list[str]:
    """List the modules that a page's runnable code needs and that are not installed."""
    named = ", ".join(block["needs"] or "" for block in RUNNABLE.finditer(text))
    return [
        name
        for name in sorted(set(re.findall(r"\w+", named)))
        if importlib.util.find_spec(name) is None
    ]


def run_offline(script: Path, cwd: Path) -> None:
    """Run a script in a fresh Python without network or keys; it must end well."""
    env = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    env["PYTHONPATH"] = str(SRC)
    ran = subprocess.run(
        [sys.executable, OFFLINE, script],
        cwd=cwd,
        env=env,
        check=False,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_has_its_page(policy):
    """A policy's page has the same headings in the same order as every other's."""
    page = ROOT / "docs" / "reference" / "policies" / f"{policy}.md"
    assert re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE) == HEADINGS


def test_every_page_can_be_reached():
    """Each page of the documentation stands in the site's navigation."""
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    docs = ROOT / "docs"
    assert {str(page.relative_to(docs).as_posix()) for page in docs.rglob("*.md")} == listed


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.exists() and RUNNABLE.search(page.read_text(encoding="utf-8"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_code_on_pages_runs(page, tmp_path):
    """The runnable blocks of a page, one after another as a reader would type them, run."""
    text = page.read_text(encoding="utf-8")
    if absent := missing(text):
        pytest.skip(f"needs {', '.join(absent)}; `make test-frameworks` runs it")
    script = tmp_path / f"{page.stem.replace('-', '_')}.py"
    script.write_text(runnable(text), encoding="utf-8")
    run_offline(script, tmp_path)


def test_the_readme_has_code_that_runs():
    """What a newcomer tries first is among the code that is executed."""
    assert RUNNABLE.search(PAGES[0].read_text(encoding="utf-8"))


def test_runnable_code_keeps_its_line_numbers():
    """Unmarked blocks are left out; the rest stays put, so that a traceback fits the page."""
    page = "# x\n```python\nno\n```\n<!-- run -->\n```python\na = 1\nb = 2\n```\nend\n"
    assert runnable(page).splitlines() == ["", "", "", "", "", "", "a = 1", "b = 2", "", ""]


def test_a_page_can_need_what_is_not_installed():
    """What a page needs is named in front of its blocks; only what is absent is missing."""
    page = "<!-- run: json, no_such_module -->\n```python\nx = 1\n```\n"
    assert missing(page) == ["no_such_module"]
    assert runnable(page).strip() == "x = 1"
    assert missing(page.replace(", no_such_module", "")) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_example_runs_offline(example, tmp_path):
    """An example needs no network, no key and no other file, and ends well."""
    run_offline(example, tmp_path)


def test_there_are_examples():
    """The folder of examples is not empty."""
    assert EXAMPLES


def test_reaching_out_is_noticed(tmp_path):
    """A script that looks up another machine fails: being offline is enforced, not hoped for."""
    script = tmp_path / "out.py"
    script.write_text("import socket\nsocket.create_connection(('192.0.2.1', 9), timeout=1)\n")
    with pytest.raises(AssertionError, match="must run offline"):
        run_offline(script, tmp_path)
