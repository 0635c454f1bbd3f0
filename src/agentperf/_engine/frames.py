"""Which operation is running: the chain of frames from the innermost call outwards."""

from __future__ import annotations

from contextvars import ContextVar

from agentperf._engine.hosting import Token
from agentperf.abc.telemetry import Recorder


class Frame:
    """One running call of a measured operation.

    Attributes:
        recorder: Where the operation's figures go.
        parent: The call it runs in; None at the outside.
        covers: Pipelines further in on the same function, behind a foreign decorator. They belong
            to this very call and are not calls of their own.
    """

    __slots__ = ("covers", "parent", "recorder")

    def __init__(
        self,
        recorder: Recorder,
        parent: Frame | None = None,
        covers: frozenset[Token] = frozenset(),
    ) -> None:
        self.recorder = recorder
        self.parent = parent
        self.covers = covers


current_frame: ContextVar[Frame | None] = ContextVar("agentperf.frame", default=None)
