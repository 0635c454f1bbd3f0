"""Frames with a tab, what stands around every pipeline, and what a loop does later."""

from __future__ import annotations

import contextvars
from typing import ClassVar

import anyio
import pytest

from agentperf._engine.frames import CallFrame, Frame, TabFrame, WatchedFrame
from agentperf._engine.loops import later
from agentperf._engine.policy import Policy
from agentperf._host import Host
from agentperf.policies.timed import record, timed
from agentperf.testing import FakeClock, fresh_host
from agentperf.usage import Usage


class Books:
    """Write down what comes in."""

    operation = "op"

    def __init__(self):
        self.booked, self.put_on = [], []

    def used(self, usage, *, own):
        """As the figures of an operation do."""
        self.booked.append((usage, own))

    def put(self, usage, operation):
        """As a tab does."""
        self.put_on.append((usage, operation))


def test_what_is_spent_goes_to_the_books_and_on_the_tab_once():
    """Whatever frames lie between."""
    books, watcher, tab, inner = Books(), Books(), Books(), Books()
    frame = CallFrame(Frame(books))
    frame = WatchedFrame(TabFrame(frame, tab), watcher)
    frame = TabFrame(frame, inner)
    frame.used(Usage(3))
    assert books.booked == [(Usage(3), True)]
    assert watcher.booked == [(Usage(3), False)]
    assert (tab.put_on, inner.put_on) == ([], [(Usage(3), "op")])


def test_a_tab_alone():
    """Outside of any operation."""
    tab = Books()
    TabFrame(None, tab).used(Usage(3))
    assert tab.put_on == [(Usage(3), "")]


def test_tabs_do_not_grow_a_chain():
    """However many there were."""
    frame = Frame(Books())
    for _ in range(100):
        frame = TabFrame(frame, Books())
    assert type(frame.outside) is Frame


def test_frames_inside_inherit_it():
    """So a call is put on the tab of who opened it."""
    tab = Books()
    Frame(Books(), TabFrame(None, tab)).used(Usage(3))
    assert tab.put_on == [(Usage(3), "op")]


class Spy(Policy):
    """Note each call."""

    seen: ClassVar[list[str]] = []

    def bind(self, site, inner):
        """Put a step that notes its call in front."""

        def step(args, kwargs):
            self.seen.append(self.name)
            return inner(args, kwargs)

        return step


def test_what_stands_around_every_pipeline():
    """Outermost and innermost, from the next call on; the first ones stay."""
    Spy.seen.clear()
    work = Spy(name="own")(lambda: record(input_tokens=1))
    with fresh_host() as host:
        work()
        host.bindings.surround((Spy(name="around"),), (Spy(name="inside"),))
        host.bindings.surround((Spy(name="other"),), ())
        work()
        timed(lambda: None)()
    assert Spy.seen == ["own", "around", "own", "inside", "around", "inside"]
    other = Host()
    other.bindings.mind_like(host.bindings)
    assert other.bindings.around == host.bindings.around


@pytest.mark.anyio
@pytest.mark.parametrize("clock", [None, FakeClock(autojump=True)], ids=["real", "fake"])
async def test_later(clock):
    """In the context it was asked for in, unless that is taken back."""
    colour = contextvars.ContextVar("colour", default="none")
    happened, seen = anyio.Event(), []
    clock = clock or Host().clock

    def act() -> None:
        seen.append(colour.get())
        happened.set()

    colour.set("red")
    later(clock, 0.001, act)
    later(clock, 0.0005, lambda: seen.append("too much"))()
    colour.set("blue")
    await happened.wait()
    assert seen == ["red"]
