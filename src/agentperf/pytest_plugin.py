"""Fixtures for pytest, registered when agentperf is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agentperf._host import Host
    from agentperf.testing.clock import FakeClock
    from agentperf.testing.fake_llm import FakeLLM
    from agentperf.testing.recording import EventLog


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that the test moves by hand."""
    from agentperf.testing.clock import FakeClock

    return FakeClock()


@pytest.fixture
def fresh_host(fake_clock: FakeClock) -> Iterator[Host]:
    """A new host on the fake clock, current for the test."""
    from agentperf.testing.hosts import fresh_host

    with fresh_host(fake_clock) as host:
        yield host


@pytest.fixture
def agentperf_events(fresh_host: Host) -> Iterator[EventLog]:
    """The events of the test, on its fresh host."""
    from agentperf.testing.recording import EventLog

    log = EventLog()
    stop = fresh_host.subscribe(log.append)
    yield log
    stop()


@pytest.fixture
def fake_llm() -> Iterator[FakeLLM]:
    """A running model server on the loopback interface."""
    from agentperf.testing.fake_llm import FakeLLM

    with FakeLLM() as server:
        yield server
