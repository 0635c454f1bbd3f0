"""A limit in a file whose other users are killed or stopped at the worst moment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import agentperf
from agentperf import handle
from agentperf._engine.sqlite.store import SqliteStore
from agentperf.errors import RateLimitExceeded
from agentperf.testing import FakeClock, fresh_host, recorded
from tests.limited import Load, told, until

HOLDER = """
import sys, time
import agentperf
from agentperf._engine.sqlite.store import SqliteStore
from agentperf.testing import FakeClock

clock = FakeClock()
store = SqliteStore(sys.argv[1], clock)

@agentperf.rate_limited(tokens="100/hour", cost=lambda: 100, store=store, name="tokens")
def hold():
    print("in", flush=True)
    time.sleep(600)

with agentperf.use(agentperf.Host(clock=clock)):
    hold()
"""

WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], 60, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM entries")
print("in", flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def running(program: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program until it says that it is in; it is killed in the end."""
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "in\n"
            yield process
        finally:
            process.kill()


def test_what_a_killed_process_took_comes_back_with_time(tmp_path: Path) -> None:
    """It never said what it used, so it counts as used; time brings it back as it always does."""
    path, clock, size = tmp_path / "limits.db", FakeClock(), 0
    with fresh_host(clock):
        store = SqliteStore(path, clock)
        work = agentperf.rate_limited(
            tokens="100/hour", cost=lambda: size, store=store, name="tokens", max_wait=0
        )(lambda: "fine")
        with running(HOLDER, path) as holder:
            holder.kill()
        assert handle(work).limiter.remaining() == {"tokens": 0}
        size = 50
        with pytest.raises(RateLimitExceeded) as refused:
            work()
        assert refused.value.retry_after == 1800.0
        clock.advance(1800)
        assert work() == "fine"
        clock.advance(3600)
        assert handle(work).limiter.remaining() == {"tokens": 100}


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP on Windows")
@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_a_process_that_is_stopped_and_killed_while_it_writes(tmp_path: Path, kind: str) -> None:
    """It locks the file: calls wait for it once, the limit holds here meanwhile, and is back."""
    path = tmp_path / "limits.db"
    with fresh_host() as host, recorded() as log:
        with Load(f"sqlite:{path}", kind, host, "local") as load:
            load.goes_on()
            with running(WRITER, path) as writer:
                os.kill(writer.pid, signal.SIGSTOP)
                until(lambda: told(log)[-1:] == ["down"])
                load.goes_on()
                writer.kill()
            until(lambda: told(log)[-1:] == ["up"])
            load.goes_on()
        load.check(len(told(log)), 0.2)
        assert load.refused == []
        assert told(log) == ["down", "up"] * (len(told(log)) // 2)
