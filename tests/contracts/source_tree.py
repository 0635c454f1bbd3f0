"""The source tree as data: its modules, and who imports whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
PACKAGE = "agentperf"


@dataclass(frozen=True)
class Module:
    """One source file, parsed."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        is_package = self.path.name == "__init__.py"
        return self.name if is_package else self.name.rpartition(".")[0]


def modules(src: Path = SRC) -> dict[str, Module]:
    """Parse every module of the package under `src`."""
    found = {}
    for path in sorted((src / PACKAGE).rglob("*.py")):
        parts = path.relative_to(src).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8")))
    return found


def imports(tree: ast.Module, package: str = "") -> Iterator[tuple[str, str]]:
    """Yield (module, name) of every import, wherever it stands; the name of a plain one is empty.

    Imports under `TYPE_CHECKING`, in functions and by `import_module("...")` are among them.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name, "") for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = ".".join(package.split(".")[: len(package.split(".")) - level + 1])
                whole = ".".join(filter(None, [base if level else "", module]))
                yield from ((whole, alias.name) for alias in names)
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if ast.unparse(
                function
            ).endswith("import_module"):
                yield name, ""


def import_graph(found: dict[str, Module]) -> dict[str, set[str]]:
    """Map each module to the modules of the package that it imports."""
    graph: dict[str, set[str]] = {}
    for module in found.values():
        edges = graph.setdefault(module.name, set())
        for base, name in imports(module.tree, module.package):
            if base.split(".")[0] == PACKAGE:
                inner = f"{base}.{name}"
                edges.add(inner if inner in found else base)
        edges.discard(module.name)
    return graph
