"""How commands print: as wide as the terminal, coloured on terminals only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from typing import Any, TextIO

import click

WIDEST = 100
"""No line is longer, however wide the terminal is."""

_NARROWEST = 72


def width(stream: TextIO) -> int:
    """Return how long a line may be on a stream."""
    if not stream.isatty():
        return WIDEST
    return max(_NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def echo_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines."""
    click.echo("\n".join(lines), err=err)


def echo_json(data: Any) -> None:
    """Print data as JSON."""
    click.echo(json.dumps(data, indent=2))
