"""Which operations are running: the current one and those around it."""

from __future__ import annotations

from contextvars import ContextVar, Token as Reset

from agentperf._engine.hosting import Token
from agentperf.abc.telemetry import Recorder


class Frame:
    """One running call of a measured operation.

    Attributes:
        recorders: Where the figures of the operation go, then those of the operations around it.
            Each stands here once, however often it calls itself, so that work which starts its own
            successor for ever doesn't grow a chain.
        covers: Pipelines further in on the same function, behind a foreign decorator. They belong
            to this very call and are not calls of their own.
    """

    __slots__ = ("covers", "recorders")

    def __init__(
        self, recorders: tuple[Recorder, ...], covers: frozenset[Token] = frozenset()
    ) -> None:
        self.recorders = recorders
        self.covers = covers

    def inside(self, recorder: Recorder, covers: frozenset[Token] = frozenset()) -> Frame:
        """Return the frame of a call that runs in this one."""
        outer = self.recorders
        if recorder in outer:
            outer = tuple(other for other in outer if other is not recorder)
        return Frame((recorder, *outer), covers)


current_frame: ContextVar[Frame | None] = ContextVar("agentperf.frame", default=None)


def leave(entered: Reset[Frame | None]) -> None:
    """Make the frame before current again.

    Code that was suspended may be closed, or go on, in another context than it began in: there is
    no frame of ours to leave then.
    """
    try:
        current_frame.reset(entered)
    except ValueError:
        pass
