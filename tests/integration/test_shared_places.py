"""Processes that share places over a file."""

from __future__ import annotations

import sys

import pytest

from tests.holders import check_killed, check_never_more, check_suspended

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")

LATE = 10.0
"""Seconds that a slow machine may add to a bound before it counts as broken."""


@pytest.fixture
def address(tmp_path):
    """Return the address of a file of the test's own."""
    return f"sqlite:{tmp_path / 'places.db'}"


def test_never_more_at_once_than_places(address, tmp_path):
    """Threads, asyncio and trio, each in a process of its own."""
    check_never_more(address, tmp_path)


def test_the_holder_is_killed(address, tmp_path):
    """Its places come back when its lease is over."""
    check_killed(address, tmp_path, LATE)


def test_the_holder_is_suspended(address, tmp_path):
    """It comes back and counts as one too many until it ends."""
    check_suspended(address, tmp_path)
