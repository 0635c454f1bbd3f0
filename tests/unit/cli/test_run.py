"""`agentperf run`: a program runs as with Python itself, and is measured."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from agentperf.telemetry.recording import read

PYTHON = [sys.executable]
AGENTPERF = [sys.executable, "-m", "agentperf", "run", "--quiet"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, text: str) -> None:
    """Write a program."""
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def ran(command: Sequence[str], given: str = "") -> tuple[int, str, str]:
    """Run a command and return its exit code and what it printed."""
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, input=given, timeout=60
    )
    return result.returncode, result.stdout, result.stderr


SEEN = """
import sys, __main__
spec = __spec__ and __spec__.name
print(__name__, __package__, spec, __file__, sys.argv, sys.path[0])
print(__main__.__dict__ is globals(), repr(sys.stdin.read()))
"""


@pytest.mark.parametrize(
    ("files", "arguments"),
    [
        ({"app.py": SEEN}, ["app.py", "--quiet", "-m", "x", "--", "y"]),
        ({"folder/app.py": SEEN}, ["folder/app.py"]),
        ({"pkg/__init__.py": "", "pkg/mod.py": SEEN}, ["-m", "pkg.mod", "--name", "z"]),
        ({"pkg/__init__.py": "", "pkg/__main__.py": SEEN}, ["-m", "pkg", "a b"]),
        ({"folder/__main__.py": "import helper\n" + SEEN, "folder/helper.py": ""}, ["folder", "q"]),
        ({"app.py": "from helper import x", "helper.py": "x = print('found')"}, ["app.py"]),
        ({"app.py": "import sys; sys.exit(3)"}, ["app.py"]),
        ({"app.py": "import sys; sys.exit('why')"}, ["app.py"]),
        ({"app.py": "raise SystemExit"}, ["app.py"]),
        ({"app.py": "def f():\n    1 / 0\nf()"}, ["app.py"]),
        (
            {"app.py": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError(1)"},
            ["app.py"],
        ),
        ({"app.py": "def f(:"}, ["app.py"]),
        ({"app.py": "import nowhere_to_be_found"}, ["app.py"]),
        ({"app.py": "raise KeyboardInterrupt"}, ["app.py"]),
        ({"app.py": "import agentperf; agentperf.timed(memory=3)"}, ["app.py"]),
        (
            {"app.py": "import sys\nsys.excepthook = lambda *a: print(a[0], a[2].tb_lineno)\n1/0"},
            ["app.py"],
        ),
        (
            {"app.py": "import argparse\np = argparse.ArgumentParser()\np.parse_args()"},
            ["app.py", "--record"],
        ),
        ({"app.py": "import atexit; atexit.register(print, 'bye'); print('hi')"}, ["app.py"]),
    ],
)
def test_a_program_runs_as_with_python(files: dict[str, str], arguments: list[str]) -> None:
    """The same output, errors with the same traceback, and the same exit code."""
    for name, text in files.items():
        write(name, text)
    assert ran([*AGENTPERF, *arguments], "hello") == ran([*PYTHON, *arguments], "hello")


def test_a_package_that_fails_shows_its_own_traceback() -> None:
    """Without the frames of what looked it up."""
    write("pkg/__init__.py", "1 / 0")
    write("pkg/mod.py", "")
    code, _, err = ran([*AGENTPERF, "-m", "pkg.mod"])
    assert (code, err.count("File ")) == (1, 1)
    assert str(Path("pkg", "__init__.py")) in err


def test_main_stays_the_programs_own_to_the_end() -> None:
    """Threads and exit handlers that outlive the last line find it: pickling needs it."""
    code = """
import atexit, pickle, threading, time
class Mine: pass
def work():
    time.sleep(0.1)
    print(type(pickle.loads(pickle.dumps(Mine()))) is Mine)
threading.Thread(target=work).start()
atexit.register(work)
"""
    write("app.py", code)
    assert ran([*AGENTPERF, "app.py"]) == (0, "True\nTrue\n", "")


@pytest.mark.parametrize("way", ["spawn", "forkserver", "fork"])
def test_processes_of_multiprocessing_work(way: str) -> None:
    """They find the program's functions."""
    if way != "spawn" and not hasattr(os, "fork"):
        pytest.skip("needs fork")
    code = f"""
import multiprocessing
import agentperf
@agentperf.timed("square")
def square(x):
    return x * x
def child():
    for number in range(10):
        square(number)
if __name__ == "__main__":
    context = multiprocessing.get_context("{way}")
    worker = context.Process(target=child)
    worker.start(); worker.join()
    print(worker.exitcode, square(3))
"""
    write("app.py", code)
    code, out, err = ran([*AGENTPERF, "--record", "--name", "x", "app.py"])
    assert (code, out) == (0, "0 9\n"), err
    [operation] = read(Path(".agentperf/x.jsonl")).summary.operations
    # A forked child adds its calls to the recording; a new interpreter is not measured.
    assert operation.stats.calls == (11 if way == "fork" else 1)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_reaches_the_program() -> None:
    """It may handle it, as ever."""
    write(
        "app.py",
        "import time\ntry:\n print(1, flush=True)\n time.sleep(60)\n"
        "except BaseException as e: print(type(e).__name__)",
    )
    process = subprocess.Popen([*AGENTPERF, "app.py"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("KeyboardInterrupt\n", None)
    assert process.returncode == 0


APP = """
import agentperf

@agentperf.timed("answer")
@agentperf.cached
def answer(question):
    agentperf.record(input_tokens=10, output_tokens=2, cost_usd=0.001)
    return question

for number in range(8):
    answer(number % 2)
"""


def test_a_table_goes_to_stderr_at_the_end() -> None:
    """Standard output is the program's alone; --quiet turns the table off."""
    write("app.py", APP + "print('mine')")
    code, out, err = ran([*PYTHON, "-m", "agentperf", "run", "app.py"])
    assert (code, out) == (0, "mine\n")
    assert re.search(r"^answer +8 ", err, re.MULTILINE)
    assert re.search(r"^all +20 +4 +\$0.0020$", err, re.MULTILINE)
    assert ran([*AGENTPERF, "app.py"]) == (0, "mine\n", "")
    assert not Path(".agentperf").exists()


def test_a_program_without_calls_is_told() -> None:
    """Rather than an empty table."""
    write("app.py", "")
    assert ran([*PYTHON, "-m", "agentperf", "run", "app.py"])[2].strip() == (
        "agentperf: no call was measured"
    )


def test_a_recording_is_written_where_it_says() -> None:
    """On stderr; with cache counts, and without arguments of the program."""
    write("app.py", APP)
    code, _, err = ran([*AGENTPERF, "--name", "before", "app.py", "--key", "hunter2"])
    assert (code, err) == (0, f"agentperf: recording to {Path('.agentperf', 'before.jsonl')}\n")
    path = Path(".agentperf/before.jsonl")
    assert "hunter2" not in path.read_text()
    run = read(path)
    assert (run.header.program, run.ended) == ("app.py", True)
    [answer, cache] = sorted(run.summary.operations, key=lambda each: each.cache is not None)
    assert answer.stats.calls == 8
    assert cache.cache is not None
    assert (cache.cache.hits, cache.cache.misses) == (6, 2)
    code, _, err = ran([*AGENTPERF, "--name", "before", "app.py"])
    assert code == 2
    assert "--replace" in err
    assert ran([*AGENTPERF, "--name", "before", "--replace", "app.py"])[0] == 0


def test_a_program_that_changes_its_folder_is_recorded_all_the_same() -> None:
    """The recording stays where it began."""
    write("app.py", "import os; os.mkdir('other'); os.chdir('other')\n" + APP)
    assert ran([*AGENTPERF, "--record", "app.py"])[0] == 0
    [path] = Path(".agentperf").glob("*.jsonl")
    assert read(path).summary.operations


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_program_that_is_killed_leaves_what_it_wrote() -> None:
    """All but the last moments; the recording says that its end is missing."""
    write("app.py", APP + "import time; time.sleep(60)")
    process = subprocess.Popen([*AGENTPERF, "--name", "x", "app.py"], stderr=subprocess.DEVNULL)
    path = Path(".agentperf/x.jsonl")
    patience = time.monotonic() + 30
    while not (path.exists() and path.read_text().count('"answer"') >= 8):
        assert time.monotonic() < patience
        time.sleep(0.02)
    process.kill()
    process.wait(30)
    run = read(path)
    assert not run.ended
    assert sum(each.stats.calls for each in run.summary.operations) == 8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing argument"),
        (["nowhere.py"], "nowhere.py: no such file"),
        (["-m", "nowhere_to_be_found"], "there is no such module to run"),
        (["-m", "nowhere.to.be.found"], "there is no such module to run"),
        (["--name", "../x", "app.py"], "--name before"),
        (["--colour", "app.py"], "--colour"),
    ],
)
def test_bad_input_is_a_clear_error(arguments: list[str], says: str) -> None:
    """Nothing is run or written then; the exit code is 2."""
    write("app.py", "print('ran')")
    code, out, err = ran([*AGENTPERF, *arguments])
    assert (code, out) == (2, "")
    assert says in err
    assert not Path(".agentperf").exists()


def test_the_program_is_instrumented() -> None:
    """As by `import agentperf.auto`, where that is part of this version."""
    write("app.py", "import json, sys; print(json.dumps('agentperf.auto' in sys.modules))")
    code, out, _ = ran([*AGENTPERF, "app.py"])
    assert (code, json.loads(out)) == (0, importlib.util.find_spec("agentperf.auto") is not None)
