"""Which operations are running: the current one and those around it."""

from __future__ import annotations

from contextvars import ContextVar
from contextvars import Token as Reset

from agentperf._engine.bindings import Token
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
        self,
        recorder: Recorder,
        parent: Frame | None = None,
        covers: frozenset[Token] = frozenset(),
    ) -> None:
        self.covers = covers
        if parent is None:
            self.recorders: tuple[Recorder, ...] = (recorder,)
        elif recorder in parent.recorders:
            outer = tuple(other for other in parent.recorders if other is not recorder)
            self.recorders = (recorder, *outer)
        else:
            self.recorders = (recorder,) + parent.recorders  # noqa: RUF005 - twice as fast


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
