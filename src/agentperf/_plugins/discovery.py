"""Which plugins are installed, and which of them the environment lets in."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentperf._plugins.listing import Origin

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "agentperf"
LOAD = "AGENTPERF_LOAD_PLUGINS"
DISABLE = "AGENTPERF_DISABLE_PLUGINS"


@dataclass(frozen=True, slots=True)
class Installed:
    """A plugin that is installed.

    Attributes:
        origin: Where it comes from.
        load: Imports it.
        enabled: Whether the environment lets it in.
    """

    origin: Origin
    load: Callable[[], Any]
    enabled: bool


def installed(environment: Mapping[str, str] | None = None) -> list[Installed]:
    """List the installed plugins, by name; none of them is imported.

    A plugin goes by the name of its entry point and by that of its distribution.

    Args:
        environment: The variables; those of the process by default.
    """
    variables = os.environ if environment is None else environment
    wanted, unwanted = _names(variables.get(LOAD, "")), _names(variables.get(DISABLE, ""))
    found: list[Installed] = []
    for point in _scan():
        version = f"{point.dist.name} {point.dist.version}" if point.dist else ""
        called = {_normal(name) for name in _called(point)}
        enabled = (not wanted or bool(wanted & called)) and not unwanted & {*called, "*"}
        origin = Origin(point.name, version, point.value)
        found.append(Installed(origin, point.load, enabled))
    return found


def strays(environment: Mapping[str, str] | None = None) -> list[str]:
    """Say which names of the environment no installed plugin goes by, a sentence each.

    Args:
        environment: The variables; those of the process by default.
    """
    from difflib import get_close_matches

    variables = os.environ if environment is None else environment
    known = {_normal(name) for point in _scan() for name in _called(point)}
    found: list[str] = []
    for variable, allowed in ((LOAD, known), (DISABLE, known | {"*"})):
        for name in sorted(_names(variables.get(variable, "")) - allowed):
            close = get_close_matches(name, sorted(known), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            found.append(f"{variable}: no plugin of the name {name!r} is installed{hint}")
    return found


@functools.cache
def _scan() -> tuple[EntryPoint, ...]:
    """Read the entry points, once per process: it takes milliseconds."""
    from importlib.metadata import entry_points

    return tuple(sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)))


def _called(point: EntryPoint) -> list[str]:
    """Return the names a plugin goes by."""
    return [point.name, point.dist.name] if point.dist else [point.name]


def _names(text: str) -> set[str]:
    return {_normal(name) for name in text.split(",") if name.strip()}


def _normal(name: str) -> str:
    """Bring a name into the form in which distributions compare theirs."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
