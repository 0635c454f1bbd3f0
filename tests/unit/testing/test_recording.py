"""Events, written down."""

from __future__ import annotations

import pytest

from agentperf import cached, timed
from agentperf.events import CacheHit, CacheMiss, CallEnded
from agentperf.testing import EventLog, recorded


@pytest.fixture
def op(fresh_host):
    """A function with events of several kinds."""
    return timed("op")(cached(ttl=60)(lambda x: x))


def test_the_events_of_a_region_in_their_order(op):
    """Before and after it nothing is written down."""
    op(0)
    with recorded() as log:
        op(1)
        op(1)
    op(1)
    assert log.names()[-2:] == ["CacheHit", "CallEnded"]
    assert len(log.of(CallEnded)) == 2
    assert [type(event) for event in log.of(CacheHit)] == [CacheHit]


def test_only_the_kinds_that_were_named(op):
    """The others are not even made."""
    with recorded(CacheHit, CacheMiss) as log:
        op(1)
        op(1)
    assert log.names() == ["CacheMiss", "CacheHit"]


def test_recording_ends_with_an_error(op, fresh_host):
    """And leaves no subscriber behind."""
    with pytest.raises(KeyError), recorded():
        raise KeyError
    assert fresh_host.bus.emitter(CallEnded) is None


def test_a_log_is_a_list():
    """To be looked at as one likes."""
    assert EventLog() == []
    assert EventLog().of(CacheHit) == []
