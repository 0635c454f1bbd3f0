"""Which operations are running: the current one and those around it."""

from __future__ import annotations

from contextvars import ContextVar
from contextvars import Token as Reset
from typing import Protocol

from agentperf._engine.bindings import Token
from agentperf.abc.telemetry import Books
from agentperf.usage import Usage


class Tab(Protocol):
    """What everything spent in a frame is put on, besides the figures of operations."""

    def put(self, usage: Usage, operation: str) -> None:
        """Add what a call of `operation` spent; empty where no measured operation is running."""


class Frame:
    """One running call of a measured operation.

    Attributes:
        recorders: Where the figures of the operation go, then those of the operations around it.
            Each stands here once, however often it calls itself, so that work which starts its own
            successor for ever doesn't grow a chain.
        covers: Pipelines further in on the same function, behind a foreign decorator. They belong
            to this very call and are not calls of their own.
        tab: What is spent here is put on it too; None where nobody keeps one.
    """

    __slots__ = ("covers", "recorders", "tab")

    def __init__(
        self,
        recorder: Books,
        parent: Frame | None = None,
        covers: frozenset[Token] = frozenset(),
    ) -> None:
        self.covers = covers
        self.tab: Tab | None = None if parent is None else parent.tab
        if parent is None:
            self.recorders: tuple[Books, ...] = (recorder,)
        elif recorder in parent.recorders:
            outer = tuple(other for other in parent.recorders if other is not recorder)
            self.recorders = (recorder, *outer)
        else:
            self.recorders = (recorder,) + parent.recorders  # noqa: RUF005 - twice as fast

    @property
    def owner(self) -> Books | None:
        """Where the figures of the running operation go; None where there is none."""
        return self.recorders[0] if self.recorders else None

    def used(self, usage: Usage) -> None:
        """Book what was spent here, and put it on the tab."""
        self.book(usage)
        if self.tab is not None:
            self.tab.put(usage, getattr(self.owner, "operation", ""))

    def book(self, usage: Usage) -> None:
        """Book a usage as the operation's own, and as inclusive on those around it."""
        for depth, recorder in enumerate(self.recorders):
            recorder.used(usage, own=depth == 0)


class CallFrame(Frame):
    """A frame that also keeps what its one call spent, for calls that are reported one by one."""

    __slots__ = ("_spent",)

    def __init__(self, frame: Frame) -> None:
        self.recorders = frame.recorders
        self.covers = frame.covers
        self.tab = frame.tab
        self._spent: list[Usage] = []

    def book(self, usage: Usage) -> None:
        """Book what was spent here, and keep it."""
        super().book(usage)
        self._spent.append(usage)

    @property
    def spent(self) -> Usage | None:
        """What was spent so far, by this call itself; None where nothing was said of it."""
        return sum(self._spent, Usage()) if self._spent else None


class WatchedFrame(Frame):
    """The frame around it, with one more who is told of what is spent inside, by whomever.

    Args:
        parent: The frame around it.
        watcher: Who is told.
    """

    __slots__ = ("_parent", "_watcher")

    def __init__(self, parent: Frame | None, watcher: Books) -> None:
        self.recorders = (*(() if parent is None else parent.recorders), watcher)
        self.covers = frozenset() if parent is None else parent.covers
        self.tab = None if parent is None else parent.tab
        self._parent = parent
        self._watcher = watcher

    def book(self, usage: Usage) -> None:
        """Book what was spent here."""
        if self._parent is not None:
            self._parent.book(usage)
        self._watcher.used(usage, own=False)


class TabFrame(Frame):
    """The frame around it, with another tab.

    Args:
        parent: The frame around it.
        tab: What is spent inside is put on this one instead.
    """

    __slots__ = ("_parent",)

    def __init__(self, parent: Frame | None, tab: Tab) -> None:
        self.recorders = () if parent is None else parent.recorders
        self.covers = frozenset() if parent is None else parent.covers
        self.tab = tab
        # Not a chain: work that starts its own successor for ever would grow it.
        self._parent = parent.outside if isinstance(parent, TabFrame) else parent

    @property
    def outside(self) -> Frame | None:
        """The frame around it that is more than a tab."""
        return self._parent

    def book(self, usage: Usage) -> None:
        """Book what was spent here."""
        if self._parent is not None:
            self._parent.book(usage)


current_frame: ContextVar[Frame | None] = ContextVar("agentperf.frame", default=None)


def leave(entered: Reset[Frame | None]) -> None:
    """Make the frame before current again.

    Code that was suspended may be closed, or go on, in another context than it began in: there is
    no frame of ours to leave then.
    """
    try:  # noqa: SIM105 - runs for every item of every stream, and costs nothing in this way
        current_frame.reset(entered)
    except ValueError:
        pass
