"""How long calls keep their places, of late."""

from __future__ import annotations

_WEIGHT = 0.2
"""How much the last one counts."""


class Stays:
    """A moving average of how long places were held, of the calls that were measured."""

    __slots__ = ("_usual",)

    def __init__(self) -> None:
        self._usual: float | None = None

    def note(self, seconds: float) -> None:
        """Note how long a place was held."""
        usual = self._usual  # two threads may tear this: it is an estimate
        self._usual = seconds if usual is None else usual + (seconds - usual) * _WEIGHT

    def wait(self, position: int, places: int) -> float | None:
        """Return the seconds until it is probably the turn of a call; None while nothing is known.

        Args:
            position: Where it would stand in the line, from 1 up.
            places: How many there are.
        """
        return None if self._usual is None else self._usual * position / places
