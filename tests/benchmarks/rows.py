"""A row of the table: what was measured, beside what, against which floor and goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

Sense = Literal["faster", "within", "below", "points", "shown"]

_RATIOS: dict[Sense, Callable[[float, float], float]] = {
    "faster": lambda ours, peer: peer / ours,
    "within": lambda ours, peer: ours / peer,
    "below": lambda ours, peer: ours,
    "points": lambda ours, peer: peer - ours,
    "shown": lambda ours, peer: ours / peer,
}
_LIMITS: dict[Sense, str] = {
    "faster": "{:g}x faster",
    "within": "{:g}x its time",
    "below": "{:g} {}",
    "points": "{:g} points less",
}
_RATIO: dict[Sense, str] = {"faster": "{}x faster", "within": "{}x its time", "shown": "{}x"}


@dataclass(frozen=True)
class Terms:
    """What a figure is held to.

    Attributes:
        sense: `"faster"`: the peer takes so many times as long as we do; `"within"`: we take at
            most so many times as long as the peer; `"below"`: our figure itself is at most so
            much; `"points"`: our share is at most so many points less than the peer's; `"shown"`:
            to nothing.
        floor: What must be reached.
        goal: What would be good.
    """

    sense: Sense
    floor: float | None = None
    goal: float | None = None

    def reached(self, limit: float | None, ratio: float) -> bool:
        """Whether a ratio is on the right side of a limit; never, where there is none."""
        if limit is None:
            return False
        return ratio >= limit if self.sense == "faster" else ratio <= limit


def faster(*, floor: float | None = None, goal: float | None = None) -> Terms:
    """Hold to being so many times faster than the peer."""
    return Terms("faster", floor, goal)


def within(*, floor: float | None = None, goal: float | None = None) -> Terms:
    """Hold to taking at most so many times as long as the peer."""
    return Terms("within", floor, goal)


def below(*, floor: float | None = None, goal: float | None = None) -> Terms:
    """Hold to an absolute limit, in the unit of the row."""
    return Terms("below", floor, goal)


def points(*, floor: float | None = None, goal: float | None = None) -> Terms:
    """Hold a share to so many points less than the peer's at most."""
    return Terms("points", floor, goal)


SHOWN = Terms("shown")
"""Held to nothing: shown for comparison."""


@dataclass(frozen=True)
class Row:
    """One line of the result.

    Attributes:
        path: What was measured.
        ours: Our figure; None when nothing could be measured.
        peer: Beside what; empty for a figure that is held to an absolute limit.
        theirs: The peer's figure.
        unit: Unit of both.
        terms: What they are held to.
        missing: Why there is no figure.
    """

    path: str
    ours: float | None
    peer: str
    theirs: float | None
    unit: str
    terms: Terms
    missing: str = ""

    @property
    def name(self) -> str:
        """What stands for the row in a sentence."""
        return f"{self.path} beside {self.peer}" if self.peer else self.path

    @property
    def ratio(self) -> float | None:
        """What is compared with floor and goal."""
        if self.ours is None or (self.theirs is None and self.terms.sense != "below"):
            return None
        return _RATIOS[self.terms.sense](self.ours, self.theirs or 0.0)

    @property
    def shown_ratio(self) -> str:
        """The ratio in words."""
        if self.ratio is None or self.terms.sense == "below":
            return "-"
        if self.terms.sense == "points":
            return f"{-self.ratio:+.1f} points"
        figure = f"{self.ratio:.2f}" if self.ratio < 10 else f"{self.ratio:.1f}"
        return _RATIO[self.terms.sense].format(figure)

    @property
    def missed(self) -> bool:
        """Whether a floor was measured and not reached."""
        terms, ratio = self.terms, self.ratio
        return None not in (terms.floor, ratio) and not terms.reached(terms.floor, ratio or 0.0)

    @property
    def verdict(self) -> str:
        """The outcome in a word or two."""
        terms, ratio = self.terms, self.ratio
        if ratio is None:
            return f"not here: {self.missing}"
        if self.missed:
            return "MISSED"
        if terms.reached(terms.goal, ratio):
            return "goal met"
        if terms.floor is not None:
            return "floor met"
        return "-" if terms.goal is None else "short of goal"

    def limit(self, limit: float | None) -> str:
        """Write a floor or goal out."""
        return "-" if limit is None else _LIMITS[self.terms.sense].format(limit, self.unit)

    @classmethod
    def of_several(cls, samples: list[dict[str, Any]]) -> Row:
        """Make a row of the same row measured in several processes: the medians count."""
        first = samples[0]
        medians = {
            name: None if first[name] is None else median(sample[name] for sample in samples)
            for name in ("ours", "theirs")
        }
        return cls(**first | medians | {"terms": Terms(**first["terms"])})

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return asdict(self) | {"ratio": self.ratio, "verdict": self.verdict}
