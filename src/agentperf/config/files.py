"""Settings from files: which one counts, what it says, and on which line."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from agentperf.config.complaints import Path
from agentperf.errors import ConfigurationError, MissingExtraError

PYPROJECT = "pyproject.toml"
NAMES = ("agentperf.toml", "agentperf.yaml", "agentperf.yml", PYPROJECT)
"""What is looked for in each folder, in this order."""

_TABLE = ("tool", "agentperf")
"""Where the settings stand in pyproject.toml."""

_MAY_HAVE_TABLE = re.compile(r"""^\s*\[?\s*["']?tool\b(.*\bagentperf\b|["']?\s*\])""", re.MULTILINE)


class ConfigFile:
    """A file that was read.

    Attributes:
        values: The settings it makes.
    """

    def __init__(
        self, file: str, text: str, values: Mapping[str, object], *, prefix: Path, yaml: bool
    ) -> None:
        self.file = file
        self.values = values
        self._text = text
        self._prefix = prefix
        self._find_lines: Callable[[str], dict[Path, int]] = yaml_lines if yaml else toml_lines

    @functools.cached_property
    def _lines(self) -> dict[Path, int]:
        return self._find_lines(self._text)

    def where(self, path: Path) -> str:
        """Name the file and the line of a value, or of the table that it is in."""
        path = self._prefix + path
        while path and path not in self._lines:
            path = path[:-1]
        return f"{self.file}:{self._lines[path]}" if path else str(self.file)


def find(folder: str) -> ConfigFile | None:
    """Read the nearest file with settings, from an absolute `folder` upward."""
    while True:
        for name in NAMES:
            file = os.path.join(folder, name)
            if os.path.isfile(file) and (found := read(file)) is not None:
                return found
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def read(file: str) -> ConfigFile | None:
    """Read a file; None for a pyproject.toml that says nothing about agentperf.

    Raises:
        ConfigurationError: It can't be read, or is no TOML or YAML with a table.
        MissingExtraError: It is YAML, and PyYAML is not installed.
    """
    try:
        with open(file, encoding="utf-8") as opened:
            text = opened.read().removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} can't be read: {error}") from error
    in_pyproject = os.path.basename(file) == PYPROJECT
    if in_pyproject and not _MAY_HAVE_TABLE.search(text):
        return None  # Most have nothing for us, and a parser is not loaded for them.
    is_yaml = file.endswith((".yaml", ".yml"))
    values: Any = _parsed_yaml(file, text) if is_yaml else _parsed_toml(file, text)
    prefix = _TABLE if in_pyproject else ()
    for key in prefix:
        if not isinstance(values, Mapping) or key not in values:
            return None
        values = values[key]
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"{file}: a table of settings is needed, such as enabled = true")
    if "tool" in values:
        raise ConfigurationError(
            f"{file}: [tool.agentperf] belongs in {PYPROJECT}; here leave `tool.agentperf` out"
        )
    return ConfigFile(file, text, values, prefix=prefix, yaml=is_yaml)


def toml_lines(text: str) -> dict[Path, int]:
    """Tell on which line each key of a valid TOML text stands.

    The parser doesn't say, but it knows where a statement ends: as soon as its lines parse alone.
    """
    from tomllib import TOMLDecodeError, loads

    lines: dict[Path, int] = {}
    table: Path = ()
    statement: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        statement.append(line)
        try:
            parsed = loads("\n".join(statement))
        except TOMLDecodeError:
            continue
        keys = _keys(parsed)
        around = table
        if statement[0].lstrip().startswith("["):
            around, table = (), keys[-1]
        for key in keys:
            lines.setdefault(around + key, number - len(statement) + 1)
        statement = []
    return lines


def yaml_lines(text: str) -> dict[Path, int]:
    """Tell on which line each key of a valid YAML text stands."""
    yaml: Any = import_module("yaml")
    lines: dict[Path, int] = {}

    def walk(node: Any, path: Path) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*path, str(key.value))
                lines.setdefault(inner, key.start_mark.line + 1)
                walk(value, inner)

    walk(yaml.compose(text, Loader=yaml.SafeLoader), ())
    return lines


def _keys(value: object, path: Path = ()) -> list[Path]:
    """List the paths of all tables and values in a parsed text, outer ones first."""
    if isinstance(value, list) and value:
        value = value[-1]
    if not isinstance(value, dict):
        return []
    return [
        found
        for key, inner in value.items()
        for found in ((*path, key), *_keys(inner, (*path, key)))
    ]


def _parsed_toml(file: str, text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        where = f"{file}:{line[1]}" if line else str(file)
        raise ConfigurationError(f"{where}: no valid TOML: {error}") from error


def _parsed_yaml(file: str, text: str) -> Any:
    try:
        yaml: Any = import_module("yaml")
    except ImportError as error:
        raise MissingExtraError(f"The configuration in {file}", "yaml", "PyYAML") from error
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        problem = getattr(error, "problem", None) or error
        raise ConfigurationError(f"{where}: no valid YAML: {problem}") from error
    return {} if values is None else values
