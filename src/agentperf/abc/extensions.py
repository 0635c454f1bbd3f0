"""Small contracts: what a single callable or a few facts are enough for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from agentperf.events import Event

if TYPE_CHECKING:
    from agentperf._base.verdicts import Verdict


class Compressor(Protocol):
    """Makes a text shorter."""

    def __call__(self, text: str, *, query: str, max_tokens: int) -> str:
        """Return a text of at most `max_tokens` tokens that still answers `query`."""
        ...


class Embedder(Protocol):
    """Turns texts into vectors whose nearness is nearness of meaning."""

    def __call__(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return one vector for each text, all of one length."""
        ...


@runtime_checkable
class Classifier(Protocol):
    """Says what errors mean that agentperf doesn't know."""

    def __call__(self, error: Exception, /) -> Verdict | None:
        """Return what `error` means; None where this has nothing to say of it."""
        ...


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Somebody who wants to be told of events.

    Attributes:
        receive: Takes an event, inside the call that caused it: it must be quick.
        kinds: Which events it wants; all of them by default.
    """

    receive: Callable[[Any], object]
    kinds: tuple[type[Event], ...] = (Event,)


PriceRow = Mapping[str, Any]
"""US dollars per million tokens: `{"input": 0.5, "output": 1.5, "cached_input": 0.05}`."""
