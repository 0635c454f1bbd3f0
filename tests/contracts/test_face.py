"""The face of the package: one table of names, the same for Python, checkers and documents."""

from __future__ import annotations

import ast
import importlib
import inspect
import re

import pytest

import agentperf
from tests.contracts.source_tree import PACKAGE, ROOT, SRC, imports, modules

FACE = modules()[PACKAGE].tree
EXPORTS: dict[str, str] = agentperf._EXPORTS
REFERENCE = ROOT / "docs" / "reference" / "index.md"
LISTED = re.findall(r"^\| `([\w.]+)`", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
FOR_CHECKERS = ast.Module(
    [
        node
        for node in FACE.body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ],
    type_ignores=[],
)


def typed_imports() -> dict[str, str]:
    """Map the names that type checkers see to the modules they come from."""
    return {
        name: f"{module}.{name}" if module == PACKAGE else module
        for module, name in imports(FOR_CHECKERS)
    }


def test_the_table_is_what_type_checkers_see():
    """The lazy table and the `TYPE_CHECKING` imports name the same things in the same modules."""
    assert typed_imports() == EXPORTS


def test_every_import_for_type_checkers_is_an_export():
    """Each is written `import x as x`: only so do checkers take it for a public name."""
    aliases = [
        alias
        for node in ast.walk(FOR_CHECKERS)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert aliases
    assert [alias.name for alias in aliases if alias.asname != alias.name] == []


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_every_name_is_there(name):
    """A name of the table leads to the thing of that name in its module."""
    module = importlib.import_module(EXPORTS[name])
    is_module = EXPORTS[name] == f"{PACKAGE}.{name}"
    assert getattr(agentperf, name) is (module if is_module else getattr(module, name))


def test_the_face_lists_its_names():
    """`dir()` and `from agentperf import *` know every public name."""
    assert set(EXPORTS) <= set(dir(agentperf))
    assert set(EXPORTS) <= set(agentperf.__all__)


def test_a_name_that_is_not_there():
    """A slip of the pen is an ordinary AttributeError that names module and attribute."""
    with pytest.raises(AttributeError, match=r"agentperf.*cachd"):
        agentperf.cachd  # noqa: B018 - looking it up is the test


def test_no_function_bears_a_modules_name():
    """Importing a submodule would replace a public function of the same name."""
    package = SRC / PACKAGE
    submodules = {path.stem for path in package.glob("*.py")}
    submodules |= {path.parent.name for path in package.glob("*/__init__.py")}
    clashes = submodules & {
        name for name, module in EXPORTS.items() if module != f"{PACKAGE}.{name}"
    }
    assert clashes == set()


def test_public_names_are_the_documented_ones():
    """The reference lists every public name, and none that isn't there."""
    own = {name for name, module in EXPORTS.items() if module != f"{PACKAGE}.{name}"}
    assert own == {name for name in LISTED if "." not in name}


def test_documented_modules_are_there():
    """Every module that the reference lists can be imported; a module of the face is listed."""
    listed = {name for name in LISTED if "." in name}
    assert {m for name, m in EXPORTS.items() if m == f"{PACKAGE}.{name}"} <= listed
    for name in listed:
        importlib.import_module(name)


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_every_public_thing_explains_itself(name):
    """`help()` on a public function or class says more than nothing, in the package's own words."""
    thing = getattr(agentperf, name)
    if callable(thing):
        assert (inspect.getdoc(thing) or "").strip() != (inspect.getdoc(type(thing)) or "").strip()
