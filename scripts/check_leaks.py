"""Check that no file tells where it was made: package index, lock file, path of a machine.

A lock file names the index it was resolved from, which may be private; so do requirements with
addresses in them. A path of somebody's machine helps nobody and tells about its owner.
Run as `python -m scripts.check_leaks`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent

LOCK_FILE = re.compile(
    r"(^|/)(uv\.lock|pylock.*\.toml|poetry\.lock|Pipfile\.lock|package-lock\.json)$"
)
INDEX = re.compile(
    r"pypi\.org|python-?hosted\.org|npmjs\.(org|com)|debian\.org/debian"
    r"|--(extra-)?index-url|--find-links|\[\[tool\.uv\.index\]\]",
    re.IGNORECASE,
)
MACHINE = re.compile(
    r"(?<![\w.~/-])(/home/\w+|/Users/\w+|/root|/tmp/\w+)/[\w.]|\b[A-Z]:\\\\?Users\\"
)
SETTINGS = ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL")


def files() -> list[Path]:
    """List the files of the repository: those git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [file for name in sorted(listed.split("\0")) if name and (file := ROOT / name).is_file()]


def own_places() -> list[str]:
    """List what would give this very machine away: its checkout, its home, its package index."""
    places = [str(place) for place in (ROOT, Path.home()) if len(place.parts) > 2]
    hosts = [urlsplit(os.environ.get(name, "")).hostname for name in SETTINGS]
    return places + [host for host in hosts if host]


def leaks(file: Path, text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered reasons why a file must not be published as it is."""
    if LOCK_FILE.search(file.as_posix()):
        yield 1, "a lock file names the index it was made from"
    places = own_places()
    for number, line in enumerate(text.splitlines(), 1):
        if INDEX.search(line):
            yield number, "names a package index"
        if MACHINE.search(line) or any(place in line for place in places):
            yield number, "names a path or host of a machine"
        if "requirements" in file.parts and "://" in line:
            yield number, "an address among requirements"


def main() -> int:
    """Report what leaks."""
    this = Path(__file__).resolve()
    listed = files()
    found = [
        f"{file.relative_to(ROOT)}:{number}: {reason}"
        for file in listed
        if file != this
        for number, reason in leaks(file, file.read_text(encoding="utf-8", errors="replace"))
    ]
    print("\n".join(found) if found else f"leaks: none in {len(listed)} files")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
