"""Places that processes share on a real server, also one that is killed or frozen meanwhile."""

from __future__ import annotations

import sys
import time

import pytest

from tests.holders import (
    Inside,
    busy_together,
    check_killed,
    check_never_more,
    check_suspended,
    holders,
)
from tests.services import running

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")

LATE = 10.0
"""Seconds that a slow machine may add to a bound before it counts as broken."""

COLOURS = ("blocking", "asyncio", "trio")


@pytest.fixture
def server():
    """Run a server of the test's own."""
    with running("valkey") as service:
        yield service


@pytest.fixture
def address(server):
    """Return its address; a slow moment of the machine is no outage."""
    return f"redis://127.0.0.1:{server.port}?socket_timeout=10&socket_connect_timeout=10"


def test_never_more_at_once_than_places(address, tmp_path):
    """Threads, asyncio and trio, each in a process of its own."""
    check_never_more(address, tmp_path)


def test_the_holder_is_killed(address, tmp_path):
    """Its places come back when its lease is over."""
    check_killed(address, tmp_path, LATE)


def test_the_holder_is_suspended(address, tmp_path):
    """It comes back and counts as one too many until it ends."""
    check_suspended(address, tmp_path)


@pytest.mark.parametrize("fault", ["frozen", "killed"])
@pytest.mark.parametrize("mode", ["closed", "local"])
def test_a_server_that_fails_under_load(server, tmp_path, fault, mode):
    """Closed, a frozen one lets nobody in beyond the number; whatever happens, nothing is lost."""
    inside, address = Inside(tmp_path / "inside"), f"redis://127.0.0.1:{server.port}"
    with holders(
        address, tmp_path / "inside", *COLOURS, places=3, lasts=15.0, mode=mode
    ) as processes:

        def failing():
            if fault == "frozen":
                server.freeze()
                time.sleep(1.5)
                server.thaw()
            else:
                server.kill()
                time.sleep(0.5)
                server.start()

        calls, made, most = busy_together(processes, inside, failing)
        assert calls == made
        assert most <= (3 if (fault, mode) == ("frozen", "closed") else 3 * len(COLOURS))
        for holder in processes:
            holder.sees_at_last(0)
        if mode == "closed":  # and now it is as if nothing had been
            inside.begin()
            assert busy_together(processes, inside)[2] == 3
