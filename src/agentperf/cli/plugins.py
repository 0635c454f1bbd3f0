"""`agentperf plugins`: which plugins there are, where they come from and what they offer."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from agentperf._plugins import Listed

FOUND = 1
"""Exit code when a plugin failed, two clash, or one that the environment names is not there."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the plugins as JSON.")
def plugins(*, as_json: bool) -> None:
    """List the plugins that are loaded, from where, and what they offer.

    Exit code 1 when one failed to load, when two offer the same name, or when the environment names
    one that is not installed.
    """
    from agentperf._plugins import Plugins
    from agentperf.config.environment import Environment

    Environment(os.environ)  # a misspelt variable would let in what was to be kept out
    found = Plugins()
    listed, problems = found.listed(), found.problems()
    if as_json:
        shown = {"plugins": [_as_facts(plugin) for plugin in listed], "problems": problems}
        click.echo(json.dumps(shown, indent=2))
    else:
        for plugin in listed:
            click.echo(_as_text(plugin))
        for problem in problems:
            click.echo(f"Error: {problem}", err=True)
    sys.exit(FOUND if problems else 0)


def _as_facts(plugin: Listed) -> dict[str, Any]:
    return {
        "name": plugin.origin.plugin,
        "distribution": plugin.origin.distribution,
        "module": plugin.origin.target,
        "state": plugin.state,
        "reason": plugin.reason,
        "offers": {kind.plural: list(names) for kind, names in plugin.offers.items()},
    }


def _as_text(plugin: Listed) -> str:
    origin = plugin.origin
    where = " ".join(filter(None, [origin.distribution, origin.target and f"({origin.target})"]))
    lines = [f"{origin.plugin}  {plugin.state}  {where}".rstrip()]
    lines += [f"  {kind.plural}: {', '.join(names)}" for kind, names in plugin.offers.items()]
    return "\n".join(lines)
