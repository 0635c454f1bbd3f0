"""What a stream has given, for all who read it: against a model, step by step."""

from __future__ import annotations

import copy
import gc
import threading
import weakref

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agentperf import SharedStreamError
from agentperf._engine.streams import LiveStream
from agentperf.policies.cached.flights.broadcast import (
    SENT_INTO,
    TOO_LONG,
    UNCOPYABLE,
    Broadcast,
)

ITEMS = st.one_of(
    st.none(), st.text(max_size=3), st.binary(max_size=2), st.lists(st.integers(), max_size=2)
)


class Reading:
    """One reader of the machine below, and what it has got."""

    def __init__(self, seat, started):
        self.seat = seat
        self.got = []
        self.started = started


class Readers(RuleBasedStateMachine):
    """Readers come, read and go in any order while a stream gives items, ends or fails."""

    @initialize(most=st.sampled_from([3, 1000]))
    def begin(self, most):
        """Begin a stream that few or many items may be held of."""
        self.most = most
        self.left = []
        self.unfit = 0
        self.shared = Broadcast(copy.deepcopy, most_items=most, on_unfit=self._note)
        self.sent = []
        self.readings = []
        self.ended = None

    def _note(self):
        self.unfit += 1

    @rule()
    def join(self):
        """Come; what is held no more from its start can't be joined."""
        seat = self.shared.join()
        assert (seat is None) == (self.shared.unfit is not None or self.shared.deserted)
        if seat is not None:
            self.readings.append(Reading(seat, len(self.sent)))

    @precondition(lambda self: self.ended is None)
    @rule(item=ITEMS)
    def give(self, item):
        """The stream gives an item."""
        self.shared.add(item)
        self.sent.append(copy.deepcopy(item))

    @precondition(lambda self: self.ended is None)
    @rule(returned=ITEMS)
    def complete(self, returned):
        """It comes to its end."""
        self.shared.finish(returned=returned)
        self.ended = ("returned", copy.deepcopy(returned))

    @precondition(lambda self: self.ended is None)
    @rule(error=st.sampled_from([ConnectionError("down"), KeyboardInterrupt()]))
    def fail(self, error):
        """It fails, or is interrupted."""
        error = copy.copy(error)
        self.shared.finish(error=error)
        self.ended = ("failed", error)

    @precondition(lambda self: self.readings)
    @rule(data=st.data())
    def read(self, data):
        """Somebody reads on, and spoils what it got."""
        reading = data.draw(st.sampled_from(self.readings))
        at = reading.seat.at
        assert at == len(reading.got)
        if at == self.shared.count:
            return
        try:
            item = self.shared.take(reading.seat)
        except SharedStreamError:
            assert self.shared.unfit == TOO_LONG
            assert self.shared.count - at > self.most
            self._go(reading)
            return
        reading.got.append(copy.deepcopy(item))
        assert reading.got == self.sent[: at + 1]
        if isinstance(item, list):
            item.append("spoilt")

    @precondition(lambda self: self.ended is not None and self.readings)
    @rule(data=st.data())
    def end(self, data):
        """Who has read everything learns of the end, and goes."""
        reading = data.draw(st.sampled_from(self.readings))
        if reading.seat.at != self.shared.count:
            return
        kind, what = self.ended
        if kind == "returned":
            returned = self.shared.end()
            assert returned == what
            if isinstance(returned, list):
                returned.append("spoilt")
        elif isinstance(what, KeyboardInterrupt):
            with pytest.raises(SharedStreamError, match="interrupted"):
                self.shared.end()
        else:
            with pytest.raises(ConnectionError, match="down"):
                self.shared.end()
        self._go(reading)

    @precondition(lambda self: self.readings)
    @rule(data=st.data())
    def leave(self, data):
        """Somebody goes."""
        self._go(data.draw(st.sampled_from(self.readings)))

    def _go(self, reading):
        self.readings.remove(reading)
        was_last = not self.readings and self.ended is None and not self.shared.deserted
        assert self.shared.leave(reading.seat) == was_last

    @invariant()
    def holds(self):
        """Everything while it is whole; later no more than the bound, or what is needed."""
        if not hasattr(self, "shared"):
            return
        shared = self.shared
        assert shared.count == len(self.sent)
        assert self.unfit == (shared.unfit is not None)
        held = shared._items
        if shared.over and not self.readings and held:
            assert shared.seats == set()
        if shared.unfit is not None:
            assert len(held) <= self.most
        elif not (shared.over and not self.readings):
            assert len(held) == shared.count


def test_readers_in_any_order():
    """Each reads all, in order, its own; the last one to go before the end is told so."""
    run_state_machine_as_test(Readers)


def test_the_first_gets_the_thing_itself():
    """What is taken by one alone is not copied twice."""
    shared = Broadcast(copy.deepcopy)
    first, second = shared.join(), shared.join()
    item = [1]
    shared.add(item)
    assert shared.take(first) is item
    item.append("spoilt")
    assert shared.take(second) == [1]


def test_bytes_are_bounded_too():
    """As far as each item says how large it is."""
    shared = Broadcast(lambda item: item, most_bytes=10_000)
    seat = shared.join()
    for _ in range(20):
        shared.add("x" * 1000)
        shared.take(seat)
    assert shared.unfit == TOO_LONG
    assert shared._items == {}
    assert shared._size == 0
    assert shared.join() is None


def test_what_cannot_be_copied_has_one_reader():
    """The first who takes it; the others are told, with the cause."""
    shared = Broadcast(copy.deepcopy)
    first, second = shared.join(), shared.join()
    shared.add("a")
    lock = threading.Lock()
    shared.add(lock)
    shared.add("b")
    assert [shared.take(second) for _ in range(1)] == ["a"]
    with pytest.raises(SharedStreamError, match="can't be copied") as caught:
        shared.take(second)
    assert isinstance(caught.value.__cause__, TypeError)
    assert shared.unfit == UNCOPYABLE
    assert shared.leave(second) is False
    assert shared.take(first) == "a"


def test_only_a_lone_reader_at_the_front_can_claim():
    """Whatever is sent in answers the newest item."""
    shared = Broadcast(copy.deepcopy)
    first, second = shared.join(), shared.join()
    shared.add(1)
    shared.take(first)
    assert not shared.claim(first)
    shared.leave(second)
    assert shared.claim(first)
    assert shared.unfit == SENT_INTO
    shared.add(2)
    assert shared.take(first) == 2
    shared.add(3)
    assert not shared.claim(first)


def test_each_error_has_a_traceback_of_its_own():
    """Whoever raises it first doesn't show in what the others raise."""
    shared = Broadcast(copy.deepcopy)
    shared.join(), shared.join()

    def upstream():
        raise ConnectionError("down")

    with pytest.raises(ConnectionError) as caught:
        upstream()
    shared.finish(error=caught.value)

    def lines():
        try:
            shared.end()
        except ConnectionError as error:
            depth, traceback = 0, error.__traceback__
            while traceback is not None:
                depth, traceback = depth + 1, traceback.tb_next
            return error, depth
        raise AssertionError

    ends = [lines() for _ in range(3)]
    assert len({id(error) for error, _ in ends}) == 3
    assert ends[1][1] == ends[2][1]


def test_what_it_held_is_let_go():
    """With the last reader, at the end."""

    class Item:
        pass

    shared = Broadcast(lambda item: item)
    seat, item = shared.join(), Item()
    shared.add(item)
    seen = weakref.ref(item)
    del item
    shared.finish()
    gc.collect()
    assert seen() is not None
    shared.leave(seat)
    assert seen() is None


def test_a_recording_is_the_whole_stream():
    """With the class it was, and what it returned."""

    def items():
        yield 1
        return {"n": 1}

    stream = LiveStream(items(), lambda: 0.0)
    shared = Broadcast(copy.deepcopy)
    for item in stream:
        shared.add(item)
    recording = shared.recording(stream)
    assert recording.items == (1,)
    assert recording.returned == {"n": 1}
    assert recording.kind.__name__ == "generator"
