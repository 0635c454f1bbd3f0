"""Measure the speed floors beside installed peers, and say which of them are met.

    python tests/benchmarks/run.py [--only GROUP] [--rounds N] [--json FILE] [--check]

A group is a module in `groups/` with one function, `rows(rounds)`; another group is another file.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.benchmarks.rows import Row

HERE = Path(__file__).resolve().parent
GROUPS = sorted(file.stem for file in (HERE / "groups").glob("*.py"))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", choices=GROUPS, help="measure this group alone")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contestant")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a floor is missed")
    return parser.parse_args()


def measured(groups: list[str], rounds: int) -> dict[str, list[Row]]:
    """Run the groups one after another, and print each one's table."""
    from tests.benchmarks.table import lines

    results: dict[str, list[Row]] = {}
    for group in groups:
        module: Any = importlib.import_module(f"tests.benchmarks.groups.{group}")
        results[group] = list(module.rows(rounds))
        print(f"\n{module.__doc__.splitlines()[0]}", *lines(results[group]), sep="\n", flush=True)
    return results


def write(file: Path, results: dict[str, list[Row]]) -> None:
    """Write the figures, and on what they were measured, as JSON."""
    groups = {group: [row.to_dict() for row in rows] for group, rows in results.items()}
    about = {"python": platform.python_version(), "machine": platform.machine()}
    file.write_text(json.dumps({**about, "groups": groups}, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Measure, print, judge."""
    sys.path[0] = str(HERE.parents[1])  # as with `python -m` from the checkout
    options = arguments()
    results = measured([options.only] if options.only else GROUPS, options.rounds)
    if options.json:
        write(options.json, results)
    rows = [row for group in results.values() for row in group]
    missed = [row.name for row in rows if row.missed]
    if absent := sorted({f"{row.name} ({row.missing})" for row in rows if row.missing}):
        print(f"\nnot measured: {', '.join(absent)}")
    print(f"\nfloors missed: {'; '.join(missed) if missed else 'none'}")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
