"""The forms in which a policy takes part in a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from agentperf._base.endings import Ending
from agentperf._engine.bindings import Step, Token
from agentperf._engine.frames import Frame
from agentperf._engine.streams import AnyLiveStream

Proceed = Callable[[tuple[Any, ...], dict[str, Any]], Awaitable[Any]]
"""Goes on to the next layer with these arguments."""


class Gate(Protocol):
    """A quick decision before a call, and its settlement after; neither waits.

    `enter` may refuse by raising. What it returns is handed to exactly one of the three endings;
    for a stream, when the stream ends.
    """

    def enter(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Let the call in, or raise."""
        ...

    def done(self, ticket: Any, value: Any) -> None:
        """The call returned `value`; for a stream, the stream itself."""

    def failed(self, ticket: Any, error: Exception) -> None:
        """The call raised."""

    def dropped(self, ticket: Any, ending: Ending) -> None:
        """The call was cancelled, or its stream closed early or abandoned: neither good nor bad."""


class Meter(Protocol):
    """Measures calls: knows where the figures of plain completed calls go at once.

    Attributes:
        frame: The frame of a call that runs in no other.
        token: The pipeline that is measured. Inside a frame of the same operation that covers it,
            it is a part of that call.
        durations: Takes the seconds of completed plain calls.
        attentive: Whether each call must be reported through `ended`, not only its duration kept.
    """

    frame: Frame
    token: Token | None
    durations: list[float]
    attentive: bool

    def fold(self) -> None:
        """Called when `durations` has grown long."""

    def started(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Begin an attentive call; what it returns comes back in `ended` and `streams`."""
        ...

    def ended(self, start: float, ending: Ending, error: BaseException | None, note: Any) -> None:
        """A call that began at `start` ended."""

    def streams(self, start: float, stream: AnyLiveStream, note: Any, frame: Frame) -> None:
        """A call that began at `start` gave a stream; its end is still to come."""


class Driver(Protocol):
    """Runs the layers of one colour."""

    is_async: bool

    def gate(self, gate: Gate, inner: Step) -> Step:
        """Put a gate in front of `inner`."""
        ...

    def measured(self, meter: Meter, inner: Step, now: Callable[[], float]) -> Step:
        """Measure `inner`."""
        ...

    def flow(self, run: Callable[..., Coroutine[Any, Any, Any]], inner: Step) -> Callable[..., Any]:
        """Make `run(proceed, *anything)` callable as `step(*anything)` in this colour.

        `run` is `async` in shape and awaits nothing but `proceed` and the waiting port, so that the
        synchronous driver can run it in one go.
        """
        ...
