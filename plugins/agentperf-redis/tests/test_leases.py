"""One process computes for all, with a real server between them."""

from __future__ import annotations

import sys

import pytest

from tests.callers import (
    callers,
    check_killed,
    check_longer_than_the_lease,
    check_one_computes,
    check_suspended,
)
from tests.services import running

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")

LATE = 3.0
"""Seconds that a slow machine may add to a bound before it counts as broken."""


@pytest.fixture
def server():
    """Run a server of the test's own."""
    with running("valkey") as service:
        yield service


@pytest.fixture
def address(server):
    """Return its address; a slow moment of the machine is no outage."""
    return f"redis://127.0.0.1:{server.port}?socket_timeout=10&socket_connect_timeout=10"


@pytest.mark.parametrize("colour", ["blocking", "asyncio", "trio"])
def test_one_computes(address, colour):
    """Several processes make the same call."""
    check_one_computes(address, colour)


@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
def test_work_that_is_longer_than_the_lease(address, colour):
    """It is renewed while the process works."""
    check_longer_than_the_lease(address, colour)


def test_the_holder_is_killed(address):
    """The next one takes over within the lease."""
    check_killed(address, LATE)


def test_the_holder_is_suspended(address):
    """It was taken over, and what it brings when it wakes is kept out."""
    check_suspended(address)


def test_the_server_freezes_under_those_who_wait(server):
    """They compute for themselves, and nobody fails."""
    address = f"redis://127.0.0.1:{server.port}?socket_timeout=0.5"
    with callers(2, address, work=1.0) as (first, second):
        first.begin()
        first.says("computes")
        second.begin()
        server.freeze()
        answers = [first.answer(), second.answer()]
        server.thaw()
        assert [answer.value for answer in answers] == [first.pid, second.pid]
        assert max(answer.took for answer in answers) < 1.0 + 2 * 0.5 + LATE
