"""The folder `.agentperf`, where recordings are kept."""

from __future__ import annotations

import re
import time
from pathlib import Path

from agentperf.errors import ConfigurationError

FOLDER = ".agentperf"
SUFFIX = ".jsonl"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


def new_path(name: str | None = None, *, replace: bool = False) -> Path:
    """Return where a new recording goes, and make the folder in the current directory.

    The folder keeps itself out of version control.

    Args:
        name: The recording's name; the time by default.
        replace: Whether one of that name may be there already; it goes.

    Raises:
        ConfigurationError: The name is no name, or taken; or the folder can't be written to.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"--name {name!r}: letters, digits and . _ - are needed, such as --name before"
        )
    folder = Path(FOLDER).absolute()
    try:
        folder.mkdir(exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
        path = _free(folder) if name is None else folder / f"{name}{SUFFIX}"
        if replace:
            path.unlink(missing_ok=True)
        with path.open("xb"):  # taken from now on
            return path
    except FileExistsError:
        raise ConfigurationError(
            f"--name {name}: there is a recording of that name; take another one, or --replace it"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{folder} can't be written to: {error.strerror}") from None


def _free(folder: Path) -> Path:
    """Return a path named by the time; a second one within the second gets a number."""
    name = time.strftime("%Y%m%d-%H%M%S")
    number = 1
    path = folder / f"{name}{SUFFIX}"
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}{SUFFIX}"
    return path


def find(recording: str | None = None) -> Path:
    """Return the file of a recording.

    Args:
        recording: Its name, or the path of its file; by default the latest.

    Raises:
        ConfigurationError: There is none.
    """
    if recording is None:
        return latest()
    named, path = Path(FOLDER) / f"{recording}{SUFFIX}", Path(recording)
    if _NAME.fullmatch(recording) and named.is_file():
        return named
    if path.is_file():
        return path
    known = ", ".join(each.stem for each in _recordings()) or "none"
    raise ConfigurationError(
        f"{recording}: no such recording in {FOLDER}, and no such file; there is: {known}"
    )


def latest() -> Path:
    """Return the file that was written to last.

    Raises:
        ConfigurationError: There is none.
    """
    files = _recordings()
    if not files:
        raise ConfigurationError(
            f"there is no recording in {FOLDER}; make one with: agentperf run --record app.py"
        )
    return files[-1]


def _recordings() -> list[Path]:
    """List the recordings, the oldest first."""
    return sorted(Path(FOLDER).glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime_ns)
