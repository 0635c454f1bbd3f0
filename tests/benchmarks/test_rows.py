"""The judgement over a figure: what counts as met, missed, or not measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.harness import Peer, Race, medians
from tests.benchmarks.rows import SHOWN, Row, Terms, below, faster, points, within


def row(ours: float | None, theirs: float | None, terms: Terms) -> Row:
    """Make a row of which only the figures matter."""
    return Row("path", ours, "peer", theirs, "ns", terms)


@pytest.mark.parametrize(
    ("ours", "theirs", "terms", "verdict"),
    [
        (100.0, 299.0, faster(floor=3), "MISSED"),
        (100.0, 300.0, faster(floor=3), "floor met"),
        (100.0, 300.0, faster(floor=2, goal=3), "goal met"),
        (100.0, 250.0, faster(floor=2, goal=3), "floor met"),
        (251.0, 100.0, within(goal=2.5), "short of goal"),
        (250.0, 100.0, within(goal=2.5), "goal met"),
        (301.0, 100.0, within(floor=3), "MISSED"),
        (20.0, None, below(floor=20, goal=10), "floor met"),
        (20.1, None, below(floor=20, goal=10), "MISSED"),
        (9.9, None, below(floor=20, goal=10), "goal met"),
        (49.1, 50.0, points(floor=1), "floor met"),
        (48.9, 50.0, points(floor=1), "MISSED"),
        (60.0, 50.0, points(floor=1, goal=-5), "goal met"),
        (1.0, 2.0, SHOWN, "-"),
    ],
)
def test_a_row_is_judged_by_its_terms(ours, theirs, terms, verdict):
    """Floors and goals are reached on the right side of the limit, the limit itself included."""
    judged = row(ours, theirs, terms)
    assert judged.verdict == verdict
    assert judged.missed == (verdict == "MISSED")


def test_a_peer_that_is_not_installed_is_named_and_misses_nothing():
    """A race goes on without a peer; its row says what is not here."""

    def absent():
        raise ImportError("No module named 'peer'")

    race = Race("path", lambda: str.upper, (Peer("peer", absent, faster(floor=3)),))
    (only,) = race.rows(1)
    assert only.verdict == "not here: No module named 'peer'"
    assert only.ours is not None
    assert not only.missed


def test_more_work_takes_longer_in_either_colour():
    """The harness tells a call that does nothing from one that does a lot."""

    async def idle(_):
        return None

    async def busy(_):
        return sum(range(2000))

    for quick, slow in ((lambda _: None, lambda _: sum(range(2000))), (idle, busy)):
        first, second = medians([quick, slow], 1)
        assert first < second


@pytest.mark.load
def test_a_group_runs_and_is_written_down(tmp_path):
    """The command measures one group and writes what it printed as JSON."""
    script, file = Path(__file__).with_name("run.py"), tmp_path / "figures.json"
    command = [sys.executable, script, "--only", "inflight", "--check", "--json", file]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "floors missed: none" in ran.stdout
    assert '"verdict": "' in file.read_text(encoding="utf-8")
