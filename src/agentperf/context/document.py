"""A text or a list of messages, opened up for changes and closed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentperf.context import messages as chat
from agentperf.context.calls import groups, pending
from agentperf.context.marks import Mark
from agentperf.context.messages import Path
from agentperf.context.pieces import Piece, join, split
from agentperf.errors import ConfigurationError


@dataclass(slots=True, eq=False)
class Passage:
    """One of the texts in the content.

    Attributes:
        pieces: The text as it is by now.
        message: The message it is in.
        path: Where it is in that message.
        frozen: It survives whole.
    """

    pieces: list[Piece]
    message: int = 0
    path: Path = ()
    frozen: bool = False
    before: str = ""

    @property
    def text(self) -> str:
        """The text as it is by now."""
        return join(self.pieces)
