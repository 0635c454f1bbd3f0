"""`agentperf doctor`: what is here, what is missing, what is wrong."""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import click

from agentperf.cli.output import echo_json, echo_lines
from agentperf.errors import DISTRIBUTION, ConfigurationError, OrderWarning

INSTRUMENTABLE = ("openai", "httpx", "httpx2")
"""Libraries whose calls are measured without decorators."""

PURPOSES = {
    "compression": "large cache entries written smaller",
    "demo": "agentperf demo",
    "offline": "exact counts for OpenAI's models without fetching a vocabulary",
    "yaml": "settings in a YAML file",
}
"""What extras are for; one that isn't here is for developing agentperf."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_BEFORE = re.compile(r"""python_version\s*<\s*["']3\.(\d+)["']""")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@click.command()
@click.option("-m", "module", metavar="MODULE", help="Import a module and check its decorators.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def doctor(*, module: str | None, as_json: bool) -> None:
    """Show versions, settings and what can be measured here; exit with 1 on a problem.

    With -m a module of yours is imported, which runs its code, and policies in a harmful order are
    told of.
    """
    problems = [] if module is None else problems_of(module)
    found = examined()
    found["problems"] += problems
    if as_json:
        echo_json(found)
    else:
        echo_lines(_told(found))
    sys.exit(1 if found["problems"] else 0)


def examined() -> dict[str, Any]:
    """Return what is here, as plain data."""
    needed, extras = _requirements()
    problems = [f"{name} is needed and not installed" for name in needed if not _version(name)]
    file, trouble = _configuration()
    return {
        "agentperf": _version(DISTRIBUTION),
        "python": f"{platform.python_version()} on {sys.platform}",
        "disabled": _disabled(),
        "configuration": file,
        "needed": {name: _version(name) for name in needed},
        "instrumented": "agentperf.auto" in sys.modules,
        "instrumentable": {name: _version(name) for name in INSTRUMENTABLE},
        "extras": {
            name: {"for": PURPOSES[name], "missing": [each for each in of if not _version(each)]}
            for name, of in extras.items()
            if name in PURPOSES
        },
        "vocabularies": _vocabularies(),
        "problems": [*problems, *trouble],
    }


def problems_of(module: str) -> list[str]:
    """Import a module and say what is wrong with it."""
    if not sys.flags.safe_path:
        sys.path.insert(0, str(Path.cwd()))  # as python -m does
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - whatever a module does when it is imported
            return [f"{module} can't be imported: {type(error).__name__}: {error}"]
    orders = [each for each in caught if issubclass(each.category, OrderWarning)]
    return [f"{each.filename}:{each.lineno}: {each.message}" for each in orders]


def _requirements() -> tuple[list[str], dict[str, list[str]]]:
    """What agentperf needs, and what each of its extras does."""
    needed: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in requires(DISTRIBUTION) or ():
        name = _NAME.match(line)
        extra = _EXTRA.search(line)
        before = _BEFORE.search(line)
        of = extras.setdefault(extra[1], []) if extra else needed
        brought = before is not None and sys.version_info >= (3, int(before[1]))  # by Python
        if name is not None and not brought:
            of.append(name[0])
    return needed, extras


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _configuration() -> tuple[str | None, list[str]]:
    """The file in effect, and what is wrong with the settings and with the plugins."""
    from agentperf._plugins import Plugins
    from agentperf.cli.checking import mistakes, quiet_host
    from agentperf.config import load
    from agentperf.config.loading import file_in_effect

    try:
        file = file_in_effect(os.environ)
        host = quiet_host(settings := load())
    except ConfigurationError as error:
        return None, [f"settings: {error}", *Plugins().problems()]
    wrong = [f"settings: {mistake}" for mistake in mistakes(host, settings)]
    return (str(file.file) if file else None), wrong + host.plugins.problems()


def _disabled() -> bool:
    from agentperf.config import load

    try:
        return not load().enabled
    except ConfigurationError:
        return False  # that is told of as a problem


def _vocabularies() -> dict[str, str | None]:
    from agentperf.tokens.vocabularies import KNOWN, find

    at_hand = {name: find(vocabulary) for name, vocabulary in KNOWN.items()}
    return {name: found.where if found else None for name, found in at_hand.items()}


def _told(found: dict[str, Any]) -> Iterator[str]:
    named = ("needed", "instrumentable", "extras", "vocabularies")
    room = max(len(name) for section in named for name in found[section]) + 2
    yield f"agentperf {found['agentperf']}, Python {found['python']}"
    yield f"settings       {found['configuration'] or 'no file'}"
    if found["disabled"]:
        yield "               agentperf is disabled: decorated functions are plain ones"
    yield from _rows("needed", found["needed"], "not installed", room)
    yield from _rows("instrumentable", found["instrumentable"], "not installed", room)
    if found["instrumented"]:
        yield "               they are instrumented: the module imports agentperf.auto"
    extras: dict[str, str | None] = {
        name: f"missing: {', '.join(of['missing'])} (for {of['for']})" if of["missing"] else "there"
        for name, of in found["extras"].items()
    }
    yield from _rows("extras", extras, "", room)
    yield from _rows("vocabularies", found["vocabularies"], "not at hand: estimated", room)
    for problem in found["problems"]:
        yield click.style("problem", fg="red", bold=True) + f"        {problem}"
    if not found["problems"]:
        yield click.style("ok", fg="green") + "             no problem found"


def _rows(title: str, values: dict[str, str | None], otherwise: str, room: int) -> Iterator[str]:
    for number, (name, value) in enumerate(values.items()):
        yield f"{'' if number else title:<15}{name:<{room}}{value or otherwise}"
