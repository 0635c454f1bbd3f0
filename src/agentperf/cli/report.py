"""`agentperf report`: the figures of a recorded run."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from agentperf.cli.output import echo_json, echo_lines, width

if TYPE_CHECKING:
    from agentperf.telemetry.recording import Recording

SORTS = (
    *("time", "calls", "errors", "p50", "p95", "p99", "first_item"),
    *("tokens", "input_tokens", "output_tokens", "cost", "hit_rate", "name"),
)


@click.command()
@click.argument("recording", required=False, metavar="[NAME|PATH]")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "--sort",
    type=click.Choice(SORTS),
    default="time",
    show_default=True,
    help="What comes first: the largest of this; time is all calls together.",
)
def report(*, recording: str | None, as_json: bool, sort: str) -> None:
    """Show what a recorded run did: times, failures, tokens, cost and cache hits by operation.

    Without a name it is the latest recording. Times are those of completed calls; each token is
    counted once, where it was spent.
    """
    from agentperf.telemetry.recording import find, read
    from agentperf.telemetry.report.tables import listing

    run = read(find(recording))
    if as_json:
        echo_json(run.to_dict())
        return
    lines = listing(run.summary, sort=sort, width=width(sys.stdout))
    echo_lines([described(run), "", *(lines or ["no call was measured"])])
    for remark in run.remarks():
        click.echo(f"Note: {remark}", err=True)


def described(run: Recording) -> str:
    """Say in a line what a recording is of."""
    header = run.header
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(header.started))
    return f"{run.name}: {header.program}, {started}, Python {header.python}"
