"""`agentperf run`: an unchanged program, measured."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from agentperf.cli import program

if TYPE_CHECKING:
    from agentperf._host import Host
    from agentperf.telemetry.recording import Writer
    from agentperf.telemetry.report.unknown import UnknownCounts


@click.command(
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
    options_metavar="[OPTIONS]",
)
@click.option("--record", is_flag=True, help="Write the run down in the folder .agentperf.")
@click.option("--name", metavar="NAME", help="Name of the recording; the time by default.")
@click.option("--replace", is_flag=True, help="Let it take the place of a recording of that name.")
@click.option("--quiet", is_flag=True, help="Print no table at the end.")
@click.option("-m", "module", is_flag=True, help="Run a module, as python -m does.")
@click.argument("target", metavar="app.py | -m MODULE")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGUMENTS]...")
def run(
    *,
    record: bool,
    name: str | None,
    replace: bool,
    quiet: bool,
    module: bool,
    target: str,
    arguments: tuple[str, ...],
) -> None:
    """Run a program unchanged, and measure its model calls, requests and decorated functions.

    The program gets its arguments and standard input as from Python itself, and its exit code is
    that of the command. At the end a table of operations goes to stderr; with --record every call
    is written down for report and compare.
    """
    program.check(target, module=module)
    _instrument()
    from agentperf._engine.current import current_host
    from agentperf.telemetry.report.unknown import UnknownCounts

    host: Host = current_host()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    unknown = UnknownCounts(host)
    writer = _recording(host, target, name, replace=replace) if record or name else None
    finish = _at_the_end(host, writer, unknown, quiet=quiet)
    try:
        program.run(target, arguments, module=module)
    except program.NothingToRun:
        atexit.unregister(finish)
        if writer is not None:
            writer.discard()
        raise


def _instrument() -> None:
    """Instrument what there is to instrument, as `import agentperf.auto` does."""
    if importlib.util.find_spec("agentperf.auto") is not None:
        importlib.import_module("agentperf.auto")


def _recording(host: Host, target: str, name: str | None, *, replace: bool) -> Writer:
    from importlib.metadata import version

    from agentperf.errors import DISTRIBUTION
    from agentperf.telemetry.recording import Writer, new_path

    path = new_path(name, replace=replace)
    click.echo(f"agentperf: recording to {os.path.relpath(path)}", err=True)
    program_name = os.path.basename(target)  # noqa: PTH119 - a module's name is no path
    return Writer(host, path, program=program_name, version=version(DISTRIBUTION))


def _at_the_end(
    host: Host, writer: Writer | None, unknown: UnknownCounts, *, quiet: bool
) -> Callable[[], None]:
    """Finish when all is over: the program's threads and its own exit handlers included."""
    owner = os.getpid()

    def finish() -> None:
        if os.getpid() != owner:
            return  # a forked child: the run is its parent's
        with contextlib.suppress(OSError):  # stderr is closed
            _finish(host, writer, unknown, quiet=quiet)

    return atexit.register(finish)


def _finish(host: Host, writer: Writer | None, unknown: UnknownCounts, *, quiet: bool) -> None:
    whole = writer is None or writer.stop()
    if not quiet:
        from agentperf.cli.output import echo_lines, width
        from agentperf.telemetry.report.summary import Summary
        from agentperf.telemetry.report.tables import listing

        caches = {} if writer is None else writer.caches()
        summary = Summary.of(host.stats(), caches, unknown.by_operation())
        echo_lines(["", *listing(summary, width=width(sys.stderr))], err=True)
        if not summary.operations:
            click.echo("agentperf: no call was measured", err=True)
    if writer is not None and (writer.dropped or not whole):
        missing = f"{writer.dropped:,} calls were not written"
        click.echo(f"agentperf: the recording is not whole: {missing}", err=True)
