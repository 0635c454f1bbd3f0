"""`agentperf report` and `agentperf compare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentperf import Host, cached, record, timed, use
from agentperf.cli import main
from agentperf.cli.report import SORTS
from agentperf.config import Settings
from agentperf.telemetry.recording import Writer, new_path
from agentperf.telemetry.report import tables
from agentperf.testing import FakeClock

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command and give its exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        code: Any = ended.value.code
        return code or 0, *capsys.readouterr()

    return run


@pytest.fixture(autouse=True)
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two recordings: before, where every call takes two seconds, and after, from a cache."""
    monkeypatch.chdir(tmp_path)
    for name, ttl in (("before", 0.001), ("after", 1000)):
        clock = FakeClock()
        host = Host(clock=clock, settings=Settings())
        writer = Writer(host, new_path(name), program="app.py", version="1")

        def answer(_: int, advance: Callable[[float], None] = clock.advance) -> None:
            advance(2)
            record(input_tokens=100, output_tokens=10, cost_usd=0.01)

        answer.__module__, answer.__qualname__ = "app", "answer"
        function = timed(cached(ttl=ttl, ignore=["advance"])(answer))
        with use(host):
            for number in range(10):
                function(number % 2)
        assert writer.stop(10)


def test_a_report_shows_operations(run: Run) -> None:
    """The latest one by default."""
    code, out, err = run("report")
    assert (code, err) == (0, "")
    assert out.startswith("after: app.py, ")
    assert "app.answer     10  0 ms  2.00 s  2.00 s" in out
    assert "200      20  $0.0200" in out
    assert "80%" in out
    assert run("report", "before")[1].startswith("before: app.py, ")
    assert run("report", ".agentperf/before.jsonl")[1].startswith("before: app.py, ")


def test_a_report_as_json(run: Run) -> None:
    """Plain data on stdout, and nothing else."""
    code, out, err = run("report", "before", "--json")
    data = json.loads(out)
    assert (code, err) == (0, "")
    assert data["operations"]["app.answer"]["p95"] == 2.0
    assert data["totals"]["input_tokens"] == 1000
    assert (data["ended"], data["program"], data["agentperf_recording"]) == (True, "app.py", 1)


def test_every_order_can_be_asked_for(run: Run) -> None:
    """The command's list is the table's."""
    assert set(SORTS) == set(tables.SORTS)
    for sort in SORTS:
        assert run("report", "--sort", sort)[0] == 0


def test_a_run_that_was_killed_is_noted(run: Run) -> None:
    """On stderr; the figures are shown all the same."""
    path = Path(".agentperf/before.jsonl")
    path.write_bytes(path.read_bytes()[:-5])
    code, out, err = run("report", "before")
    assert code == 0
    assert "app.answer" in out
    assert err.count("Note: before: ") == 2


def test_a_comparison_shows_both_and_the_gain(run: Run) -> None:
    """Totals first, then the operation."""
    code, out, err = run("compare", "before", "after")
    assert (code, err) == (0, "")
    cells = [line.split() for line in out.splitlines()]
    assert ["input", "tokens", "1,000", "200", "80%", "less"] in cells
    assert ["cost", "$0.1000", "$0.0200", "80%", "less"] in cells
    assert ["time,", "p95", "2.00", "s", "2.00", "s"] in cells
    assert ["time,", "median", "2.00", "s", "0", "ms"] in cells
    assert any(line[:2] == ["cache", "hits"] and line[-2:] == ["+80", "points"] for line in cells)
    assert max(map(len, out.splitlines())) <= 100


def test_a_comparison_as_json(run: Run) -> None:
    """Both figures and the gain as a share; None where there is no saying."""
    code, out, _ = run("compare", "after", "before", "--json", "--fail-on", "cost=10%")
    data = json.loads(out)
    assert code == 1
    assert (data["before"], data["after"]) == ("after", "before")
    assert data["totals"]["cost"] == {
        "before": 0.02,
        "after": pytest.approx(0.1),
        "gain": pytest.approx(-4),
    }
    assert data["operations"]["app.answer"]["p50"]["gain"] is None
    assert len(data["exceeded"]) == 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("before", "after"), 0),
        (("after", "before"), 0),
        (("before", "after", "--fail-on", "cost=0%", "--fail-on", "p50=0%"), 0),
        (("after", "before", "--fail-on", "p95=0%"), 0),
        (("after", "before", "--fail-on", "cost=399%"), 1),
        (("after", "before", "--fail-on", "cost=401%"), 0),
        (("after", "before", "--fail-on", "cost"), 2),
        (("after", "nowhere"), 2),
        (("after",), 2),
    ],
)
def test_worse_is_an_error_only_when_asked(run: Run, arguments: tuple[str, ...], code: int) -> None:
    """1 beyond a limit, 2 for a wrong call."""
    ended, _, err = run("compare", *arguments)
    assert ended == code
    assert ("Error: " in err) is (code != 0)


@pytest.mark.parametrize("command", ["report", "compare"])
def test_bad_input_is_a_clear_error(run: Run, command: str) -> None:
    """The exit code is 2."""
    again = ["before"] if command == "compare" else []
    Path("bad.jsonl").write_text('{"agentperf_recording": 99}\n')
    for name, says in (("nowhere", "there is: before, after"), ("bad.jsonl", "line 1")):
        code, out, err = run(command, name, *again)
        assert (code, out) == (2, "")
        assert says in err
