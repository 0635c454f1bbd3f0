"""The command group, and how it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from agentperf.cli.compare import compare
from agentperf.cli.config import config
from agentperf.cli.demo import demo
from agentperf.cli.doctor import doctor
from agentperf.cli.plugins import plugins
from agentperf.cli.program import Ended
from agentperf.cli.report import report
from agentperf.cli.run import run
from agentperf.cli.tokenizers import tokenizers
from agentperf.errors import DISTRIBUTION, ConfigurationError

USAGE = 2
"""Exit code for a command that was called wrongly."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=DISTRIBUTION, prog_name="agentperf")
@click.pass_context
def commands(context: click.Context) -> None:
    """Makes Python agents fast, cheap and dependable, and proves it."""
    context.color = colour_wanted()


def colour_wanted() -> bool | None:
    """Tell what NO_COLOR and FORCE_COLOR ask for; None: colour for terminals only."""
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None


for command in (run, report, compare, doctor, config, plugins, demo, tokenizers):
    commands.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command `agentperf` and leave the process.

    Exit codes: 0 all is well, 1 the command found something, 2 it was called wrongly; `run` ends as
    the program does.
    """
    try:
        commands.main(arguments, prog_name="agentperf")
    except ConfigurationError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(USAGE)
    except Ended as ended:
        program = ended
    # Out of the handler: what it handled would be shown as the context of the program's error.
    program.pass_on()
