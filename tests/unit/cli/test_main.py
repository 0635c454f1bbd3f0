"""The command `agentperf`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentperf.cli import demo as command
from agentperf.cli import main
from agentperf.demo import comparison
from agentperf.testing.fake_llm import FakeLLM

GOOD = '{"profile": "anna", "text": "Hello."}'


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command and give its exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        code: Any = ended.value.code
        return code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def no_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold the command to refusing bad input before anything is called."""

    async def called(*args: object, **options: object) -> None:
        pytest.fail("the demo was run")

    monkeypatch.setattr(comparison, "play", called)


def test_help_names_the_commands(run: Callable[..., tuple[int, str, str]]) -> None:
    """Help is there for the group and for each command."""
    code, out, _ = run("--help")
    assert (code, "demo" in out) == (0, True)
    code, out, _ = run("demo", "-h")
    assert code == 0
    assert all(option in out for option in ("--input", "--scale", "--port", "--seed", "--json"))


@pytest.mark.usefixtures("no_calls")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["demo", "--colour"], "--colour"),
        (["dmeo"], "dmeo"),
        (["demo", "--scale", "0"], "--scale 0: more than 0 is needed"),
        (["demo", "--scale", "-1"], "--scale -1"),
        (["demo", "--scale", "nan"], "--scale nan"),
        (["demo", "--scale", "fast"], "fast"),
        (["demo", "--port", "99999"], "port=99999"),
        (["demo", "--input", "nowhere.jsonl"], "nowhere.jsonl can't be read"),
    ],
)
def test_bad_input_is_a_clear_error(
    run: Callable[..., tuple[int, str, str]], arguments: list[str], says: str
) -> None:
    """The error stands on stderr and names what is wrong; the exit code is 2."""
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert says in err


@pytest.mark.usefixtures("no_calls")
def test_a_malformed_line_is_named(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """The user learns which line of the input is wrong, and what is expected."""
    file = tmp_path / "talk.jsonl"
    file.write_text(f"{GOOD}\n{{}}\n")
    code, _, err = run("demo", "--input", str(file))
    assert code == 2
    assert "talk.jsonl, line 2" in err
    assert "Expected is a line such as" in err


@pytest.mark.usefixtures("no_calls")
def test_a_busy_port_is_named(run: Callable[..., tuple[int, str, str]]) -> None:
    """The user learns that the port is taken and what to do."""
    with FakeLLM() as llm:
        code, _, err = run("demo", "--port", str(llm.port))
    assert code == 2
    assert f"port={llm.port}" in err
    assert "take another one" in err


@pytest.mark.usefixtures("no_calls")
@pytest.mark.parametrize("package", ["openai", "starlette", "uvicorn"])
def test_a_missing_package_names_the_extra(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    """The user learns what to install."""
    find = lambda name: None if name == package else object()  # noqa: E731 - it is one line
    monkeypatch.setattr(command.importlib.util, "find_spec", find)
    code, _, err = run("demo")
    assert code == 2
    assert package in err
    assert "[demo]" in err


def test_json_is_all_that_is_printed(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """`--json` prints one JSON object and nothing else, not even a progress bar."""
    file = tmp_path / "talk.jsonl"
    file.write_text(GOOD)
    code, out, err = run("demo", "--json", "--scale", "0.001", "--input", str(file))
    assert (code, err) == (0, "")
    assert set(json.loads(out)) == {"before", "after", "faults"}


def test_the_table_is_plain_when_nobody_watches(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """Without a terminal there are no colour codes."""
    file = tmp_path / "talk.jsonl"
    file.write_text(GOOD)
    code, out, _ = run("demo", "--scale", "0.001", "--input", str(file))
    assert code == 0
    assert "before" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colour_can_be_chosen(
    run: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variables: dict[str, str],
    coloured: bool,
) -> None:
    """FORCE_COLOR asks for colour where there is no terminal, NO_COLOR has the last word."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "talk.jsonl"
    file.write_text(GOOD)
    _, out, _ = run("demo", "--scale", "0.001", "--input", str(file))
    assert ("\x1b" in out) is coloured


def test_progress_is_shown_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever waits sees the bar move, on stderr; a hidden one shows nothing."""
    with command._progress(2, shown=True) as advance:
        advance()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "before, then after" in shown.err
    with command._progress(2, shown=False) as advance:
        advance()
    assert capsys.readouterr() == ("", "")


def test_a_wrong_answer_makes_the_command_fail(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """Facts that are missing from the answers are an exit code of 1, said on stderr with --json."""
    file = tmp_path / "talk.jsonl"
    file.write_text('{"profile": "a", "text": "Who is Zoe?", "expect": ["a zebra"]}')
    code, out, err = run("demo", "--json", "--scale", "0.001", "--input", str(file))
    assert code == 1
    assert json.loads(out)
    assert "the answer before lacks 'a zebra'" in err


def test_python_dash_m_is_the_command() -> None:
    """`python -m agentperf` does the same as `agentperf`."""
    ran = subprocess.run(
        [sys.executable, "-m", "agentperf", "--help"], check=True, capture_output=True, text=True
    )
    assert ran.stdout.startswith("Usage: agentperf")
