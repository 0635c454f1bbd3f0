"""The house stands: imports lead downwards only, neighbours don't know each other."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

from tests.contracts.source_tree import PACKAGE, ROOT, import_graph, imports, modules

HOUSE = (
    {"errors"},
    {"usage", "_base"},
    {"events", "config"},
    {"abc"},
    {"tokens", "codec", "hookspecs"},
    {"_engine", "context"},
    {"policies", "policies.*"},
    {"policies.compose"},
    {"instrumentation", "telemetry", "tasks", "routing", "http"},
    {"_plugins"},
    {"_host"},
    {"_handle"},
    {"testing", "auto"},
    {"pytest_plugin", "demo"},
    {"cli"},
    {"__main__"},
    {"__init__"},
)
"""The rooms from the ground up; those in one set are neighbours."""

PROGRAMS = {f"{PACKAGE}.demo.after"}
"""Programs of a user's kind that ship inside the package: they import the face, as users do."""

LEVELS = {room: level for level, rooms in enumerate(HOUSE) for room in rooms}


def room_of(module: str) -> str:
    """Name the room a module is in; every policy has one of its own."""
    inner = module.split(".")[1:] or ["__init__"]
    return ".".join(inner[: 2 if inner[0] == "policies" else 1])


def level_of(room: str) -> int | None:
    """Tell how high a room lies."""
    shelf = "policies.*" if room.startswith("policies.") else None
    return LEVELS.get(room, LEVELS.get(shelf) if shelf else None)


def upward(graph: dict[str, set[str]]) -> list[str]:
    """List the imports that lead up, or to a neighbour."""
    return [
        f"{module} -> {other}"
        for module, others in graph.items()
        for other in sorted(others)
        if (mine := room_of(module)) != (theirs := room_of(other))
        and (level_of(mine) or 0) <= (level_of(theirs) or 0)
    ]


def private_imports(tree: ast.Module) -> list[str]:
    """List the imports of agentperf's private names."""
    return [
        f"{base}.{name}".rstrip(".")
        for base, name in imports(tree)
        if base.split(".")[0] == PACKAGE
        if any(part.startswith("_") for part in [*base.split("."), *name.split(".")])
    ]


def built(tmp_path: Path, files: dict[str, str]) -> dict[str, set[str]]:
    """Write a small package and return its import graph."""
    for name, text in files.items():
        file = tmp_path / PACKAGE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return import_graph(modules(tmp_path))


def of_the_house(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out the users' programs, which must be there all the same."""
    assert graph.keys() >= PROGRAMS
    return {module: others for module, others in graph.items() if module not in PROGRAMS}


def test_every_module_has_its_floor():
    """A module that no room of the house knows must first be given its place there."""
    assert {name for name in modules() if level_of(room_of(name)) is None} == set()


def test_imports_lead_downwards():
    """No module imports from a higher floor or a neighbour, not even late or for types only."""
    assert upward(of_the_house(import_graph(modules()))) == []


def test_nobody_imports_the_face():
    """Inside the package one imports the modules, never the package's own face."""
    graph = of_the_house(import_graph(modules()))
    assert [name for name, others in graph.items() if PACKAGE in others] == []


def test_no_import_loops():
    """No chain of imports comes back to where it began, late and types-only imports included."""
    graph = import_graph(modules())
    assert len(graph) > len(HOUSE)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])), pytrace=False)


def test_plugins_use_public_names():
    """A plugin, ours as well as a stranger's, needs nothing with an underscore."""
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in ROOT.glob("plugins/*/src/**/*.py")
        for name in private_imports(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set()


@pytest.mark.parametrize(
    "text",
    [
        "from agentperf.telemetry import x",
        "import agentperf.telemetry",
        "from ..telemetry import x",
        "def late():\n    from agentperf import telemetry",
        "if TYPE_CHECKING:\n    from agentperf.telemetry import x",
        "importlib.import_module('agentperf.telemetry')",
    ],
)
def test_the_check_sees_every_way_to_import_upwards(tmp_path, text):
    """The rule can't be walked around by the way an import is written."""
    graph = built(tmp_path, {"telemetry.py": "x = 1", "policies/timed.py": text})
    assert upward(graph) == ["agentperf.policies.timed -> agentperf.telemetry"]


@pytest.mark.parametrize(
    ("module", "other", "allowed"),
    [
        ("policies.timed", "policies.cached", False),
        ("policies.compose", "policies.cached", True),
        ("policies.cached.core", "policies.cached.options", True),
        ("telemetry", "routing", False),
        ("abc", "events", True),
        ("config", "events", False),
        ("errors", "usage", False),
        ("__init__", "cli", True),
    ],
)
def test_neighbours_and_floors(module, other, allowed):
    """Neighbours stay apart; within a room, and downwards, everything is free."""
    name = PACKAGE if module == "__init__" else f"{PACKAGE}.{module}"
    assert (upward({name: {f"{PACKAGE}.{other}"}}) == []) is allowed


def test_the_check_sees_private_names():
    """A private module and a private name are both seen in a plugin's imports."""
    text = "from agentperf._host import Host\nfrom agentperf.abc import _x\nimport agentperf.events"
    assert private_imports(ast.parse(text)) == ["agentperf._host.Host", "agentperf.abc._x"]
