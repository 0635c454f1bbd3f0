"""Measures the calls of one operation on one host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agentperf._base.endings import Ending
from agentperf._base.log import fault, warn
from agentperf._engine.bindings import Token
from agentperf._engine.frames import CallFrame, Frame
from agentperf._engine.hosting import Host
from agentperf._engine.streams import AnyLiveStream
from agentperf.abc.telemetry import FOLD_AT, Recorder
from agentperf.events import CallEnded, Event, SlowCall
from agentperf.policies.timed.memory import allocated

Describe = Callable[..., Mapping[str, object]]


class CallMeter:
    """The engine's meter for a timed operation.

    A plain call that completes costs two clock readings and one append. Only when somebody wants
    to know of each call (subscribers, `slow`, `memory`, `attributes`) is it reported one by one.
    """

    def __init__(
        self,
        host: Host,
        operation: str,
        token: Token | None,
        *,
        covers: frozenset[Token] = frozenset(),
        slow: float | None = None,
        memory: bool = False,
        attributes: Mapping[str, object] | Describe | None = None,
    ) -> None:
        self.token = token
        self._now = host.clock.now
        self._recorder: Recorder = host.tap.recorder(operation)
        self._operation = operation
        self._slow = slow
        self._memory = memory
        self._attributes = attributes
        self._told_of_attributes = False
        self._tell_end = host.bus.emitter(CallEnded)
        self._tell_slow: Callable[[Event], None] | None = host.bus.emitter(SlowCall)
        self.frame = Frame(self._recorder, None, covers)
        self.durations = self._recorder.durations
        self.fold = self._recorder.fold
        self.attentive = bool(self._tell_end or slow is not None or memory)

    def started(self, args: tuple[Any, ...], kwargs: dict[str, Any], frame: Frame) -> _Note:
        """Begin a call that is reported one by one."""
        attributes = self._describe(args, kwargs)
        return _Note(CallFrame(frame), attributes, allocated() if self._memory else None)

    def _describe(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Mapping[str, object] | None:
        if not callable(self._attributes):
            return self._attributes
        try:
            return self._attributes(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - an observer must not change the observed
            if not self._told_of_attributes:  # once: it would fail at every call
                self._told_of_attributes = True
                fault("timed.attributes_failed", error, operation=self._operation)
            return None

    def ended(
        self,
        start: float,
        ending: Ending,
        error: BaseException | None,
        note: _Note | None,
    ) -> None:
        """Count a call that ended."""
        self._count(_Report(self._now() - start, ending, error), note)

    def streams(
        self, start: float, stream: AnyLiveStream, note: _Note | None, frame: Frame
    ) -> None:
        """Follow a stream to its end; only time inside the producer counts."""
        opened = self._now() - start
        if stream.frame is None:
            stream.frame = frame
        progress = _Progress(self._recorder, opened, primed=stream.primed)

        def end(_: object, ending: Ending, error: BaseException | None) -> None:
            report = _Report(progress.seconds, ending, error, progress.first_item, progress.items)
            self._count(report, note)

        stream.watch(item=progress.item, end=end)

    def _count(self, report: _Report, note: _Note | None) -> None:
        recorder = self._recorder
        if report.ending is Ending.COMPLETED:
            self.durations.append(report.seconds)
            if len(self.durations) >= FOLD_AT:
                self.fold()
        elif report.ending is Ending.FAILED and report.error is not None:
            recorder.failed(report.seconds, report.error)
        else:
            recorder.dropped(report.seconds, report.ending)
        if note is not None:
            self._report(report, note)

    def _report(self, report: _Report, note: _Note) -> None:
        if note.allocated is not None:
            self._recorder.memory(allocated() - note.allocated)
        if self._slow is not None and report.seconds > self._slow:
            self._say_slow(report.seconds, self._slow, note)
        if self._tell_end is not None:
            self._tell_end(report.event(self._operation, note))

    def _say_slow(self, seconds: float, limit: float, note: _Note) -> None:
        warn("call.slow", operation=self._operation, seconds=round(seconds, 3), limit=limit)
        if self._tell_slow is not None:
            self._tell_slow(
                SlowCall(
                    operation=self._operation,
                    seconds=seconds,
                    limit=limit,
                    attributes=note.attributes,
                )
            )


class _Note:
    """What was noted when a call began."""

    __slots__ = ("allocated", "attributes", "frame")

    def __init__(
        self,
        frame: CallFrame,
        attributes: Mapping[str, object] | None,
        allocated: int | None,
    ) -> None:
        self.frame = frame
        self.attributes = attributes
        self.allocated = allocated


class _Report:
    """The figures of one call that ended."""

    __slots__ = ("ending", "error", "first_item", "items", "seconds")

    def __init__(
        self,
        seconds: float,
        ending: Ending,
        error: BaseException | None,
        first_item: float | None = None,
        items: int | None = None,
    ) -> None:
        self.seconds = seconds
        self.ending = ending
        self.error = error
        self.first_item = first_item
        self.items = items

    def event(self, operation: str, note: _Note) -> CallEnded:
        return CallEnded(
            operation=operation,
            seconds=self.seconds,
            ending=self.ending,
            error=type(self.error).__name__ if self.ending is Ending.FAILED else None,
            first_item=self.first_item,
            items=self.items,
            attributes=note.attributes,
            usage=note.frame.spent,
        )


class _Progress:
    """A stream under way: time to the first item, gaps between the others."""

    __slots__ = ("_primed", "_recorder", "first_item", "items", "seconds")

    def __init__(self, recorder: Recorder, opened: float, *, primed: bool) -> None:
        self._recorder = recorder
        self._primed = primed
        self.seconds = opened
        self.first_item: float | None = None
        self.items = 0

    def item(self, _: object, seconds: float) -> None:
        self.items += 1
        if self.items == 1:
            # A primed stream fetched its first item while it was being opened.
            self.seconds += 0.0 if self._primed else seconds
            self.first_item = self.seconds
            self._recorder.first_item(self.seconds)
            return
        self.seconds += seconds
        gaps = self._recorder.gaps
        gaps.append(seconds)
        if len(gaps) >= FOLD_AT:
            self._recorder.fold()
