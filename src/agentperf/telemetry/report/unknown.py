"""What calls left unsaid of their tokens and cost, so that sums don't pass for whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Protocol

from agentperf._base.endings import Ending
from agentperf.events import CallEnded, Event, ModelCallEnded
from agentperf.telemetry.tally import Tally
from agentperf.usage import Usage


@dataclass(frozen=True, slots=True)
class Unknown:
    """How many calls of an operation said nothing of what they spent; counts add up.

    Attributes:
        spending: Calls that spent something: those of models that didn't fail, and those that
            noted tokens.
        tokens: Those of them whose tokens are not known.
        streams: Those of these that streamed, where servers tell of tokens on request only.
        cost: Those whose tokens are known and whose cost is not.
    """

    spending: int = 0
    tokens: int = 0
    streams: int = 0
    cost: int = 0

    @classmethod
    def of(cls, usage: Usage | None, ending: Ending, *, model: bool, streamed: bool) -> Unknown:
        """Return what one call left unsaid.

        Args:
            usage: What it spent itself, where it said so.
            ending: How it ended.
            model: Whether it was a call of a model, which spends tokens for certain.
            streamed: Whether its answer was a stream.
        """
        if usage is None:
            silent = model and ending is not Ending.FAILED
            return cls(1, 1, int(streamed)) if silent else cls()
        return cls(1, cost=int(usage.cost_usd is None)) if usage != Usage() else cls()

    def __add__(self, other: Unknown) -> Unknown:
        return Unknown(
            self.spending + other.spending,
            self.tokens + other.tokens,
            self.streams + other.streams,
            self.cost + other.cost,
        )

    def told(self, operation: str) -> Iterator[str]:
        """Say it in sentences, with what helps."""
        if self.tokens:
            hint = '; streams do with stream_options={"include_usage": True}'
            yield (
                f"{self.tokens:,} of {self.spending:,} calls of {operation} said nothing of their "
                f"tokens{hint if self.streams else ''}"
            )
        if self.cost:
            yield f"no price is known for {self.cost:,} of {self.spending:,} calls of {operation}"


def lost(before: Unknown, after: Unknown, silent: Callable[[Unknown], int]) -> float:
    """Return by how much the share of silent calls grew, over 1; below 0 where it shrank.

    It is 0 where their number went the other way: then it is the other calls that changed.
    """
    old, new = silent(before), silent(after)
    growth = new / max(after.spending, 1) - old / max(before.spending, 1)
    return growth if growth * (new - old) > 0 else 0.0


def together(unknown: Iterable[Unknown]) -> Unknown:
    """Add up what several operations left unsaid."""
    return sum(unknown, Unknown())


class Subscribable(Protocol):
    """What counting asks of a host."""

    def subscribe(
        self, receiver: Callable[[Event], object], *kinds: type[Event]
    ) -> Callable[[], None]:
        """Call `receiver` for every event of `kinds`."""
        ...


class UnknownCounts:
    """Counts what the calls of a host leave unsaid, from the moment it is made.

    Args:
        host: Whose calls.
    """

    def __init__(self, host: Subscribable) -> None:
        self._tallies: dict[str, dict[str, Tally]] = {}
        host.subscribe(self._count, CallEnded)

    def by_operation(self) -> Mapping[str, Unknown]:
        """Return what was counted so far, by operation."""
        return {
            name: Unknown(**{field: tally.total() for field, tally in tallies.items()})
            for name, tallies in self._tallies.copy().items()
        }

    def _count(self, event: Event) -> None:
        if not isinstance(event, CallEnded):
            return
        model = isinstance(event, ModelCallEnded)
        streamed = event.items is not None or event.first_item is not None
        unknown = Unknown.of(event.usage, event.ending, model=model, streamed=streamed)
        if not unknown.spending:
            return
        tallies = self._tallies.get(event.operation)
        if tallies is None:
            tallies = self._tallies.setdefault(
                event.operation, {field.name: Tally() for field in fields(Unknown)}
            )
        for name, tally in tallies.items():
            if number := getattr(unknown, name):
                tally.add(number)
