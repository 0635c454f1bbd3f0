"""`agentperf demo`: the same agent before and after, on the same work."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentperf.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from agentperf.demo.comparison import Comparison

SCALE = 0.02
"""One 50th of full scale: the whole demo takes less than a minute."""

_NEEDED = ("openai", "starlette", "uvicorn")


@click.command()
@click.option(
    "--input",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Conversations to play, one JSON object per line; a sample by default.",
)
@click.option(
    "--scale",
    type=float,
    default=SCALE,
    show_default=True,
    help="What all times are multiplied by; 1 is a model of ordinary speed.",
)
@click.option("--port", type=int, default=0, help="Port of the model server; by default any.")
@click.option("--seed", type=int, default=0, help="Draws how long the model takes, and its faults.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def demo(*, path: Path | None, scale: float, port: int, seed: int, as_json: bool) -> None:
    """Play conversations to a small agent, as first written and with agentperf, and compare.

    The agent calls a model through the openai client; the model is a server that the demo starts on
    this machine. Nothing leaves it, and no key is needed.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise ConfigurationError(f"--scale {scale:g}: more than 0 is needed, such as --scale 0.1")
    from agentperf.demo.conversations import load

    messages = load(path)
    for package in _NEEDED:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError("agentperf demo", "demo", package)
    import anyio

    from agentperf.demo import comparison, table

    with _progress(4 * len(messages), shown=sys.stderr.isatty() and not as_json) as advance:

        async def run() -> Comparison:
            return await comparison.compare(
                messages, scale=scale, port=port, seed=seed, advance=advance
            )

        result = anyio.run(run)
    problems = result.problems()
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=2))
        for problem in problems:
            click.echo(f"Error: {problem}", err=True)
    else:
        click.echo(table.render(result, scale=scale))
    sys.exit(1 if problems else 0)


@contextlib.contextmanager
def _progress(steps: int, *, shown: bool) -> Iterator[Callable[[], object]]:
    """Show how far the work is; gives what to call after each step."""
    if not shown:
        yield lambda: None
        return
    with click.progressbar(length=steps, label="before, then after, twice", file=sys.stderr) as bar:
        yield lambda: bar.update(1)
