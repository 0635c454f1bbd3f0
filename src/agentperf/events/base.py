"""What all events have in common."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a call; carries no argument, result or key.

    Attributes:
        operation: The name the call is counted under.
    """

    operation: str
