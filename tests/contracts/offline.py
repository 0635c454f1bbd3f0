"""Run a script with no way out of this machine: `python offline.py script.py`."""

from __future__ import annotations

import runpy
import sys
from typing import Any

LOCAL = ("127.", "::1", "localhost")


def guard(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse to look up or to reach another machine."""
    host: object = None
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    if isinstance(host, bytes):
        host = host.decode()
    if isinstance(host, str) and host and not host.startswith(LOCAL):
        raise PermissionError(f"this must run offline, but it reached for {host!r}")


if __name__ == "__main__":
    sys.addaudithook(guard)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
