"""One group measured once, in a process of its own; prints its rows as JSON.

Run as `python -m tests.benchmarks.worker GROUP ROUNDS`.
"""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from typing import Any


def main(group: str, rounds: str) -> None:
    """Measure a group."""
    module: Any = importlib.import_module(f"tests.benchmarks.groups.{group}")
    print(json.dumps([asdict(row) for row in module.rows(int(rounds))]))


if __name__ == "__main__":
    main(*sys.argv[1:])
