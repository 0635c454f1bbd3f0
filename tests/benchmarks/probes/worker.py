"""One probe put to one library, in a process of its own; prints the outcome as JSON.

Run as `python -m tests.benchmarks.probes.worker FAMILY PROBE LIBRARY`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import warnings
from typing import Any


def outcome(family: str, name: str, library: str) -> tuple[str, str]:
    """Put the question; return a verdict and its reason."""
    module: Any = importlib.import_module(f"tests.benchmarks.probes.{family}")
    (probe,) = (probe for probe in module.PROBES if probe.name == name)
    try:
        adapter = module.CONTESTANTS[library]()
    except Exception as error:  # noqa: BLE001 - whatever keeps it from being used here
        return "not run", f"{type(error).__name__}: {error}"
    try:
        asyncio.run(probe.check(adapter))
    except AssertionError as error:
        return "failed", str(error)
    except Exception as error:  # noqa: BLE001 - whatever the library raises instead of an answer
        return "failed", f"{type(error).__name__}: {error}"
    return "passed", ""


def main() -> None:
    """Answer, and leave behind whatever thread a library may have stuck."""
    warnings.simplefilter("ignore")  # of coroutines that a library never awaited, for instance
    print(json.dumps(outcome(*sys.argv[1:])), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
