"""Measure the speed floors and put the probes, beside installed peers; say what is not met.

    python tests/benchmarks/run.py [--only GROUP] [--rounds N] [--json FILE] [--check]

A group is a module in `groups/` with one function, `rows(rounds)`; another group is another file.
The group `probes` asks what a library does instead of how fast it is, see `probes/`.
Each other group, unless it only counts or waits, is measured in several processes: where a
process's memory happens to lie makes one slower than the next, by as much as a fifth.
"""

from __future__ import annotations

import argparse
import ast
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.benchmarks.probes.table import Line
    from tests.benchmarks.rows import Row

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GROUPS = sorted(file.stem for file in (HERE / "groups").glob("*.py"))
PROBES = "probes"
PROCESSES = 5
ONCE = {"eviction", "together"}
"""Groups measured in one process: they count, or wait most of the time."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", choices=[*GROUPS, PROBES], help="this group alone")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each in each process")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 if a floor or a probe is missed"
    )
    return parser.parse_args()


def measured(group: str, rounds: int) -> list[Row]:
    """Measure a group in several processes, one after another."""
    from tests.benchmarks.rows import Row

    command = [sys.executable, "-m", "tests.benchmarks.worker", group, str(rounds)]
    samples = [
        json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
        for _ in range(1 if group in ONCE else PROCESSES)
    ]
    return [Row.of_several(list(row)) for row in zip(*samples, strict=True)]


def headline(group: str) -> str:
    """Return the first line of a group's docstring, without importing its peers."""
    source = (HERE / "groups" / f"{group}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or group).partition("\n")[0]


def floors(results: dict[str, list[Row]]) -> list[str]:
    """Say which floors are missed, and return their names."""
    rows = [row for group in results.values() for row in group]
    missed = [row.name for row in rows if row.missed]
    if absent := sorted({f"{row.name} ({row.missing})" for row in rows if row.missing}):
        print(f"\nnot measured: {', '.join(absent)}")
    print(f"\nfloors missed: {'; '.join(missed) if missed else 'none'}")
    return missed


def probed() -> list[Line]:
    """Put the probes, and print what comes of it."""
    from tests.benchmarks.probes import table

    lines = table.run()
    print("\nWhat agentperf and its peers do.", *table.layout(lines), sep="\n", flush=True)
    return lines


def write(file: Path, results: dict[str, list[Row]], lines: list[Line]) -> None:
    """Write everything, and on what it was measured, as JSON."""
    groups = {group: [row.to_dict() for row in rows] for group, rows in results.items()}
    about = {"python": platform.python_version(), "machine": platform.machine()}
    figures = {**about, "groups": groups, "probes": [line.to_dict() for line in lines]}
    file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Measure, ask, print, judge."""
    sys.path[0] = str(ROOT)  # as with `python -m` from the checkout
    from tests.benchmarks.table import lines

    options = arguments()
    chosen = [options.only] if options.only else [*GROUPS, PROBES]
    results: dict[str, list[Row]] = {}
    for group in chosen:
        if group != PROBES:
            results[group] = measured(group, options.rounds)
            print(f"\n{headline(group)}", *lines(results[group]), sep="\n", flush=True)
    missed = floors(results) if results else []
    answers = probed() if PROBES in chosen else []
    if unmet := [line.probe.question for line in answers if not line.passed]:
        print(f"\nprobes that agentperf doesn't pass: {'; '.join(unmet)}")
    if options.json:
        write(options.json, results, answers)
    return 1 if options.check and (missed or unmet) else 0


if __name__ == "__main__":
    sys.exit(main())
