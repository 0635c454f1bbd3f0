"""The fixtures that come with agentperf."""

from __future__ import annotations

import pytest

from agentperf import stats, timed
from agentperf._engine.current import current_host, default_bindings
from agentperf.events import CallEnded

pytest_plugins = ["pytester"]


@timed("op")
def op():
    """Count."""


def test_a_fresh_host_on_the_fake_clock(fresh_host, fake_clock):
    """Current in the test, empty, and time stands still."""
    assert current_host() is fresh_host
    assert fresh_host.clock is fake_clock
    assert stats() == {}
    op()
    assert stats()["op"].calls == 1


def test_no_figures_come_from_the_test_before(fresh_host):
    """Each test has its own."""
    assert stats() == {}


def test_without_the_fixture_the_default_host_is_current():
    """Nothing is left over."""
    assert current_host() is default_bindings.host


@pytest.mark.anyio
async def test_an_async_test_sees_the_fresh_host(fresh_host):
    """On asyncio and trio."""
    assert current_host() is fresh_host


def test_the_events_of_a_test(agentperf_events):
    """Are written down from its beginning."""
    op()
    assert [type(event) for event in agentperf_events] == [CallEnded]


def test_the_fixtures_are_there_for_every_project(pytester):
    """The plugin registers itself, with nothing to configure."""
    pytester.makepyfile(
        """
        import agentperf

        @agentperf.timed("op")
        def op(): ...

        def test_it(fresh_host, fake_clock, agentperf_events):
            op()
            assert agentperf.stats()["op"].calls == 1
            assert len(agentperf_events) == 1
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
