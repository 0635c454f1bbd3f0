"""Make `.venv` with all that a task needs, then run the task in it.

    python scripts/bootstrap.py           the development environment only
    python scripts/bootstrap.py demo      a task of scripts/tasks.py; more words are its arguments

Needs Python 3.11 with pip, nothing else. What is installed stands in `requirements/`, with hashes;
it is installed again only when something it depends on has changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
UV = BIN / ("uv.exe" if os.name == "nt" else "uv")

REQUIREMENTS = {"demo": "demo", "bench": "bench"}
"""Tasks that need less or other than `requirements/dev.txt`."""


def say(text: str) -> None:
    """Tell what happens, apart from what the task prints."""
    print(f"[bootstrap] {text}", file=sys.stderr, flush=True)


def environment() -> dict[str, str]:
    """Make the variables for what we start: bytecode is kept, `.venv` comes first on PATH."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PATH"] = os.pathsep.join([str(BIN), env.get("PATH", os.defpath)])
    env["VIRTUAL_ENV"] = str(VENV)
    return env


def run(*command: object) -> bool:
    """Run a command in the checkout; tell whether it succeeded."""
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=ROOT, env=environment(), check=False).returncode == 0


def newer_python() -> str | None:
    """Find a Python on PATH that is young enough, when the one that runs us is not."""
    for minor in range(OLDEST[1] + 8, OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        # A version manager's stand-in may be on PATH for a Python that is not there.
        if (
            found
            and subprocess.run([found, "-c", ""], check=False, capture_output=True).returncode == 0
        ):
            return found
    return None


def plugins() -> list[Path]:
    """List the distributions in `plugins/`."""
    return sorted(file.parent for file in ROOT.glob("plugins/*/pyproject.toml"))


def fingerprint(requirements: Path) -> str:
    """Digest everything that decides what is installed."""
    inputs = [requirements, ROOT / "pyproject.toml", *(p / "pyproject.toml" for p in plugins())]
    return hashlib.sha256(b"".join(file.read_bytes() for file in inputs)).hexdigest()


def make_venv() -> None:
    """Make the environment, anew when the Python or the place of the checkout is another."""
    identity = VENV / ".made-for"
    wanted = f"{ROOT} {sys.version}"
    if identity.exists() and identity.read_text() == wanted:
        return
    if not run(sys.executable, "-m", "venv", "--clear", "--without-pip", VENV):
        sys.exit("bootstrap: this Python can't make environments; install its venv module")
    identity.write_text(wanted)


def installer() -> list[str]:
    """Get uv into the environment, else pip; return the words that begin an install command."""
    pip_here = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", PYTHON]
    if not UV.exists():
        run(*pip_here, "install", "--quiet", "--require-hashes", "-r", "requirements/uv.txt")
    if UV.exists():
        return [str(UV), "pip", "install", "--python", str(PYTHON), "--quiet"]
    say("NOTE: uv can't be had here; installing with pip, which takes longer")
    if not run(PYTHON, "-m", "ensurepip", "--upgrade"):
        sys.exit("bootstrap: neither uv nor pip can be had; install pip for this Python")
    return [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]


def prepare(name: str) -> None:
    """Install what `requirements/<name>.txt` lists, and the distributions of this checkout."""
    requirements = ROOT / "requirements" / f"{name}.txt"
    stamp = VENV / f".installed-{name}"
    wanted = fingerprint(requirements)
    make_venv()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    began = time.monotonic()
    say(f"preparing {VENV.name} for Python {sys.version.split()[0]} from requirements/{name}.txt")
    install = installer()
    ours = [word for path in (ROOT, *plugins()) for word in ("--editable", path)]
    if not (
        run(*install, "--require-hashes", "-r", requirements)
        and run(*install, "--no-deps", "--no-build-isolation", *ours)
    ):
        sys.exit("bootstrap: installing failed, see above")
    stamp.write_text(wanted)
    say(f"ready after {time.monotonic() - began:.0f} s")


def main() -> int:
    """Prepare the environment for the task that is asked for, and run it."""
    if sys.version_info < OLDEST:
        found = newer_python()
        if found is None:
            here = sys.version.split()[0]
            sys.exit(
                f"bootstrap: Python 3.11 or newer is needed; this is {here}, and PATH has no other"
            )
        return subprocess.run([found, *sys.argv], check=False).returncode
    task = sys.argv[1:]
    prepare(REQUIREMENTS.get(task[0], "dev") if task else "dev")
    return 0 if not task or run(PYTHON, ROOT / "scripts" / "tasks.py", *task) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
