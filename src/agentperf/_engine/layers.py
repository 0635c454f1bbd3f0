"""The forms in which a policy takes part in a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from agentperf._base.endings import Ending
from agentperf._engine.bindings import Step, Token
from agentperf._engine.frames import Frame
from agentperf._engine.streams import AnyLiveStream

if TYPE_CHECKING:
    from agentperf._engine.under_way import UnderWay

Proceed = Callable[[tuple[Any, ...], dict[str, Any]], Awaitable[Any]]
"""Goes on to the next layer with these arguments."""


class Settler(Protocol):
    """Takes the end of a call that was let in: exactly one of three, for a stream when it ends.

    Attributes:
        watches_items: Whether `seen` is to be told of the items of streams.
        settles: Whether a call that went well leaves anything to do; `done` is not called if not.
    """

    watches_items: bool
    settles: bool

    def done(self, ticket: Any, value: Any) -> None:
        """The call returned `value`; for a stream, the stream itself."""

    def failed(self, ticket: Any, error: Exception) -> None:
        """The call raised."""

    def dropped(self, ticket: Any, ending: Ending) -> None:
        """The call was cancelled, or its stream closed early or abandoned: neither good nor bad."""

    def seen(self, ticket: Any, item: Any, at: float) -> None:
        """A stream gave an item; `at` is when, if its reader had never paused."""


class Gate(Settler, Protocol):
    """A quick decision before a call, and its settlement after; neither waits."""

    def enter(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Let the call in, or raise; what is returned is the ticket of its settlement."""
        ...


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

    def started(self, args: tuple[Any, ...], kwargs: dict[str, Any], frame: Frame) -> Any:
        """Begin an attentive call; what it returns comes back in `ended` and `streams`.

        The call runs in the returned note's own `frame`.
        """
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

    def guarded(
        self,
        settler: Settler,
        inner: Step,
        enter: Callable[[tuple[Any, ...], dict[str, Any]], Any] | None = None,
    ) -> Callable[..., Any]:
        """Run `inner` for calls that are let in, and have their ends settled.

        The result takes `(args, kwargs)` and asks `enter` for the call's ticket, which may refuse
        by raising; or `(args, kwargs, ticket)` for a call that was let in already.
        """
        ...

    def framed(
        self, run: Callable[..., Any], frame_of: Callable[[Any], Frame]
    ) -> Callable[..., Any]:
        """Run what `guarded` made inside of the frame that belongs to the call's ticket."""
        ...

    def recognised(self, value: Any, kwargs: dict[str, Any]) -> Any:
        """Return a live stream for a stream, the value itself for anything else."""
        ...

    def measured(self, meter: Meter, inner: Step, now: Callable[[], float]) -> Step:
        """Measure `inner`."""
        ...

    def primed(self, inner: Step) -> Step:
        """Call `inner`; a stream that fails before its first item is then a call that fails."""
        ...

    def rescued(
        self,
        inner: Step,
        passed: Callable[[], object],
        rescue: Callable[[Exception, tuple[Any, ...], dict[str, Any]], Any],
        under_way: UnderWay | None = None,
    ) -> Step:
        """Call `inner`, and where it fails let `rescue(error, args, kwargs)` answer.

        `rescue` is what `flow` made; `passed` is called after a call that did not fail. Calls count
        as `under_way` while there are extra attempts.
        """
        ...

    def flow(
        self, run: Callable[..., Coroutine[Any, Any, Any]], inner: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Make `run(proceed, *anything)` callable as `step(*anything)` in this colour.

        `run` is `async` in shape and awaits nothing but `proceed` and the waiting port, so that the
        synchronous driver can run it in one go.
        """
        ...
