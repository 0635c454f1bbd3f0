"""All probes put to all libraries, and the answers as a table."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.benchmarks.probes import typing
from tests.benchmarks.probes.probe import OURS, Probe

ROOT = Path(__file__).resolve().parents[3]
FAMILIES = ("cache", "limits", "breakers", "retries", "typing", "imports")
AT_ONCE = 4
"""Processes at a time: most of them wait most of the time."""
PATIENCE = 20.0
"""Seconds after which a process counts as hanging."""
HEADINGS = ("probe", "agentperf", "passed by", "failed by")

Verdict = Literal["passed", "failed", "not run", "absent"]


@dataclass(frozen=True)
class Outcome:
    """How one library answered one question."""

    library: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class Line:
    """One probe and everybody's answer, ours first."""

    probe: Probe[Any]
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether agentperf passes."""
        return self.outcomes[0].verdict == "passed"

    @property
    def ours(self) -> str:
        """How agentperf does, in a word or two."""
        return "passed" if self.passed else "not yet" if self.probe.not_yet else "FAILED"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            "probe": self.probe.question,
            "agentperf": self.ours,
            "outcomes": [asdict(each) for each in self.outcomes],
        }

    def named(self, verdict: Verdict) -> str:
        """List the peers of one verdict."""
        names = [each.library for each in self.outcomes[1:] if each.verdict == verdict]
        return ", ".join(names) or "-"


def probes() -> Iterator[tuple[str, Probe[Any]]]:
    """List all probes with their families."""
    for family in FAMILIES:
        module: Any = importlib.import_module(f"tests.benchmarks.probes.{family}")
        yield from ((family, probe) for probe in module.PROBES)


def distribution(library: str) -> str:
    """Return the name of a library without the way in which it is used, in brackets."""
    return library.partition(" (")[0]


def version(library: str) -> str | None:
    """Return the version of what is installed."""
    try:
        name = distribution(library)
        return importlib.metadata.version("agentperf-sdk" if name == OURS else name)
    except importlib.metadata.PackageNotFoundError:
        return None


def ask(family: str, probe: Probe[Any], library: str) -> Outcome:
    """Put one question to one library; a hang is a failure."""
    if version(library) is None:
        return Outcome(library, "absent")
    words = ["-m", "tests.benchmarks.probes.worker", family, probe.name, library]
    try:
        ran = subprocess.run(
            [sys.executable, *words], cwd=ROOT, capture_output=True, timeout=PATIENCE, check=True
        )
    except subprocess.TimeoutExpired:
        return Outcome(library, "failed", f"hung for {PATIENCE:g} s")
    except subprocess.CalledProcessError as error:
        return Outcome(library, "failed", f"ended with code {error.returncode}")
    verdict, reason = json.loads(ran.stdout.splitlines()[-1])
    return Outcome(library, verdict, reason)


def run(asked: Callable[[str, Probe[Any], str], Outcome] = ask) -> list[Line]:
    """Put every question to everybody it applies to."""
    asyncio.run(typing.prepare())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = [
            (probe, [pool.submit(asked, family, probe, name) for name in probe.contestants])
            for family, probe in probes()
        ]
        return [Line(probe, [each.result() for each in futures]) for probe, futures in answers]


def layout(lines: list[Line]) -> Iterator[str]:
    """Write the table (as Markdown), why who failed, and who was asked."""
    cells = [HEADINGS, *(_cells(line) for line in lines)]
    wide = max(len(row[0]) for row in cells)
    written = [
        f"| {question:{wide}} | {ours:9} | {passed} | {failed} |"
        for question, ours, passed, failed in cells
    ]
    yield from (written[0], f"|{'-' * (wide + 2)}|{'-' * 11}|---|---|", *written[1:])
    yield from _reasons(lines)
    yield from _libraries(lines)


def _cells(line: Line) -> tuple[str, str, str, str]:
    return (line.probe.question, line.ours, line.named("passed"), line.named("failed"))


def _reasons(lines: list[Line]) -> Iterator[str]:
    for line in lines:
        told = [each for each in line.outcomes if each.verdict in ("failed", "not run")]
        if told:
            yield f"\n{line.probe.question}"
        for each in told:
            why = " ".join(each.reason.split())
            yield f"  {each.library}, {each.verdict}: {why[:100]}"


def _libraries(lines: list[Line]) -> Iterator[str]:
    names = sorted({distribution(each.library) for line in lines for each in line.outcomes})
    versions = {name: version(name) for name in names}
    here = (f"{name} {number}" for name, number in versions.items() if number)
    yield f"\nasked: {', '.join(here)}"
    yield f"not installed: {', '.join(n for n in names if not versions[n]) or '-'}"
