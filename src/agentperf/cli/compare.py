"""`agentperf compare`: two recorded runs side by side."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from agentperf.cli.output import echo_json, echo_lines, width
from agentperf.cli.report import described


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "--fail-on",
    "limits",
    multiple=True,
    metavar="FIGURE=PERCENT",
    help="Exit with 1 if this got worse by more, such as p95=10%; may be given several times.",
)
def compare(*, before: str, after: str, as_json: bool, limits: tuple[str, ...]) -> None:
    """Show two recorded runs side by side: totals, then every operation, with the gain.

    BEFORE and AFTER are names of recordings or paths of their files.
    """
    from agentperf.telemetry.recording import find, read
    from agentperf.telemetry.report.comparing import Limit, compared, exceeded, unchecked
    from agentperf.telemetry.report.tables import side_by_side

    wanted = [Limit.parse(text) for text in limits]
    old, new = read(find(before)), read(find(after))
    blocks = compared(old.summary, new.summary)
    problems = exceeded(old.summary, new.summary, wanted)
    unsure = unchecked(old.summary, new.summary, wanted)
    if as_json:
        totals, *operations = [{row.key: row.to_dict() for row in block.rows} for block in blocks]
        unknown = {"before": asdict(old.summary.unknown), "after": asdict(new.summary.unknown)}
        names = [block.title for block in blocks[1:]]
        echo_json(
            {
                "before": old.name,
                "after": new.name,
                "totals": totals,
                "operations": dict(zip(names, operations, strict=True)),
                "unknown": unknown,
                "exceeded": problems,
                "unchecked": unsure,
            }
        )
    else:
        head = [f"before  {described(old)}", f"after   {described(new)}", ""]
        echo_lines([*head, *side_by_side(blocks, width=width(sys.stdout))])
    said = [f"{run.name}: {line}" for run in (old, new) for line in run.summary.remarks()]
    for remark in (*old.remarks(), *new.remarks(), *said, *unsure):
        click.echo(f"Note: {remark}", err=True)
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    sys.exit(1 if problems else 0)
