"""What importing costs, measured over whole processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import agentperf
from tests.benchmarks.rows import Row, below

BARE = ""
IMPORT = "import agentperf"
DECORATE = "import agentperf\n@agentperf.cached(ttl=1)\ndef f(x): return x\n"

SOURCE = Path(agentperf.__file__).parent.parent


def rows(rounds: int) -> Iterator[Row]:
    """Measure the import alone, and with one decoration."""
    try:
        import resource  # noqa: F401
    except ImportError:
        yield Row(IMPORT, None, "", None, "ms", below(floor=20, goal=10), "needs a POSIX system")
        return
    bare, imported, decorated = _medians([BARE, IMPORT, DECORATE], rounds)
    yield Row("import agentperf, CPU", imported - bare, "", None, "ms", below(floor=20, goal=10))
    path = "import and one decoration, CPU"
    yield Row(path, decorated - bare, "", None, "ms", below(floor=60, goal=30))


def _medians(programs: list[str], rounds: int) -> list[float]:
    """Return the median CPU time of each program; they take turns, and compile beforehand."""
    with tempfile.TemporaryDirectory(prefix="bench-") as bytecode:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        env |= {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONPATH": str(SOURCE)}
        for program in programs:
            _cpu_ms(program, env)
        samples = [[_cpu_ms(program, env) for program in programs] for _ in range(rounds)]
    return [statistics.median(sample) for sample in zip(*samples, strict=True)]


def _cpu_ms(program: str, env: dict[str, str]) -> float:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], env=env, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return (user + system) * 1e3
