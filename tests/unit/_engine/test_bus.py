"""The bus: events reach who wants them, and a receiver's faults stay its own."""

from __future__ import annotations

import logging

import pytest

from agentperf import ConfigurationError, timed
from agentperf._engine.bus import Bus
from agentperf.events import CacheHit, CacheMiss, CallEnded, Event

HIT, MISS = CacheHit(operation="op"), CacheMiss(operation="op")


@pytest.fixture
def changes():
    """How often the bus said that its receivers changed."""
    return []


@pytest.fixture
def bus(changes):
    """A bus of its own."""
    return Bus(lambda: changes.append(1))


def test_an_event_reaches_those_who_want_its_kind(bus):
    """Named kinds, base classes, or everything."""
    hits, everything, two = [], [], []
    bus.subscribe(hits.append, CacheHit)
    bus.subscribe(everything.append)
    bus.subscribe(two.append, CacheHit, CacheMiss)
    bus.emitter(CacheHit)(HIT)
    bus.emitter(CacheMiss)(MISS)
    assert (hits, everything, two) == ([HIT], [HIT, MISS], [HIT, MISS])


def test_there_is_no_emitter_while_nobody_listens(bus):
    """So that nobody makes an event for nobody."""
    assert bus.emitter(CacheHit) is None
    stop = bus.subscribe(print, CacheMiss)
    assert bus.emitter(CacheHit) is None
    assert bus.emitter(CacheMiss) is not None
    stop()
    assert bus.emitter(CacheMiss) is None


def test_it_tells_of_every_change(bus, changes):
    """At subscribing and at the end; ending twice does no harm."""
    stop = bus.subscribe(print)
    stop()
    stop()
    assert len(changes) == 3


def test_one_receiver_twice(bus):
    """Each subscription is one of its own."""
    seen = []
    stops = [bus.subscribe(seen.append), bus.subscribe(seen.append)]
    stops[0]()
    bus.emitter(CacheHit)(HIT)
    assert seen == [HIT]


class Broken:
    """A receiver that fails, also when it is to be shown."""

    def receive(self, event):
        """Fail."""
        raise KeyError("mine")

    def __repr__(self):
        raise ValueError("no repr either")


def test_a_fault_of_a_receiver_is_logged_once_and_swallowed(bus, caplog):
    """The other receivers get the event, and the call goes on."""
    seen = []
    bus.subscribe(Broken().receive)
    bus.subscribe(seen.append)
    emit = bus.emitter(Event)
    for _ in range(3):
        emit(HIT)
    assert seen == [HIT] * 3
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("agentperf", logging.WARNING)
    assert record.subscriber == "Broken.receive"
    assert record.exc_info[0] is KeyError


def test_each_failing_receiver_is_logged(bus, caplog):
    """Also one that comes to lie where another lay."""
    for _ in range(3):
        stop = bus.subscribe(Broken().receive)
        bus.emitter(Event)(HIT)
        stop()
    assert len(caplog.records) == 3


def test_interruptions_of_a_receiver_get_through(bus):
    """Ctrl-C is nobody's fault."""

    def interrupted(event):
        raise KeyboardInterrupt

    bus.subscribe(interrupted)
    with pytest.raises(KeyboardInterrupt):
        bus.emitter(Event)(HIT)


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (("not callable",), "subscribe(print)"),
        ((None,), "subscribe(print)"),
        ((print, "CacheHit"), "agentperf.events.CallEnded"),
        ((print, int), "agentperf.events.CallEnded"),
        ((print, [CacheHit]), "agentperf.events.CallEnded"),
    ],
)
def test_bad_subscriptions(bus, arguments, example):
    """They are refused when made, not when the first call fails over them."""
    with pytest.raises(ConfigurationError) as refused:
        bus.subscribe(*arguments)
    assert example in str(refused.value)


def test_a_receiver_may_call_decorated_functions(fresh_host):
    """It runs inside the call that caused the event."""
    inner = timed("inner")(lambda: None)
    seen = []

    def receive(event):
        seen.append(event.operation)
        if event.operation == "outer":
            inner()

    fresh_host.subscribe(receive, CallEnded)
    timed("outer")(lambda: None)()
    assert seen == ["outer", "inner"]
